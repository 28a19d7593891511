"""The quantizer against NumPy, enumeration and the defects known of public implementations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from vq.quantizer import (
    VectorQuantizer,
    nearest_codes,
    perplexity,
    rotation_trick,
    straight_through,
)


def quantizer(**changes: object) -> VectorQuantizer:
    options = {"num_codes": 8, "code_dim": 4, "restart_below": 0.0} | changes
    torch.manual_seed(0)
    return VectorQuantizer(**options)  # type: ignore[arg-type]


def started(**changes: object) -> VectorQuantizer:
    """A quantizer past its data-dependent start, with a known code book, all but never used."""
    q = quantizer(**changes)
    q.codebook.data.copy_(torch.randn(q.codebook.shape, generator=torch.Generator().manual_seed(5)))
    q.step += 1
    q.counts += 1e-6
    q.sums += 1e-6 * q.codebook.detach()
    return q


def outputs(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(st.integers(1, 40), st.integers(1, 20), st.integers(1, 8), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_nearest_codes_are_the_nearest(n: int, k: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, book = rng.normal(size=(n, d)), rng.normal(size=(k, d))
    distances = ((vectors[:, None] - book[None]) ** 2).sum(-1)
    found = nearest_codes(torch.tensor(vectors), torch.tensor(book)).numpy()
    # Equal to float32 rounding: a tie may go either way.
    assert np.allclose(distances[np.arange(n), found], distances.min(1), atol=1e-5)


def test_search_in_chunks_is_the_search_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, book = outputs(1000, 6), outputs(32, 6, seed=2)
    whole = nearest_codes(vectors, book)
    monkeypatch.setattr("vq.quantizer.CHUNK", 7 * 32)
    assert torch.equal(nearest_codes(vectors, book), whole)


def test_straight_through_has_the_value_of_e_and_the_gradient_of_z() -> None:
    z, e = outputs(1000).requires_grad_(), 1000 * outputs(1000, seed=2)
    y = straight_through(z, e)
    assert torch.equal(y, e)  # to the last bit, at any scale
    weights = outputs(1000, seed=3)
    (y * weights).sum().backward()
    assert z.grad is not None and torch.equal(z.grad, weights)


def rotation(z: torch.Tensor, e: torch.Tensor) -> torch.Tensor:
    """The matrix (D, D) that turns z's direction to e's in their plane, as the exponential of its
    angle times the plane's generator."""
    u = z / z.norm()
    across = e - (e @ u) * u
    w = across / across.norm()
    angle = torch.atan2(e @ w, e @ u)
    return torch.linalg.matrix_exp(angle * (w[:, None] * u - u[:, None] * w))


def test_the_rotation_trick_has_the_value_of_e_and_the_gradient_of_the_rotation() -> None:
    """As arXiv 2410.06424 defines it, with a dense matrix that is made in another way."""
    z, e = outputs(5, 7).double().requires_grad_(), 3 * outputs(5, 7, seed=2).double()
    y = rotation_trick(z, e)
    assert torch.equal(y, e)  # to the last bit
    g = outputs(5, 7, seed=3).double()
    (grad,) = torch.autograd.grad((y * g).sum(), z)
    for i in range(5):
        r = rotation(z[i].detach(), e[i])
        scale = e[i].norm() / z[i].detach().norm()
        assert torch.allclose(scale * r @ z[i], e[i])  # so that it is the rotation asked for
        assert torch.allclose(grad[i], scale * r.T @ g[i])


def test_the_rotation_trick_keeps_the_angle_between_gradient_and_vector() -> None:
    """What the paper wants of it; straight-through does not have this."""
    z, e = outputs(50, 8).requires_grad_(), outputs(50, 8, seed=2)
    y = rotation_trick(z, e)
    g = outputs(50, 8, seed=3)
    (grad,) = torch.autograd.grad((y * g).sum(), z)
    kept = F.cosine_similarity(grad, z.detach())
    assert torch.allclose(kept, F.cosine_similarity(g, e), atol=1e-5)


@pytest.mark.parametrize("z", [[0.0, 0.0], [-2.0, 0.0], [1.0, 0.0]])
def test_the_rotation_trick_is_finite_where_there_is_no_plane(z: list[float]) -> None:
    vector = torch.tensor([z], requires_grad=True)
    y = rotation_trick(vector, torch.tensor([[1.0, 0.0]]))
    (grad,) = torch.autograd.grad(y.sum(), vector)
    assert y.tolist() == [[1.0, 0.0]] and grad.isfinite().all()


