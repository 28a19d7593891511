"""Training on from a network that is there: a deeper one that starts as it (Net2Net).

Chen et al., "Net2Net" (arXiv 1511.05641): a layer that is inserted starts as the identity, so
nothing that was learned is lost. A residual block is the identity where its last convolution is 0.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from vq.autoencoder import VQVAE, ResidualBlock, VQVAEConfig
from vq.registry import config_of

# What may differ from the network that is continued: what is trained, not what is computed.
FREE = ("encoder_blocks", "decoder_blocks", "ema_decay", "restart_below", "beta", "rotation")


def grown(old: VQVAE, config: VQVAEConfig) -> VQVAE:
    """A VQ-VAE of `config` that encodes and decodes exactly as `old` does, ready to be trained.

    Raises ValueError if `config` has fewer residual blocks, or differs in a field that changes
    what is computed.
    """
    for field in dataclasses.fields(VQVAEConfig):
        mine, its = getattr(config, field.name), getattr(old.config, field.name)
        if field.name not in FREE and mine != its:
            raise ValueError(f"to start from it, {field.name} must be {its} as there, not {mine}")
    model = VQVAE(config)
    for part in ("encoder", "decoder"):
        _grow(getattr(old, part), getattr(model, part), part)
    model.quantizer.load_state_dict(old.quantizer.state_dict())
    return model


def continue_from(old: nn.Module, model: nn.Module) -> None:
    """Give a prior the weights of one of the same shape.

    Raises ValueError if their configurations differ.
    """
    if config_of(old) != config_of(model):
        raise ValueError(
            f"to start from it, the prior must be {config_of(old)} as there, not {config_of(model)}"
        )
    model.load_state_dict(old.state_dict())


@torch.no_grad()
def _grow(old: nn.Sequential, new: nn.Sequential, part: str) -> None:
    """Copy block for block and layer for layer; the blocks that are left over become nothing."""
    blocks = [[m for m in s if isinstance(m, ResidualBlock)] for s in (old, new)]
    others = [[m for m in s if not isinstance(m, ResidualBlock)] for s in (old, new)]
    missing = len(blocks[0]) - len(blocks[1])
    if missing > 0:
        raise ValueError(f"to start from it, {part}_blocks must be {len(blocks[0])} or more")
    for source, target in (*zip(*others, strict=True), *zip(*blocks, strict=False)):
        target.load_state_dict(source.state_dict())
    for added in blocks[1][len(blocks[0]) :]:
        for weights in added.conv1.parameters():
            weights.zero_()
