"""The `VQModel` of the diffusers library as an autoencoder of ours: its codes, its pictures.

Many published tokenizers have this form: VQGANs (Esser et al., arXiv 2012.09841), MaskGIT's, that
of aMUSEd, Kandinsky's MoVQ. diffusers is an optional dependency, imported when such a model is
built. What its `config.json` may say is checked here first: diffusers itself would build anything.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from vq.autoencoder import VQVAE, check_ranges
from vq.layout import CONFIG, DIFFUSERS_WEIGHTS, MAX_CONFIG_BYTES
from vq.quantizer import VectorQuantizer
from vq.strict_files import CheckpointError, config_from_json, read_file, read_json
from vq.weights import StoredTensor, file_tensors

CLASS_NAME = "VQModel"
DOWN_BLOCKS = ("DownEncoderBlock2D", "AttnDownEncoderBlock2D")
UP_BLOCKS = ("UpDecoderBlock2D", "AttnUpDecoderBlock2D")
ACTIVATIONS = ("silu", "swish", "mish", "gelu", "relu")
NORMS = ("group", "spatial")
# Fields of config.json without a say in what codes and pictures are.
UNUSED = {"_class_name", "_diffusers_version", "_name_or_path", "sample_size", "scaling_factor"}
UNUSED |= {"lookup_from_codebook", "force_upcast"}


@dataclass(frozen=True)
class DiffusersVQConfig:
    """Shape of a VQModel, under diffusers' names and with its defaults.

    Raises ValueError, naming field and limits, if one is out of range.
    """

    in_channels: int = 3
    out_channels: int = 3
    down_block_types: tuple[str, ...] = ("DownEncoderBlock2D",)
    up_block_types: tuple[str, ...] = ("UpDecoderBlock2D",)
    block_out_channels: tuple[int, ...] = (64,)
    layers_per_block: int = 1
    act_fn: str = "silu"
    latent_channels: int = 3
    num_vq_embeddings: int = 256
    norm_num_groups: int = 32
    vq_embed_dim: int = 3
    norm_type: str = "group"
    mid_block_add_attention: bool = True

    def __post_init__(self) -> None:
        limits = {
            "in_channels": (3, 3),
            "out_channels": (3, 3),
            "layers_per_block": (1, 8),
            "latent_channels": (1, 1024),
            "num_vq_embeddings": (2, 65_536),
            "norm_num_groups": (1, 1024),
            "vq_embed_dim": (1, 1024),
        }
        check_ranges(self, limits)
        widths = self.block_out_channels
        if not 1 <= len(widths) <= 7 or not all(1 <= width <= 2048 for width in widths):
            raise ValueError("block_out_channels must be 1 to 7 numbers from 1 to 2048")
        if any(width % self.norm_num_groups for width in widths):
            raise ValueError("norm_num_groups must divide every one of block_out_channels")
        for name, allowed in (("down_block_types", DOWN_BLOCKS), ("up_block_types", UP_BLOCKS)):
            types = getattr(self, name)
            if len(types) != len(widths) or not set(types) <= set(allowed):
                raise ValueError(
                    f"{name} must be {len(widths)} of {', '.join(allowed)}, one for each of "
                    "block_out_channels"
                )
        for name, choices in (("act_fn", ACTIVATIONS), ("norm_type", NORMS)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}")
        if self.norm_type == "spatial" and self.vq_embed_dim != self.latent_channels:
            raise ValueError("vq_embed_dim must be latent_channels where norm_type is spatial")

    @property
    def channels(self) -> int:
        """Of a picture."""
        return self.in_channels

    @property
    def num_codes(self) -> int:
        """K, the number of codes in the code book."""
        return self.num_vq_embeddings

    @property
    def stride(self) -> int:
        """Pixels of a side for each code of a side: every block but the last halves."""
        return int(2 ** (len(self.block_out_channels) - 1))

    @property
    def books(self) -> int:
        """Code books: always one."""
        return 1


class DiffusersVQ(VQVAE):
    """`vq.autoencoder.VQVAE` with the encoder and decoder of a VQModel. For inference.

    Pictures (B, 3, H, W) are in [0, 1] as everywhere here, and are taken to diffusers' [-1, 1]
    and back. Everything is computed in float32, as these networks were trained.
    """

    def __init__(self, config: DiffusersVQConfig) -> None:
        try:
            from diffusers import VQModel
        except ImportError:
            raise CheckpointError(
                "this is a model of the diffusers library, which is not installed: "
                "pip install diffusers"
            ) from None
        nn.Module.__init__(self)
        self.config = config  # type: ignore[assignment]
        model = VQModel(**asdict(config))
        self.encoder = _Encoder(model.encoder, model.quant_conv)  # type: ignore[assignment]
        self.quantizer = VectorQuantizer(config.num_codes, config.vq_embed_dim, ema=False)
        self.decoder = _Decoder(  # type: ignore[assignment]
            model.decoder, model.post_quant_conv, spatial=config.norm_type == "spatial"
        )

    @property
    def reach(self) -> None:
        """The decoder looks at all of the map: its normalisation does, and its attention."""


class _Encoder(nn.Module):
    """Pictures - 0.5 -> what is quantized (B, D, h, w)."""

    def __init__(self, net: nn.Module, quant_conv: nn.Module) -> None:
        super().__init__()
        self.net, self.quant_conv = net, quant_conv

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            # Contiguous: the last bits are then diffusers' own as well.
            z: Tensor = self.quant_conv(self.net(x.contiguous() * 2))
        return z


class _Decoder(nn.Module):
    """Code vectors (B, D, h, w) -> pictures - 0.5."""

    def __init__(self, net: nn.Module, post_quant_conv: nn.Module, *, spatial: bool) -> None:
        super().__init__()
        self.net, self.post_quant_conv, self.spatial = net, post_quant_conv, spatial

    def forward(self, e: Tensor) -> Tensor:
        e = e.contiguous()
        with torch.autocast(e.device.type, enabled=False):
            x: Tensor = self.net(self.post_quant_conv(e), e if self.spatial else None)
        return x / 2


def read_config(root: Path, folder: str) -> DiffusersVQConfig:
    """The configuration in `folder` (a prefix such as "vqvae/") of a checkpoint's folder.

    Fields that are missing have diffusers' defaults; unknown ones are refused.
    Raises CheckpointError.
    """
    name = folder + CONFIG
    values = read_json(read_file(root, name, MAX_CONFIG_BYTES), name)
    if values.get("_class_name") != CLASS_NAME:
        found = str(values.get("_class_name"))[:40]
        raise CheckpointError(f"{name}: _class_name must be {CLASS_NAME}, not {found!r}")
    given = {key: value for key, value in values.items() if key not in UNUSED}
    if given.get("vq_embed_dim") is None:
        given["vq_embed_dim"] = given.get("latent_channels", DiffusersVQConfig.latent_channels)
    defaults = {
        field.name: list(field.default) if isinstance(field.default, tuple) else field.default
        for field in fields(DiffusersVQConfig)
    }
    return config_from_json(DiffusersVQConfig, {**defaults, **given}, name)


def find_tensors(root: Path, folder: str) -> dict[str, StoredTensor]:
    """The tensors of a VQModel's file, under the names they have in `DiffusersVQ`.

    Raises CheckpointError.
    """
    names = [folder + name for name in DIFFUSERS_WEIGHTS]
    file = next((name for name in names if (root / name).exists()), names[0])
    found = {}
    for key, tensor in file_tensors(root, file).items():
        if key == "quantize.embedding.weight":
            tensor = replace(tensor, shape=(1, *tensor.shape))  # (K, D), of the only book
        found[_renamed(key)] = tensor
    return found


def _renamed(key: str) -> str:
    for pattern, name in _NAMES:
        key = pattern.sub(name, key)
    return key


_NAMES = [
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^encoder\.", "encoder.net."),
        (r"^quant_conv\.", "encoder.quant_conv."),
        (r"^quantize\.embedding\.weight$", "quantizer.codebook"),
        (r"^decoder\.", "decoder.net."),
        (r"^post_quant_conv\.", "decoder.post_quant_conv."),
        # Attention as it was called before diffusers 0.13.
        (r"(\.attentions\.\d+)\.([qkv])(?:uery|ey|alue)\.", r"\1.to_\2."),
        (r"(\.attentions\.\d+)\.proj_attn\.", r"\1.to_out.0."),
    )
]