def test_with_rotation_only_the_gradient_differs() -> None:
    z = outputs(2, 8, 3, 5)
    with_it, without = started(books=2, rotation=True).eval(), started(books=2).eval()
    assert torch.equal(with_it(z).vectors, without(z).vectors)
    z.requires_grad_()
    (grad,) = torch.autograd.grad(with_it(z).vectors.square().sum(), z)
    # Each book rotates its own part of the channels.
    part = z[:, 4:].detach().permute(0, 2, 3, 1).requires_grad_()
    e = with_it(z).vectors[:, 4:].detach().permute(0, 2, 3, 1)
    (expected,) = torch.autograd.grad(rotation_trick(part, e).square().sum(), part)
    assert torch.allclose(grad[:, 4:].permute(0, 2, 3, 1), expected, atol=1e-5)


def test_losses_equal_numpy_and_reach_only_what_they_should() -> None:
    q = started(ema=False)
    z = outputs(2, 4, 3, 5).requires_grad_()
    out = q(z)
    rows = z.detach().numpy().transpose(0, 2, 3, 1).reshape(-1, 4)
    book = q.codebook.detach().numpy()[0]
    codes = ((rows[:, None] - book) ** 2).sum(-1).argmin(1)
    assert np.array_equal(out.codes.numpy().ravel(), codes)
    expected = ((rows - book[codes]) ** 2).mean()
    assert out.codebook_loss.item() == pytest.approx(expected, rel=1e-5)
    assert out.commitment_loss.item() == pytest.approx(expected, rel=1e-5)

    grads = torch.autograd.grad(out.codebook_loss, [z, q.codebook], allow_unused=True)
    assert grads[0] is None
    # d/de of the mean over n x D elements: 2 (e - z) / (n D), summed over the rows of a code.
    by_hand = np.zeros_like(book)
    np.add.at(by_hand, codes, 2 * (book[codes] - rows) / rows.size)
    assert np.allclose(grads[1][0], by_hand, atol=1e-6)

    grads = torch.autograd.grad(q(z).commitment_loss, [z, q.codebook], allow_unused=True)
    assert grads[1] is None
    by_hand = 2 * (rows - book[codes]) / rows.size
    assert np.allclose(grads[0].permute(0, 2, 3, 1).reshape(-1, 4), by_hand, atol=1e-6)


@pytest.mark.parametrize("loaded", [False, True])
def test_ema_books_follow_the_debiased_average_of_equation_6(loaded: bool) -> None:
    q = quantizer(ema=True, decay=0.9)
    batches = [outputs(4, 4, 4, 4, seed=s) for s in range(6)]
    sums, counts = np.zeros((8, 4)), np.zeros(8)
    if loaded:  # as if every code had always been chosen the mean number of times, 8 of 64 rows
        q.load_state_dict(started().state_dict())
        counts += 8 / (1 - 0.9)
        sums += 8 / (1 - 0.9) * q.codebook[0].numpy()
    else:
        q._initialise(q._flatten(batches[0]))  # as the first forward will do again
    for z in batches:
        before = q.codebook[0].numpy().copy()
        rows = z.numpy().transpose(0, 2, 3, 1).reshape(-1, 4)
        codes = ((rows[:, None] - before) ** 2).sum(-1).argmin(1)
        q(z)
        # A weighted mean with weights 0.9^age: no zero of the start weighs in.
        sums, counts = sums * 0.9, counts * 0.9
        np.add.at(sums, codes, rows)
        np.add.at(counts, codes, 1)
        expected = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1e-12)[:, None], before)
        assert np.allclose(q.codebook[0].numpy(), expected, atol=1e-5)
    assert not any(p.requires_grad for p in q.parameters())


def test_first_batch_initialises_the_code_book_with_its_own_vectors() -> None:
    q = quantizer(ema=False)
    z = outputs(1, 4, 4, 4)
    q(z)
    rows = {tuple(v) for v in z.permute(0, 2, 3, 1).reshape(-1, 4).tolist()}
    chosen = {tuple(v) for v in q.codebook[0].tolist()}
    assert chosen <= rows
    assert len(chosen) == 8


def test_a_loaded_code_book_is_trained_on_not_initialised_anew() -> None:
    trained = started(restart_below=0.0)
    other = quantizer(restart_below=0.0)
    other.load_state_dict(trained.state_dict())
    chosen = other(outputs(1, 4, 1, 2)).codes.unique()  # two at most: the others must stay
    rest = [i for i in range(8) if i not in chosen]
    assert torch.allclose(other.codebook[0, rest], trained.codebook[0, rest])


