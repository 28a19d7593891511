"""Training on from a network that is there: a deeper or wider one that starts as it (Net2Net).

Chen et al., "Net2Net" (arXiv 1511.05641): a layer that is inserted starts as the identity, so
nothing that was learned is lost. A residual block is the identity where its last convolution is 0.
A wider layer has its units several times over, and what reads them shares its weight out among
the copies, at random, so that they learn different things.

A larger code book is no such copy: it starts at what the encoder says of the first batch. A prior
over its codes starts by saying of each what the old prior says of the old code at its places.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vq.autoencoder import VQVAE, ResidualBlock, VQVAEConfig
from vq.registry import config_of

Convolution = nn.Conv2d | nn.ConvTranspose2d
WIDTHS = ("hidden", "residual_hidden")
# What else may differ from the network that is continued: how it is trained, and what can be
# added without a change to what it computes.
FREE = ("encoder_blocks", "decoder_blocks", "ema_decay", "restart_below", "beta", "rotation")


def grown(old: VQVAE, config: VQVAEConfig) -> VQVAE:
    """A VQ-VAE of `config` that encodes and decodes as `old` does, ready to be trained.

    Bit for bit where it is as wide as the old one, else but for rounding. With more codes, encoder
    and decoder start as the old ones and the code book at the first batch.
    Raises ValueError if `config` has fewer residual blocks or codes, a width that is not a multiple
    of the old one, or differs in a field that changes what is computed.
    """
    for field in dataclasses.fields(VQVAEConfig):
        mine, its = getattr(config, field.name), getattr(old.config, field.name)
        if field.name in WIDTHS:
            if mine % its:
                raise ValueError(
                    f"to start from it, {field.name} must be a multiple of its {its}, not {mine}"
                )
        elif field.name == "num_codes":
            if mine < its:
                raise ValueError(f"to start from it, num_codes must be {its} or more, not {mine}")
        elif field.name not in FREE and mine != its:
            raise ValueError(f"to start from it, {field.name} must be {its} as there, not {mine}")
    model = VQVAE(config)
    for part in ("encoder", "decoder"):
        _grow(getattr(old, part), getattr(model, part), part)
    if config.num_codes == old.config.num_codes:
        model.quantizer.load_state_dict(old.quantizer.state_dict())
    return model


class Kinship(NamedTuple):
    """Which code of an old book each of a new one's K stands for, and how often, given that one."""

    parents: Tensor  # (K,) int64
    log_shares: Tensor  # (K,) float32: log p(code | its parent)


def kinship(old: Tensor, new: Tensor, num_old: int, num_new: int) -> Kinship:
    """Of the same pictures' codes in the old book and in the new one, int64 of one shape.

    A code's parent is the old code that is most often at its places. Shares are of what is there,
    each counted once more than seen, so that no code is impossible.
    """
    pairs = torch.bincount((new * num_old + old).flatten(), minlength=num_new * num_old)
    pairs = pairs.view(num_new, num_old)
    parents, times = pairs.argmax(1), pairs.sum(1) + 1.0
    of_parent = torch.zeros(num_old).index_add_(0, parents, times)
    return Kinship(parents, (times / of_parent[parents]).log())


@torch.no_grad()
def continue_from(old: nn.Module, model: nn.Module, kin: Kinship | None = None) -> None:
    """Give a prior the weights of one of the same shape.

    kin: of the two code books, if they are not of one size. The prior then says of each code what
    the old one says of its parent, times its share, given the parents of the codes around.
    Raises ValueError if their configurations differ in anything else.
    """
    mine, its = config_of(model), config_of(old)
    if kin is not None:
        its = dataclasses.replace(its, num_codes=mine.num_codes)
    if mine != its:
        raise ValueError(f"to start from it, the prior must be {its} as there, not {mine}")
    weights = old.state_dict()
    if kin is not None:
        num_old = config_of(old).num_codes
        for name, target in model.state_dict().items():
            if target.shape != weights[name].shape:  # a row for each code, and for what is hidden
                special = weights[name][num_old:]
                weights[name] = torch.cat([weights[name][kin.parents], special])
        weights["out.bias"] = weights["out.bias"] + kin.log_shares
    model.load_state_dict(weights)


@torch.no_grad()
def _grow(old: nn.Sequential, new: nn.Sequential, part: str) -> None:
    """Copy block for block and layer for layer; the blocks that are left over become nothing."""
    blocks = [[m for m in s if isinstance(m, ResidualBlock)] for s in (old, new)]
    others = [[m for m in s if not isinstance(m, ResidualBlock)] for s in (old, new)]
    missing = len(blocks[0]) - len(blocks[1])
    if missing > 0:
        raise ValueError(f"to start from it, {part}_blocks must be {len(blocks[0])} or more")
    generator = torch.Generator().manual_seed(0)
    for pair in (*zip(*others, strict=True), *zip(*blocks, strict=False)):
        for source, target in zip(*(m.modules() for m in pair), strict=True):
            if isinstance(source, Convolution) and isinstance(target, Convolution):
                _widen(source, target, generator)
    for added in blocks[1][len(blocks[0]) :]:
        for weights in added.conv1.parameters():
            weights.zero_()


def _widen(source: Convolution, target: Convolution, generator: torch.Generator) -> None:
    """Copy n units to 0..n-1, to n..2n-1 and so on; to those that read them, each a share."""
    inputs, outputs = (0, 1) if isinstance(source, nn.ConvTranspose2d) else (1, 0)
    weight: Tensor = source.weight
    copies = target.weight.shape[inputs] // weight.shape[inputs]
    if copies > 1:
        shares = 0.5 + torch.rand(copies, *weight.shape, generator=generator)
        weight = torch.cat([*(weight * shares / shares.sum(0))], inputs)
    copies = target.weight.shape[outputs] // weight.shape[outputs]
    target.weight.copy_(torch.cat([weight] * copies, outputs))
    if source.bias is not None and target.bias is not None:
        target.bias.copy_(source.bias.repeat(copies))
