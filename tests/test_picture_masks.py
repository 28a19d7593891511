"""What a picture becomes next: a mask, a working size, a tensor and back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from tests.picture_files import encoded, grey_tiff
from vq.pictures import PictureError, read_mask, to_tensor, to_uint8, working_size

RNG = np.random.default_rng(0)
H, W = 7, 12
GREY = RNG.integers(0, 256, (H, W), dtype=np.uint8)
GREY[0, :2] = 127, 128
BITS = RNG.integers(0, 2, (H, W)).astype(bool)


def mask_of(image: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> np.ndarray:
    return read_mask(encoded(image, kind, **options), (W, H))


def test_bright_is_repainted() -> None:
    for mask in (
        mask_of(GREY),
        mask_of(np.repeat(GREY[..., None], 3, axis=2)),
        mask_of(GREY, "BMP"),
    ):
        assert mask.dtype == bool and mask.shape == (H, W)
        np.testing.assert_array_equal(mask, GREY >= 128)
    np.testing.assert_array_equal(mask_of(BITS), BITS)


def test_without_a_picture_any_size_will_do() -> None:
    np.testing.assert_array_equal(read_mask(encoded(GREY, "PNG")), GREY >= 128)


def test_brightness_is_that_of_the_eye() -> None:
    """ITU-R 601: pure green is brighter than half, red and blue together are not."""
    colours = np.zeros((H, W, 3), np.uint8)
    colours[:, :4] = 0, 255, 0
    colours[:, 4:8] = 255, 0, 255
    assert mask_of(colours)[0].tolist() == [True] * 4 + [False] * 8


@pytest.mark.parametrize("colour", [0, 255])
def test_with_transparency_opaque_is_repainted_whatever_its_colour(colour: int) -> None:
    strokes = np.full((H, W, 4), colour, np.uint8)
    strokes[..., 3] = GREY
    np.testing.assert_array_equal(mask_of(strokes), GREY >= 128)


def test_alpha_that_says_nothing_is_passed_over() -> None:
    opaque = np.dstack([GREY, GREY, GREY, np.full_like(GREY, 255)])
    np.testing.assert_array_equal(mask_of(opaque), GREY >= 128)


def test_a_palette_counts_by_its_colours() -> None:
    image = Image.frombytes("P", (W, H), BITS.astype(np.uint8).tobytes())
    image.putpalette([250, 250, 250, 3, 3, 3])
    np.testing.assert_array_equal(mask_of(image), ~BITS)


def test_deep_and_float_masks_count_by_their_white() -> None:
    np.testing.assert_array_equal(mask_of(GREY.astype(np.uint16) * 257), GREY >= 128)
    zero_one = read_mask(grey_tiff(BITS.astype(np.float32), 32, t339=(3,)), (W, H))
    np.testing.assert_array_equal(zero_one, BITS)


def test_a_mask_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[274] = 6
    turned = read_mask(encoded(GREY, "PNG", exif=exif), (H, W))
    np.testing.assert_array_equal(turned, np.rot90(GREY, -1) >= 128)


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(PictureError, match="12 × 7 pixels; the picture is 7 × 12") as error:
        read_mask(encoded(GREY, "PNG"), (H, W))
    assert error.value.reason == "mask size"


@settings(deadline=None)
@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(1, 32), st.integers(32, 1024))
def test_the_working_size_is_a_multiple_near_the_picture(
    width: int, height: int, stride: int, longest: int
) -> None:
    size = working_size(width, height, stride, longest)
    scale = min(1, longest / max(width, height))
    for side, original in zip(size, (width, height), strict=True):
        assert side % stride == 0 and stride <= side <= longest
        # Nearest multiple, but for the smallest and the largest that are allowed.
        at_limit = side in (stride, longest // stride * stride)
        assert abs(side - original * scale) <= stride / 2 or at_limit
    assert working_size(height, width, stride, longest) == size[::-1]


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        ((6000, 4000), (512, 340)),
        ((512, 512), (512, 512)),
        ((128, 96), (128, 96)),
        ((130, 97), (128, 96)),
        ((1, 16_384), (4, 512)),
        ((1, 1), (4, 4)),
    ],
)
def test_working_sizes(picture: tuple[int, int], size: tuple[int, int]) -> None:
    assert working_size(*picture, stride=4) == size


@pytest.mark.parametrize("arguments", [(0, 5, 4), (5, -1, 4), (5, 5, 0), (5, 5, 4, 3)])
def test_impossible_working_sizes_are_refused(arguments: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        working_size(*arguments)


@settings(deadline=None)
@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2).map(lambda shape: (*shape, 3))))
def test_pixels_survive_the_way_to_a_tensor_and_back(array: np.ndarray) -> None:
    tensor = to_tensor(array)
    assert tensor.dtype == torch.float32 and tensor.shape == (1, 3, *array.shape[:2])
    np.testing.assert_array_equal(tensor[0].permute(1, 2, 0) * 255, array)
    assert torch.equal(to_tensor(Image.fromarray(array)), tensor)
    back = to_uint8(tensor)
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back[0], array)


def test_tensors_are_rounded_and_clamped() -> None:
    levels = [-1.0, -0.4, 0.4, 0.6, 127.49, 127.51, 254.6, 255.4, 300.0]
    expected = [0, 0, 0, 1, 127, 128, 255, 255, 255]
    tensor = torch.tensor(levels).expand(2, 3, 1, -1) / 255
    for dtype in (torch.float32, torch.float64):
        assert to_uint8(tensor.to(dtype))[1, 0, :, 2].tolist() == expected
    assert to_uint8(tensor.bfloat16()).shape == (2, 1, 9, 3)
    assert to_uint8(tensor.clone().requires_grad_()).flags.c_contiguous


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_becomes_no_pixel(value: float) -> None:
    tensor = torch.zeros(1, 3, 4, 4)
    tensor[0, 1, 2, 3] = value
    with pytest.raises(ValueError, match="finite"):
        to_uint8(tensor)


@pytest.mark.parametrize("shape", [(3, 4, 4), (1, 1, 4, 4), (1, 4, 4, 3)])
def test_tensors_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        to_uint8(torch.zeros(shape))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_arrays_of_other_shapes_and_types_are_refused(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected"):
        to_tensor(array)


def test_pictures_are_read_without_torch() -> None:
    """The demo reads pictures, and only its studio may know tensors."""
    program = "import sys, vq.pictures, vq.regions; print('torch' in sys.modules)"
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
