"""Code maps as files: every layer reads back what it wrote, and damage never goes unnoticed."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vq.bit_packing import MAX_WIDTH, pack_bits, packed_size, unpack_bits
from vq.code_file import HEADER, MAX_BYTES, MAX_CELLS, CodeFile, CodeFileError

ID, OTHER = "0123456789ab", "ba9876543210"
CODES = np.arange(12).reshape(3, 4) * 46


@st.composite
def code_files(draw: st.DrawFn) -> CodeFile:
    num_codes = draw(st.sampled_from([1, 2, 3, 255, 256, 257, 512, 65_535, 65_536]))
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    codes = draw(arrays(np.int64, shape, elements=st.integers(0, num_codes - 1)))
    sides = st.integers(1, 65_535)
    size = draw(st.none() | st.tuples(sides, sides))
    checkpoint = draw(st.binary(min_size=6, max_size=6)).hex()
    return CodeFile(checkpoint, num_codes, codes, size)


def same(a: CodeFile, b: CodeFile) -> bool:
    return (a.checkpoint, a.num_codes, a.picture_size) == (
        b.checkpoint,
        b.num_codes,
        b.picture_size,
    ) and np.array_equal(a.codes, b.codes)


def resealed(data: bytes, **fields: Any) -> bytes:
    """The file with other values in its header, under a checksum that fits."""
    names = ("magic", "version", "checkpoint", "num_codes", "rows", "columns", "width", "height")
    values = dict(zip(names, HEADER.unpack_from(data), strict=True)) | fields
    body = HEADER.pack(*values.values()) + data[HEADER.size : -4]
    return body + struct.pack("<I", zlib.crc32(body))


@given(st.integers(0, MAX_WIDTH), st.data())
def test_numbers_are_packed_end_to_end(width: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, 2**width - 1), max_size=40))
    packed = pack_bits(np.array(values, np.int64), width)
    # The same in text: the bits of every number, one after the other.
    text = "".join(f"{value:0{width}b}" for value in values) if width else ""
    text += "0" * (-len(text) % 8)
    assert packed == bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
    assert len(packed) == packed_size(len(values), width)
    assert unpack_bits(packed, width, len(values)).tolist() == values


def test_what_cannot_be_packed_or_was_not_packed_here_is_refused() -> None:
    for wrong in (np.array([8]), np.array([-1]), np.array([1.0]), np.ones((1, 1), int)):
        with pytest.raises(ValueError, match=r"must be from 0 to 7|expected integers"):
            pack_bits(wrong, 3)
    with pytest.raises(ValueError, match="width must be from 0 to 16"):
        pack_bits(np.array([1]), 17)
    with pytest.raises(ValueError, match="2 values of 3 bits are not 2 bytes"):
        unpack_bits(b"\0\0", 3, 2)
    with pytest.raises(ValueError, match="not filled with zeros"):
        unpack_bits(b"\1", 3, 2)


@given(code_files())
def test_a_file_reads_back_exactly(file: CodeFile) -> None:
    data = file.to_bytes()
    read = CodeFile.from_bytes(data)
    assert same(read, file) and read.codes.dtype == np.int64
    assert read.to_bytes() == data
    assert len(data) == 31 + math.ceil(file.codes.size * math.ceil(math.log2(file.num_codes)) / 8)


def test_the_layout_is_as_documented() -> None:
    data = CodeFile(ID, 512, CODES, (300, 2)).to_bytes()
    assert data[:8] == bytes.fromhex("89 43 4F 44 45 53 0D 0A") and data[8] == 1
    assert data[9:15].hex() == ID
    assert [int.from_bytes(data[a:b], "little") for a, b in ((15, 19), (19, 21), (21, 23))] == [
        512,
        3,
        4,
    ]
    assert [int.from_bytes(data[a : a + 2], "little") for a in (23, 25)] == [300, 2]
    bits = "".join(f"{byte:08b}" for byte in data[27:-4])
    assert [int(bits[i : i + 9], 2) for i in range(0, 12 * 9, 9)] == CODES.ravel().tolist()
    assert zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little")


@st.composite
def damages(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` after up to three accidents."""
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(["flip", "overwrite", "cut", "insert", "delete", "append"]))
        some = draw(st.binary(min_size=1, max_size=6))
        if kind == "flip" and data:
            byte = data[place] ^ (1 << draw(st.integers(0, 7)))
            data = data[:place] + bytes([byte]) + data[place + 1 :]
        elif kind == "overwrite":
            data = data[:place] + some + data[place + len(some) :]
        elif kind == "cut":
            data = data[:place]
        elif kind == "insert":
            data = data[:place] + some + data[place:]
        elif kind == "delete":
            data = data[:place] + data[place + len(some) :]
        else:
            data += some
    return data