@pytest.mark.parametrize("ema", [True, False])
def test_a_restarted_code_survives_the_same_step_and_the_next(ema: bool) -> None:
    q = started(ema=ema, restart_below=0.03, decay=0.9)
    q.codebook.data[0, 3] = 1e4  # so far away that nothing chooses it
    z = outputs(8, 4, 4, 4)
    q(z)
    restarted = q.codebook[0, 3].clone()
    rows = z.permute(0, 2, 3, 1).reshape(-1, 4)
    assert (rows == restarted).all(1).any(), "it must stand on an encoder output"
    assert float(q.counts[0, 3]) > 0
    if ema:
        assert torch.allclose(q.sums[0, 3] / q.counts[0, 3], restarted)
    q(z)
    # The next average moves it, but not back to where it was (encodec issue 61).
    assert q.codebook[0, 3].norm() < 10
    assert 3 in q(z).codes


def test_no_restart_when_turned_off() -> None:
    q = started(restart_below=0.0)
    q.codebook.data[0, 3], q.counts[0, 3] = 1e4, 0
    q(outputs(8, 4, 4, 4))
    assert q.codebook[0, 3].norm() > 1e4


def test_evaluation_changes_nothing() -> None:
    q = started(restart_below=0.03).eval()
    before = {k: v.clone() for k, v in [*q.named_buffers(), *q.named_parameters()]}
    q(outputs(2, 4, 4, 4))
    after = dict([*q.named_buffers(), *q.named_parameters()])
    assert all(torch.equal(after[k], v) for k, v in before.items())


def test_books_are_independent() -> None:
    q = started(books=3)
    z = outputs(2, 12, 3, 4)
    out = q(z)
    assert out.codes.shape == (2, 3, 4, 3)
    for book in range(3):
        part = z[:, 4 * book : 4 * book + 4].permute(0, 2, 3, 1).reshape(-1, 4)
        one = nearest_codes(part, started(books=3).codebook[book]).reshape(2, 3, 4)
        assert torch.equal(out.codes[..., book], one)


@pytest.mark.parametrize("books", [1, 3])
def test_vectors_of_the_codes_equal_the_forward_pass(books: int) -> None:
    q = started(books=books).eval()
    out = q(outputs(2, 4 * books, 3, 5))
    assert torch.equal(q.vectors(out.codes), out.vectors)
    assert torch.equal(q.encode(outputs(2, 4 * books, 3, 5)), out.codes)


def test_codes_outside_the_book_are_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 7"):
        quantizer().vectors(torch.tensor([[[8]]]))
    with pytest.raises(ValueError, match="from 0 to 7"):
        quantizer().vectors(torch.tensor([[[-1]]]))


def test_autocast_does_not_reach_the_quantizer() -> None:
    z = outputs(4, 4, 8, 8) * 1e-3 + 1  # differences that bfloat16 cannot hold
    q = started().eval()
    q.codebook.data.copy_(outputs(1, 8, 4, seed=9) * 1e-3 + 1)
    with torch.autocast("cpu", torch.bfloat16):
        inside = q(z)
    assert torch.equal(inside.codes, q(z).codes)
    assert inside.vectors.dtype == torch.float32


def test_random_state_is_neither_read_nor_moved() -> None:
    def run(seed: int) -> torch.Tensor:
        q = quantizer(restart_below=0.1)
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        for s in range(4):
            q(outputs(2, 4, 4, 4, seed=s))
        assert torch.equal(torch.get_rng_state(), before)
        return q.codebook.clone()

    assert torch.equal(run(1), run(2))


@given(st.lists(st.integers(0, 50), min_size=2, max_size=20).filter(any))
def test_perplexity_is_exp_entropy(counts: list[int]) -> None:
    p = np.array(counts) / sum(counts)
    entropy = -sum(x * np.log(x) for x in p if x > 0)
    assert float(perplexity(torch.tensor(counts))) == pytest.approx(np.exp(entropy), rel=1e-5)


def test_the_average_pulls_a_code_to_the_mean_of_its_vectors() -> None:
    """Two clusters, two codes: the means are where k-means would end."""
    clusters = torch.tensor([[-5.0, 0.0], [5.0, 1.0]])
    q = VectorQuantizer(2, 2, decay=0.5, restart_below=0.0)
    q.codebook.data.copy_(torch.tensor([[[-1.0, 0.0], [1.0, 0.0]]]))
    q.step += 1
    noise = outputs(1, 64, 2)
    z = (clusters.repeat(32, 1) + 0.1 * noise[0]).T.reshape(1, 2, 8, 8)
    for _ in range(30):
        q(z)
    rows = z.permute(0, 2, 3, 1).reshape(-1, 2)
    means = torch.stack([rows[rows[:, 0] < 0].mean(0), rows[rows[:, 0] > 0].mean(0)])
    assert F.mse_loss(q.codebook[0], means) < 1e-10
