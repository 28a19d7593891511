"""The door to the models, on small real networks with random weights."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import structural_similarity

from demo.jobs import Refusal, Settings, Step
from demo.studio import LONGEST, TURN, Studio
from vq import inpainting
from vq.autoencoder import VQVAE, VQVAEConfig
from vq.checkpoints import Checkpoint, CheckpointError
from vq.code_search import PASSES, search_codes
from vq.pictures import to_tensor
from vq.priors.masked import MaskedPrior, MaskedPriorConfig
from vq.regions import composite, mask_from_hole
from vq.surprise import code_bits

K, STRIDE, LABELS = 32, 4, ("castle", "forest")


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        autoencoder = VQVAE(VQVAEConfig(hidden=16, residual_hidden=8, num_codes=K, code_dim=8))
        prior = MaskedPrior(
            MaskedPriorConfig(
                num_codes=K, map_size=(8, 8), labels=LABELS, channels=8, width=16, depth=1, heads=1
            )
        )
        # Weights as at the start of training give flat pictures and one code: spread both.
        for parameter in [*autoencoder.parameters(), *prior.parameters()]:
            if parameter.ndim > 1:
                parameter.data *= 3
        with torch.no_grad():
            z = autoencoder._encoded(torch.rand(4, 3, 64, 64))
            vectors = z.permute(0, 2, 3, 1).reshape(-1, 8)[:: z.shape[2] * z.shape[3] * 4 // K][:K]
            autoencoder.quantizer.codebook.copy_(vectors[None])
    return Checkpoint(autoencoder.eval(), {"masked": prior.eval()})


@pytest.fixture(scope="module")
def studio(checkpoint: Checkpoint) -> Studio:
    return Studio(checkpoint, "small", "cpu")


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """48 × 64 pixels, 12 × 16 codes: larger than the prior's map."""
    generator = np.random.default_rng(1)
    coarse = Image.fromarray(generator.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((64, 48), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def cells() -> np.ndarray:
    cells = np.zeros((12, 16), bool)
    cells[3:7, 2:11] = True
    return cells


def last(studio: Studio, picture: np.ndarray, cells: np.ndarray, settings: Settings) -> Step:
    *_, step = studio.resample(picture, studio.encode(picture), cells, settings)
    return step


def test_it_says_what_is_loaded(studio: Studio) -> None:
    about = studio.describe()
    assert (about.name, about.num_codes, about.stride, about.device) == ("small", K, STRIDE, "cpu")
    assert about.priors == ("masked",) and about.labels == LABELS
    assert about.palette.shape == (K, 3) and len(np.unique(about.palette, axis=0)) > K // 2


@pytest.mark.parametrize(
    ("upload", "working"),
    [
        ((2000, 1000), (512, 256)),
        ((512, 512), (512, 512)),
        ((130, 97), (128, 96)),
        ((1, 1), (4, 4)),
    ],
)
def test_an_upload_is_worked_on_at_a_size_the_stride_divides(
    studio: Studio, upload: tuple[int, int], working: tuple[int, int]
) -> None:
    prepared = studio.prepare(Image.new("RGB", upload, (10, 20, 30)))
    assert prepared.shape == (working[1], working[0], 3) and max(prepared.shape) <= LONGEST
    assert (prepared == [10, 20, 30]).all()


def test_codes_and_pictures_are_the_autoencoders(
    studio: Studio, checkpoint: Checkpoint, picture: np.ndarray
) -> None:
    codes = studio.encode(picture)
    tensor = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
    expected = checkpoint.autoencoder.encode(tensor)
    np.testing.assert_array_equal(codes, expected[0].numpy())
    assert len(np.unique(codes)) > 4  # or the tests below would see nothing
    decoded = checkpoint.autoencoder.decode(expected)[0].detach().permute(1, 2, 0).numpy() * 255
    np.testing.assert_array_equal(studio.decode(codes), np.rint(decoded).astype(np.uint8))


def test_searched_codes_are_the_librarys(
    studio: Studio, checkpoint: Checkpoint, picture: np.ndarray
) -> None:
    there = np.random.default_rng(0).integers(0, 16, studio.encode(picture).shape)
    picture = studio.decode(there)  # so that there is something to be found
    codes = np.zeros_like(there)
    shares, maps = zip(*studio.search(picture, codes), strict=True)
    assert shares == tuple(np.arange(PASSES + 1) / PASSES) and (maps[0] == codes).all()
    start = torch.from_numpy(codes)[None]
    expected = search_codes(checkpoint.autoencoder, to_tensor(picture), start)[0].numpy()
    np.testing.assert_array_equal(maps[-1], expected)
    errors = [np.square(studio.decode(one).astype(float) - picture).mean() for one in maps]
    assert errors[-1] < errors[0]


def test_steps_fill_the_hole_and_nothing_else(
    studio: Studio, picture: np.ndarray, cells: np.ndarray
) -> None:
    codes = studio.encode(picture)
    before = np.repeat(cells[None], 2, 0)
    previous = np.repeat(codes[None], 2, 0)
    outside = ~mask_from_hole(cells, STRIDE)
    count = 0
    for count, step in enumerate(
        studio.resample(picture, codes, cells, Settings(variations=2, steps=5, seed=3)), start=1
    ):
        assert step.step == count <= step.steps
        assert not (step.remaining & ~before).any() and (step.remaining != before).any()
        just_filled = before & ~step.remaining
        np.testing.assert_array_equal(step.codes[~just_filled], previous[~just_filled])
        np.testing.assert_array_equal(step.picture[outside], picture[outside])
        unfilled = mask_from_hole(step.remaining[0], STRIDE)
        np.testing.assert_array_equal(step.picture[unfilled], picture[unfilled])
        before, previous = step.remaining, step.codes
    assert count == step.steps and not before.any()
    assert (previous[:, cells] != codes[cells]).any()


def test_a_variation_depends_on_its_own_seed_alone(
    studio: Studio, picture: np.ndarray, cells: np.ndarray
) -> None:
    torch.manual_seed(1)
    together = last(studio, picture, cells, Settings(variations=3, seed=10, steps=4))
    for i, seed in enumerate((10, 11, 12)):
        torch.manual_seed(i)
        alone = last(studio, picture, cells, Settings(seed=seed, steps=4))
        np.testing.assert_array_equal(alone.codes[0], together.codes[i])
    assert (together.codes[0] != together.codes[1]).any()


def test_visitors_at_the_same_time_get_what_they_would_get_alone(
    studio: Studio, picture: np.ndarray, cells: np.ndarray
) -> None:
    jobs = [Settings(seed=seed, steps=4) for seed in range(4)]
    alone = [last(studio, picture, cells, job).codes for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda job: last(studio, picture, cells, job).codes, jobs)
        for expected, codes in zip(alone, together, strict=True):
            np.testing.assert_array_equal(codes, expected)


def test_a_closed_job_stops_at_once_and_others_get_in_between_its_steps(
    studio: Studio, checkpoint: Checkpoint, picture: np.ndarray, cells: np.ndarray
) -> None:
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    prior = checkpoint.priors["masked"]
    original = prior.logits  # called directly, so that a forward hook would not see it

    def counted(*args: object, **kwargs: object) -> torch.Tensor:
        count()
        return original(*args, **kwargs)

    prior.logits = counted
    try:
        job = studio.resample(picture, studio.encode(picture), cells, Settings(steps=6))
        next(job)
        next(job)
        assert studio.encode(picture).shape == cells.shape  # would wait for ever for the turn
        job.close()
        assert calls == 2 and not TURN.locked()
    finally:
        del prior.logits


def test_what_is_removed_leaves_no_trace(
    studio: Studio, picture: np.ndarray, cells: np.ndarray
) -> None:
    mask = mask_from_hole(cells, STRIDE)
    other = picture.copy()
    other[mask] = 255 - other[mask]
    settings = Settings(mode="remove", steps=3, seed=5)
    results = [last(studio, p, cells, settings).codes for p in (picture, other)]
    np.testing.assert_array_equal(results[0], results[1])
    # The same two pictures do differ where the codes are only varied, in what the neighbours
    # remember.
    assert (studio.encode(picture) != studio.encode(other))[~cells].any()


def test_rendering_the_part_is_rendering_the_whole(
    studio: Studio, checkpoint: Checkpoint, picture: np.ndarray, cells: np.ndarray
) -> None:
    codes = last(studio, picture, cells, Settings(variations=2, steps=2)).codes
    mask = mask_from_hole(cells, STRIDE)
    whole = inpainting.decode(checkpoint.autoencoder, codes)
    rendered = studio.render(picture, codes, cells)
    for one, decoded in zip(rendered, whole, strict=True):
        expected = composite(picture, decoded, mask, feather=inpainting.FEATHER)
        # Sums over other shapes round otherwise: at most one level.
        assert np.abs(one.astype(int) - expected).max() <= 1
        np.testing.assert_array_equal(one[~mask], picture[~mask])
    assert studio.render(picture, codes, np.zeros_like(cells))[0] is not picture


def test_a_full_mask_is_everything_anew(studio: Studio, picture: np.ndarray) -> None:
    everything = np.ones((12, 16), bool)
    step = last(studio, picture, everything, Settings(steps=3))
    assert not step.remaining.any() and step.codes.shape == (1, 12, 16)
    assert studio.render(picture, step.codes, everything).shape == (1, *picture.shape)


def test_a_reconstruction_and_its_figures(studio: Studio, picture: np.ndarray) -> None:
    coded = studio.reconstruct(picture)
    assert coded.bits == 12 * 16 * math.log2(K)
    np.testing.assert_array_equal(coded.picture, studio.decode(studio.encode(picture)))
    error = np.mean((picture.astype(float) - coded.picture) ** 2)
    assert coded.psnr == pytest.approx(10 * math.log10(255**2 / error), abs=1e-3)
    same = studio.quality(picture, picture)
    assert same[0] == math.inf and same[1] == pytest.approx(1)
    expected = structural_similarity(
        picture / 255.0,
        coded.picture / 255.0,
        channel_axis=2,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert coded.ssim == pytest.approx(expected, abs=0.02)


def test_the_api_gives_what_the_library_gives(
    studio: Studio, checkpoint: Checkpoint, picture: np.ndarray, cells: np.ndarray
) -> None:
    mask = mask_from_hole(cells, STRIDE)
    job = studio.inpaint(Image.fromarray(picture), mask, Settings(seed=8, steps=3))
    steps = 0
    while True:
        try:
            next(job)
        except StopIteration as end:
            (result,) = end.value
            break
        steps += 1
        assert studio.encode(picture).shape == cells.shape  # it lets others in
    assert steps > 1
    (expected,) = inpainting.inpaint(checkpoint, Image.fromarray(picture), mask, seed=8, steps=3)
    np.testing.assert_array_equal(np.asarray(result), np.asarray(expected))
    assert not TURN.locked()


def test_what_cannot_be_done_is_refused_before_it_starts(
    studio: Studio, picture: np.ndarray, cells: np.ndarray
) -> None:
    codes = studio.encode(picture)
    for settings, name, known in [
        (Settings(prior="pixelsnail"), "prior", "masked"),
        (Settings(label="moon"), "label", "castle, forest, *"),
    ]:
        with pytest.raises(Refusal) as refused:
            studio.resample(picture, codes, cells, settings)
        assert refused.value.values["name"] == name
        assert refused.value.values["known"] == known
    with pytest.raises(Refusal, match="empty"):
        studio.inpaint(Image.fromarray(picture), np.zeros((48, 64), bool), Settings())
    assert not TURN.locked()


def test_a_missing_checkpoint_is_named() -> None:
    with pytest.raises(CheckpointError, match="no-such-folder"):
        Studio.load("no-such-folder")


def test_without_a_prior_codes_can_be_had_and_nothing_is_resampled(
    studio: Studio, checkpoint: Checkpoint, picture: np.ndarray, cells: np.ndarray
) -> None:
    bare = Studio(Checkpoint(checkpoint.autoencoder), "bare", "cpu")
    codes = bare.encode(picture)
    np.testing.assert_array_equal(codes, studio.encode(picture))
    np.testing.assert_array_equal(bare.decode(codes), studio.decode(codes))
    assert bare.describe().priors == () and bare.describe().judge is None
    for ask in (
        lambda: bare.resample(picture, codes, cells, Settings()),
        lambda: bare.generate(1, Settings()),
        lambda: bare.surprise(codes, "masked", None),
    ):
        with pytest.raises(Refusal, match="error_no_prior"):
            ask()


def test_several_codes_a_position_are_refused() -> None:
    two = VQVAE(VQVAEConfig(hidden=8, residual_hidden=8, num_codes=8, code_dim=4, books=2))
    with pytest.raises(CheckpointError, match="small: 2 codes a position"):
        Studio(Checkpoint(two), "small")


def test_a_codes_patch_is_what_it_decodes_to_among_copies_of_itself(
    studio: Studio, checkpoint: Checkpoint
) -> None:
    book = studio.code_book()
    vectors = checkpoint.autoencoder.quantizer.codebook[0].numpy()
    np.testing.assert_array_equal(book.vectors, vectors)
    assert book.patches.shape == (K, STRIDE, STRIDE, 3) and book.patches.dtype == np.uint8
    for code in (0, 7, K - 1):
        whole = studio.decode(np.full((40, 40), code))
        middle = np.s_[20 * STRIDE : 21 * STRIDE]
        difference = whole[middle, middle].astype(int) - book.patches[code]
        assert np.abs(difference).max() <= 1  # other shapes round otherwise
    assert len(np.unique(book.patches.reshape(K, -1), axis=0)) > K // 2
    assert studio.code_book() is book  # decoded once


def test_bits_are_the_librarys_and_let_others_in_between(
    studio: Studio, checkpoint: Checkpoint, picture: np.ndarray
) -> None:
    codes = studio.encode(picture)
    job = studio.surprise(codes, "masked", None)
    first = next(job)
    assert first.shape == codes.shape and 0 < np.isnan(first).sum() < first.size
    assert not TURN.locked()
    *_, bits = job
    expected = code_bits(
        checkpoint.priors["masked"], torch.from_numpy(codes.astype(np.int64))[None]
    )
    np.testing.assert_array_equal(bits, expected[0].numpy())
    with pytest.raises(Refusal, match="error_choice"):
        studio.surprise(codes, "other", None)
