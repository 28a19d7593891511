"""VQModels that diffusers itself has saved: our codes and pictures are its own."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from tests.tiny_networks import files_of
from vq.checkpoints import Checkpoint, CheckpointError, describe, load, read_configs
from vq.diffusers_vq import DiffusersVQ, DiffusersVQConfig
from vq.evaluation import rate_bits
from vq.inpainting import decode, encode

diffusers = pytest.importorskip("diffusers")

SHAPES: dict[str, dict[str, Any]] = {
    "smallest": {},
    "as VQGAN f4": {
        "down_block_types": ["DownEncoderBlock2D"] * 3,
        "up_block_types": ["UpDecoderBlock2D"] * 3,
        "block_out_channels": [8, 8, 16],
        "layers_per_block": 2,
        "latent_channels": 4,
        "vq_embed_dim": 6,
        "num_vq_embeddings": 64,
    },
    "as aMUSEd": {
        "down_block_types": ["DownEncoderBlock2D"] * 2,
        "up_block_types": ["UpDecoderBlock2D"] * 2,
        "block_out_channels": [8, 16],
        "latent_channels": 12,
        "num_vq_embeddings": 50,
        "mid_block_add_attention": False,
        "lookup_from_codebook": True,
        "force_upcast": True,
    },
    "as MoVQ": {
        "down_block_types": ["DownEncoderBlock2D", "AttnDownEncoderBlock2D"],
        "up_block_types": ["AttnUpDecoderBlock2D", "UpDecoderBlock2D"],
        "block_out_channels": [32, 64],  # the spatial norm has groups of 32
        "latent_channels": 4,
        "num_vq_embeddings": 40,
        "norm_type": "spatial",
    },
}


def saved(folder: Path, dtype: torch.dtype = torch.float32, **shape: Any) -> Any:
    """A random model that diffusers saves there; its codes are spread over what it encodes."""
    torch.manual_seed(0)
    small = {"block_out_channels": [8], "norm_num_groups": 4}
    model = diffusers.VQModel(**{**small, **shape}).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
        z = model.encode(pictures(side=64) * 2 - 1).latents
        vectors = z.permute(0, 2, 3, 1).flatten(0, 2)
        n = model.config.num_vq_embeddings
        model.quantize.embedding.weight.copy_(vectors[:: len(vectors) // n][:n])
    model.to(dtype).save_pretrained(folder, safe_serialization=True)
    return model.float()


def pictures(side: int = 32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(2, 3, side, side + 16, generator=generator)


@pytest.mark.parametrize("name", SHAPES)
def test_codes_and_pictures_are_those_of_diffusers(tmp_path: Path, name: str) -> None:
    theirs = saved(tmp_path, **SHAPES[name])
    ours = load(tmp_path)
    x = pictures()
    with torch.no_grad():
        z = theirs.encode(x * 2 - 1).latents
        vectors, _, (_, _, expected) = theirs.quantize(z)
        decoded = theirs.decode(z).sample
    codes = ours.autoencoder.encode(x)
    assert codes.shape == (2, x.shape[2] // ours.stride, x.shape[3] // ours.stride)
    assert torch.equal(codes.flatten(), expected)
    assert len(codes.unique()) > 5
    assert torch.equal(
        ours.autoencoder.quantizer.vectors(codes),
        theirs.quantize.embedding(codes).permute(0, 3, 1, 2),
    )
    # diffusers decodes z + (e - z), which is e up to rounding.
    expected_pictures = (decoded / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(ours.autoencoder.decode(codes), expected_pictures, atol=1e-5, rtol=0)
    output = ours.autoencoder(x)
    torch.testing.assert_close(output.reconstruction, decoded / 2 + 0.5, atol=1e-5, rtol=0)
    assert torch.equal(output.quantized.codes, codes)
    with torch.no_grad():
        commitment = (z - vectors).square().mean()
    torch.testing.assert_close(output.quantized.commitment_loss, commitment)


def test_decoding_codes_is_bit_equal_to_diffusers_lookup(tmp_path: Path) -> None:
    theirs = saved(tmp_path, **SHAPES["as aMUSEd"])
    codes = load(tmp_path).autoencoder.encode(pictures())
    shape = (*codes.shape, theirs.config.latent_channels)
    with torch.no_grad():
        decoded = theirs.decode(codes, force_not_quantize=True, shape=shape).sample
    assert torch.equal(load(tmp_path).autoencoder.decode(codes), (decoded / 2 + 0.5).clamp(0, 1))


def test_it_has_the_surface_of_our_own(tmp_path: Path) -> None:
    saved(tmp_path, **SHAPES["as VQGAN f4"])
    checkpoint = load(tmp_path)
    assert (checkpoint.num_codes, checkpoint.stride, checkpoint.priors) == (64, 4, {})
    picture = (pictures()[0].permute(1, 2, 0) * 255).byte().numpy()
    codes = encode(checkpoint.autoencoder, picture)
    assert decode(checkpoint.autoencoder, codes[None]).shape == (1, *picture.shape)
    assert rate_bits(checkpoint.autoencoder, 32, 48) == 8 * 12 * 6  # log2 64
    described = describe(tmp_path)["modules"]["autoencoder"]
    assert described["type"] == "DiffusersVQ"
    assert described["bytes"] == sum(map(len, files_of(tmp_path).values()))


@pytest.mark.parametrize("folder", ["vqvae", "movq"])
def test_part_of_a_pipeline(tmp_path: Path, folder: str) -> None:
    saved(tmp_path / folder)
    (tmp_path / "config.json").write_text("{}")  # of something else
    (tmp_path / "README.md").write_text("# Pipeline")
    found = load(tmp_path)
    assert isinstance(found.autoencoder, DiffusersVQ)
    assert found.card == "# Pipeline"


def test_half_precision(tmp_path: Path) -> None:
    theirs = saved(tmp_path, torch.float16)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    file.rename(file.with_suffix(".fp16.safetensors"))
    x = pictures()
    with torch.no_grad():
        expected = theirs.quantize(theirs.encode(x * 2 - 1).latents)[2][2]
    assert torch.equal(load(tmp_path).autoencoder.encode(x).flatten(), expected)


def test_names_of_old_files(tmp_path: Path) -> None:
    """As before diffusers 0.13: what it makes of such a file is what we make of it."""
    saved(tmp_path)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    old = {}
    for key, tensor in safetensors.torch.load_file(file).items():
        for new, name in (("to_q", "query"), ("to_k", "key"), ("to_v", "value")):
            key = key.replace(f".{new}.", f".{name}.")
        old[key.replace(".to_out.0.", ".proj_attn.")] = tensor
    assert any("query" in key for key in old)
    safetensors.torch.save_file(old, file)
    theirs = diffusers.VQModel.from_pretrained(tmp_path).eval()
    x = pictures()
    with torch.no_grad():
        expected = theirs.quantize(theirs.encode(x * 2 - 1).latents)[2][2]
    assert torch.equal(load(tmp_path).autoencoder.encode(x).flatten(), expected)


def test_saved_in_our_own_layout(tmp_path: Path) -> None:
    """So that a prior can be trained on its codes and kept beside it."""
    saved(tmp_path / "theirs", **SHAPES["as MoVQ"])
    found = load(tmp_path / "theirs")
    Checkpoint(found.autoencoder, {}, "# Ours").save(tmp_path / "ours", dtype=torch.float32)
    again = load(tmp_path / "ours")
    assert again.autoencoder.config == found.autoencoder.config
    x = pictures()
    assert torch.equal(again.autoencoder.encode(x), found.autoencoder.encode(x))


def test_a_file_with_defaults_left_out(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"_class_name": "VQModel"}')
    (_, config) = read_configs(tmp_path)["autoencoder"]
    assert config == DiffusersVQConfig()
    model = diffusers.VQModel()
    known = {key: value for key, value in model.config.items() if hasattr(config, key)}
    for key, value in known.items():
        if key != "vq_embed_dim":  # None: that of the latents
            assert getattr(config, key) == (tuple(value) if isinstance(value, list) else value)
    assert config.vq_embed_dim == model.quantize.vq_embed_dim


HOSTILE = {
    "another class": ({"_class_name": "UNet2DModel"}, "_class_name must be VQModel, not 'UNet2D"),
    "no class": ({"_class_name": None}, "_class_name must be VQModel"),
    "unknown field": ({"code": "import os"}, "1 unknown field\\(s\\): 'code'"),
    "foreign block": (
        {"down_block_types": ["CrossAttnDownBlock2D"]},
        "down_block_types must be 1 of",
    ),
    "many blocks": (
        {
            "block_out_channels": [8] * 9,
            "down_block_types": ["DownEncoderBlock2D"] * 9,
            "up_block_types": ["UpDecoderBlock2D"] * 9,
        },
        "block_out_channels must be 1 to 7",
    ),
    "wide": ({"block_out_channels": [2**40]}, "block_out_channels must be 1 to 7 numbers"),
    "no groups": ({"norm_num_groups": 3}, "norm_num_groups must divide"),
    "zero groups": ({"norm_num_groups": 0}, "norm_num_groups must be from 1"),
    "deep": ({"layers_per_block": 1000}, "layers_per_block must be from 1 to 8"),
    "activation": ({"act_fn": "__import__"}, "act_fn must be one of silu"),
    "norm": ({"norm_type": "ada_group"}, "norm_type must be one of group"),
    "spatial norm": (
        {"norm_type": "spatial", "vq_embed_dim": 4},
        "vq_embed_dim must be latent_channels where norm_type is spatial",
    ),
    "grey": ({"in_channels": 1}, "in_channels must be from 3 to 3"),
    "text": ({"latent_channels": "3"}, "latent_channels must be a whole number"),
    "larger than its weights": ({"block_out_channels": [2048]}, "asks for a larger network"),
    "more codes": ({"num_vq_embeddings": 300}, r"has the shape \(1, 256, 3\)"),
    "another activation's shape": ({"layers_per_block": 2}, "missing tensor"),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    saved(folder)
    return folder


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_configurations_are_refused(sound: Path, tmp_path: Path, name: str) -> None:
    changes, message = HOSTILE[name]
    shutil.copytree(sound, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(CheckpointError, match=message) as error:
        load(tmp_path)
    assert len(str(error.value)) < 400


def test_hostile_weights_are_refused(sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    tensors = safetensors.torch.load_file(file)
    safetensors.torch.save_file(tensors | {"extra": torch.zeros(1)}, file)
    with pytest.raises(CheckpointError, match="1 unknown tensor\\(s\\): 'extra'"):
        load(tmp_path)
    tensors["quant_conv.bias"][0] = torch.nan
    safetensors.torch.save_file(tensors, file)
    with pytest.raises(CheckpointError, match="holds NaN or infinity"):
        load(tmp_path)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="of which the header knows"):
        load(tmp_path)
    file.unlink()
    with pytest.raises(CheckpointError, match=f"{file.name}: this file is missing"):
        load(tmp_path)


def test_without_diffusers_it_says_what_to_install(
    sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(CheckpointError, match="not installed: pip install diffusers"):
        load(sound)