@given(st.data())
def test_a_damaged_file_is_refused_and_never_read_wrong(data: st.DataObject) -> None:
    file = data.draw(code_files())
    damaged = data.draw(damages(file.to_bytes()))
    try:
        read = CodeFile.from_bytes(damaged)
    except CodeFileError:
        return
    assert damaged == file.to_bytes() and same(read, file)  # one accident undid the other


@given(st.binary(max_size=200), st.booleans())
def test_any_other_bytes_are_refused(data: bytes, with_magic: bool) -> None:
    with pytest.raises(CodeFileError):
        CodeFile.from_bytes(b"\x89CODES\r\n\1" + data if with_magic else data)


GOOD = CodeFile(ID, 512, CODES, (16, 12)).to_bytes()


@pytest.mark.parametrize(
    ("data", "reason", "message"),
    [
        (b"", "format", "no code file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "format", "no code file"),
        (GOOD.replace(b"\r\n", b"\n"), "format", "no code file"),
        (resealed(GOOD, version=2), "version", "version 2; only version 1"),
        (GOOD[:8], "truncated", "ends too early"),
        (GOOD[:26], "truncated", "ends too early"),
        (GOOD[:-1], "truncated", "ends too early"),
        (GOOD + b"\0", "damaged", "damaged"),
        (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "damaged", "damaged"),
        (resealed(GOOD, num_codes=500), "damaged", "damaged"),  # and 506 is among its codes
        (resealed(GOOD, width=0), "damaged", "damaged"),
        (resealed(GOOD, rows=0), "damaged", "damaged"),
        # Sizes that would take gigabytes are refused by the header alone.
        (resealed(GOOD, rows=65_535, columns=65_535), "size", "65,535 x 65,535 codes; the limit"),
        (resealed(GOOD, num_codes=2**32 - 1), "truncated", "ends too early"),
    ],
)
def test_a_refusal_names_the_cause(data: bytes, reason: str, message: str) -> None:
    with pytest.raises(CodeFileError, match=message) as refused:
        CodeFile.from_bytes(data)
    assert refused.value.reason == reason


def test_the_codes_of_another_checkpoint_are_not_given_out() -> None:
    file = CodeFile(ID, 512, CODES)
    assert file.codes_of(ID) is file.codes
    with pytest.raises(CodeFileError, match=f"{ID}.*{OTHER}") as refused:
        file.codes_of(OTHER)
    assert refused.value.reason == "checkpoint"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint": "0123456789AB"}, "12 hex digits"),
        ({"checkpoint": "01"}, "12 hex digits"),
        ({"num_codes": 0}, "num_codes must be from 1 to 65536"),
        ({"num_codes": 65_537}, "num_codes must be from 1 to 65536"),
        ({"num_codes": 500}, "codes must be from 0 to 499"),
        ({"codes": -CODES}, "codes must be from 0 to 511"),
        ({"codes": CODES.astype(float)}, r"integers \(h, w\), not float64 \(3, 4\)"),
        ({"codes": CODES.ravel()}, r"integers \(h, w\), not int64 \(12,\)"),
        ({"codes": CODES[:0]}, "holds 1 to 4,194,304 codes, not 4 x 0"),
        ({"codes": np.zeros((1, MAX_CELLS + 1), np.uint8)}, "holds 1 to 4,194,304 codes"),
        ({"picture_size": (0, 4)}, "picture_size must be from 1 to 65535"),
        ({"picture_size": (4, 65_536)}, "picture_size must be from 1 to 65535"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_at_birth(changes: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {"checkpoint": ID, "num_codes": 512, "codes": CODES, **changes}
    with pytest.raises(ValueError, match=message):
        CodeFile(**fields)


def test_a_file_on_the_disk_is_replaced_whole_and_read_within_limits(tmp_path: Path) -> None:
    path = tmp_path / "a.codes"
    for codes in (CODES, CODES[::-1]):
        CodeFile(ID, 512, codes).save(path)
        assert np.array_equal(CodeFile.load(path).codes, codes)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.codes"]
    with path.open("r+b") as file:
        file.truncate(MAX_BYTES + 100)  # sparse
    with pytest.raises(CodeFileError, match="damaged"):
        CodeFile.load(path)


def test_the_largest_map_fits_the_limit() -> None:
    largest = CodeFile(ID, 65_536, np.full((1 << 11, 1 << 11), 65_535, np.uint16))
    data = largest.to_bytes()
    assert len(data) == MAX_BYTES
    assert same(CodeFile.from_bytes(data), largest)
