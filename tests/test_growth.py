"""A network that is trained on from another starts as that one does."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from vq.autoencoder import VQVAE, ResidualBlock, VQVAEConfig
from vq.growth import Kinship, continue_from, grown, kinship
from vq.priors.masked import MaskedPrior, MaskedPriorConfig
from vq.priors.pixelcnn import PixelCNN, PixelCNNConfig

SHALLOW = VQVAEConfig(hidden=8, residual_hidden=4, num_codes=16, code_dim=4)
DEEP = dataclasses.replace(SHALLOW, encoder_blocks=3, decoder_blocks=5, beta=1.0)
PIXELCNN = PixelCNNConfig(num_codes=16, map_size=(4, 4), layers=2, channels=8, head=8)


def old() -> VQVAE:
    torch.manual_seed(0)
    return VQVAE(SHALLOW).eval()


def pictures() -> torch.Tensor:
    return torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(1))


def test_a_deeper_autoencoder_has_the_same_codes_and_the_same_pictures() -> None:
    source = old()
    model = grown(source, DEEP).eval()
    codes = source.encode(pictures())
    assert torch.equal(model.encode(pictures()), codes)
    assert torch.equal(model.decode(codes), source.decode(codes))
    assert model.config == DEEP
    assert sum(isinstance(m, ResidualBlock) for m in model.decoder) == 5


@pytest.mark.parametrize("widths", [(16, 4), (8, 12), (24, 12)])
def test_a_wider_autoencoder_has_the_same_vectors_and_the_same_pictures(
    widths: tuple[int, int],
) -> None:
    source = old()
    config = dataclasses.replace(DEEP, hidden=widths[0], residual_hidden=widths[1])
    model = grown(source, config).eval()
    x = pictures()
    assert torch.allclose(model.encoder(x), source.encoder(x), atol=1e-6)
    z = model.quantizer.vectors(source.encode(x))
    assert torch.allclose(model.decoder(z), source.decoder(z), atol=1e-6)


def test_the_copies_of_a_unit_part_ways() -> None:
    """Twins that get the same gradient would stay one unit."""
    config = dataclasses.replace(SHALLOW, hidden=16)
    model = grown(old(), config).train()
    out = model(pictures())
    (out.reconstruction.square().mean() + out.quantized.commitment_loss).backward()
    for part in (model.encoder, model.decoder):
        first = next(m for m in part if isinstance(m, torch.nn.Conv2d))
        assert first.weight.grad is not None
        one, other = first.weight.grad.chunk(2)
        assert float((one - other).abs().max()) > 0.01 * float(one.abs().max())


def test_what_was_added_learns() -> None:
    """A block that is 0 at both ends would never leave it."""
    model = grown(old(), DEEP).train()
    out = model(pictures())
    (out.reconstruction.square().mean() + out.quantized.commitment_loss).backward()
    for part in (model.encoder, model.decoder):
        for block in (m for m in part if isinstance(m, ResidualBlock)):
            assert block.conv1.weight.grad is not None
            assert float(block.conv1.weight.grad.abs().max()) > 0


def test_a_step_of_training_leaves_the_codes_what_they_are() -> None:
    """The first batch must neither replace the code book nor restart what it does not use."""
    model = grown(old(), SHALLOW).train()
    before = model.quantizer.codebook.clone()
    model(pictures())
    moved = (model.quantizer.codebook - before).norm() / before.norm()
    assert 0 < float(moved) < 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decoder_blocks": 1}, "decoder_blocks must be 2 or more"),
        ({"num_codes": 8}, "num_codes must be 16 or more, not 8"),
        ({"code_dim": 8}, "code_dim must be 4 as there, not 8"),
        ({"hidden": 12}, "hidden must be a multiple of its 8, not 12"),
        ({"residual_hidden": 2}, "residual_hidden must be a multiple of its 4, not 2"),
    ],
)
def test_what_cannot_be_continued_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        grown(old(), dataclasses.replace(SHALLOW, **change))


def test_a_prior_is_continued_if_it_has_the_same_shape() -> None:
    torch.manual_seed(0)
    source, model = PixelCNN(PIXELCNN), PixelCNN(PIXELCNN)
    continue_from(source, model)
    for name, value in source.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    other = PixelCNN(dataclasses.replace(PIXELCNN, layers=3))
    with pytest.raises(ValueError, match=r"the prior must be .*layers=2.* as there"):
        continue_from(source, other)


def test_a_larger_book_is_that_of_the_first_batch_behind_the_same_encoder() -> None:
    source = old()
    model = grown(source, dataclasses.replace(SHALLOW, num_codes=48)).train()
    x = pictures()
    with torch.no_grad():
        z = source.encoder(x - 0.5).permute(0, 2, 3, 1).reshape(-1, 4)  # 48 vectors
        model(x)
    far = (model.quantizer.codebook[0][:, None] - z).norm(dim=-1)
    assert float(far.min(0).values.max()) < 1e-5 and float(far.min(1).values.max()) < 1e-5
    for part in ("encoder", "decoder"):
        for mine, its in zip(
            getattr(model, part).parameters(), getattr(source, part).parameters(), strict=True
        ):
            assert torch.equal(mine, its)


def test_kinship_counts_whose_places_a_code_takes() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 3, 500), rng.integers(0, 6, 500)  # 6 stays unseen
    parents, log_shares = kinship(torch.from_numpy(before), torch.from_numpy(after), 3, 7)
    times = np.array([(after == k).sum() + 1 for k in range(7)])
    for k in range(7):
        together = [((after == k) & (before == j)).sum() for j in range(3)]
        assert together[parents[k]] == max(together)
        siblings = parents.numpy() == int(parents[k])
        assert float(log_shares[k].exp()) == pytest.approx(times[k] / times[siblings].sum())


@pytest.mark.parametrize("kind", ["pixelcnn", "masked"])
def test_a_prior_over_more_codes_says_what_the_old_one_says_of_their_parents(kind: str) -> None:
    """p(finer map) = p(map of the parents) times the shares of the codes, whatever the context."""
    torch.manual_seed(0)
    masked = MaskedPriorConfig(
        num_codes=16, map_size=(4, 4), channels=8, local_blocks=1, width=16, depth=1, heads=2
    )
    network: Any
    config: Any
    network, config = (PixelCNN, PIXELCNN) if kind == "pixelcnn" else (MaskedPrior, masked)
    source = network(config).eval()
    model = network(dataclasses.replace(config, num_codes=40)).eval()
    parents = torch.randint(16, (40,))
    shares = torch.rand(40)
    shares /= torch.zeros(16).index_add_(0, parents, shares)[parents]
    continue_from(source, model, Kinship(parents, shares.log()))
    codes = torch.randint(40, (2, 4, 4))
    args: list[Any] = [[parents[codes]], [codes]]
    if kind == "masked":
        known = torch.rand(2, 4, 4) < 0.5
        args = [[parents[codes], known], [codes, known]]
    axis = 1 if kind == "pixelcnn" else -1  # of the codes
    with torch.no_grad():
        coarse = source(*args[0]).movedim(axis, -1).log_softmax(-1)
        fine = model(*args[1]).movedim(axis, -1).log_softmax(-1)
    # Old codes that are nobody's parent have their share lost: what is left adds up to 1 again.
    expected = coarse[..., parents] + shares.log()
    expected -= expected.logsumexp(-1, keepdim=True)
    assert torch.allclose(fine, expected, atol=1e-5)


def test_a_prior_over_more_codes_must_be_alike_in_all_else() -> None:
    source = PixelCNN(PIXELCNN)
    other = PixelCNN(dataclasses.replace(PIXELCNN, num_codes=40, layers=3))
    with pytest.raises(ValueError, match=r"layers=2.* as there"):
        continue_from(source, other, Kinship(torch.zeros(40, dtype=torch.long), torch.zeros(40)))
