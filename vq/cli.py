"""python -m vq COMMAND: train, evaluate and use checkpoints from the command line."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from vq.arguments import build_parser
from vq.checkpoints import CheckpointError
from vq.recipes import STAGES

if TYPE_CHECKING:
    from vq.autoencoder import VQVAE


def _sampling(args: argparse.Namespace) -> dict[str, Any]:
    names = ("label", "guidance", "temperature", "top_k", "top_p", "steps", "remask", "particles")
    return {name: getattr(args, name) for name in names}


def _train(args: argparse.Namespace) -> None:
    from vq.hub import load
    from vq.recipes import get_recipe
    from vq.stages import train_recipe

    settings = {}
    if args.steps is not None or args.minutes is not None:
        for stage in STAGES:
            settings[f"{stage}.training.steps"] = str(args.steps or 0)
            settings[f"{stage}.training.minutes"] = str(args.minutes or 0)
    for setting in args.set:
        path, found, value = setting.partition("=")
        if not found:
            raise ValueError(f"--set takes FIELD=VALUE, not {setting!r}")
        settings[path] = value
    recipe = get_recipe(args.recipe).override(settings)
    runs = args.runs or Path("runs") / recipe.name
    out = args.out or runs / "checkpoint"
    stages = (args.stage,) if args.stage else None
    start = load(args.start) if args.start else None
    train_recipe(recipe, args.data, runs, out, stages, start=start, quiet=args.quiet)


def _reproduce(args: argparse.Namespace) -> None:
    from vq.experiments import Task, record, reproduce

    out = args.out or Path("runs") / args.experiment
    reproduce(args.experiment, Task(args.data, out, args.minutes, args.device, args.quiet))
    if args.record:
        record(args.experiment, out)
    print((out / "result.md").read_text("utf-8"))


def _evaluate(args: argparse.Namespace) -> None:
    from vq.data import load_pictures
    from vq.evaluation import evaluate
    from vq.hub import load

    data = load_pictures(args.data, args.split, size=args.size, limit=args.limit)
    _show(evaluate(load(args.checkpoint), data, search=args.search), as_json=args.json)


def _card(args: argparse.Namespace) -> None:
    from vq.card import write_card
    from vq.recipes import get_recipe

    _show(write_card(get_recipe(args.recipe), args.checkpoint, args.data, args.limit), as_json=True)


def _reconstruct(args: argparse.Namespace) -> None:
    from vq.hub import load
    from vq.inpainting import decode
    from vq.pictures import read_picture

    picture = read_picture(args.picture)
    autoencoder = load(args.checkpoint).autoencoder
    codes = _codes_of(picture, autoencoder, args.search)
    width, height = picture.size
    Image.fromarray(decode(autoencoder, codes[None])[0, :height, :width]).save(args.out)
    print(f"{args.out}: {_summary(codes)}")


def _encode(args: argparse.Namespace) -> None:
    from vq.code_file import CodeFile
    from vq.hub import load
    from vq.pictures import read_picture, working_size
    from vq.weights import fingerprint

    picture = read_picture(args.picture)
    autoencoder = load(args.checkpoint).autoencoder
    if args.longest is not None:
        size = working_size(*picture.size, autoencoder.stride, args.longest)
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    codes = _codes_of(picture, autoencoder, args.search)
    num_codes = autoencoder.config.num_codes
    CodeFile(fingerprint(autoencoder), num_codes, codes, picture.size).save(args.out)
    print(f"{args.out}: {_summary(codes)}, {args.out.stat().st_size} bytes")


def _decode(args: argparse.Namespace) -> None:
    from vq.code_file import CodeFile
    from vq.hub import load
    from vq.inpainting import decode
    from vq.weights import fingerprint

    file = CodeFile.load(args.codes)
    autoencoder = load(args.checkpoint).autoencoder
    codes = file.codes_of(fingerprint(autoencoder))
    picture = Image.fromarray(decode(autoencoder, codes[None])[0])
    width, height = file.picture_size or picture.size
    if width > picture.width or height > picture.height:
        raise ValueError(f"{args.codes}: {picture.size} pixels cannot be cut to {width, height}")
    picture = picture.crop((0, 0, width, height))
    picture.save(args.out)
    print(f"{args.out}: {picture.width}x{picture.height} pixels")


def _codes_of(picture: Image.Image, autoencoder: VQVAE, search: int) -> np.ndarray:
    """The codes of a picture whose sides are padded up to multiples of the stride by their edge."""
    from vq.inpainting import encode

    stride = autoencoder.stride
    pads = ((0, -picture.height % stride), (0, -picture.width % stride), (0, 0))
    return encode(autoencoder, np.pad(np.asarray(picture), pads, "edge"), search=search)


def _summary(codes: np.ndarray) -> str:
    return f"{codes.shape[1]}x{codes.shape[0]} codes, {len(np.unique(codes))} different"


def _inpaint(args: argparse.Namespace) -> None:
    from vq.hub import load
    from vq.inpainting import inpaint
    from vq.pictures import read_mask, read_picture

    picture = read_picture(args.picture)
    results = inpaint(
        load(args.checkpoint),
        picture,
        read_mask(args.mask, picture.size),
        prior=args.prior,
        mode=args.mode,
        variations=args.variations,
        seed=args.seed,
        **_sampling(args),
    )
    for i, result in enumerate(results):
        many = len(results) > 1
        out = args.out.with_stem(f"{args.out.stem}-{args.seed + i}") if many else args.out
        result.save(out)
        print(out)


def _latents(args: argparse.Namespace) -> None:
    from vq.hub import load
    from vq.inpainting import encode
    from vq.latents import encode as encode_map
    from vq.latents import fitted
    from vq.pictures import read_picture

    checkpoint = load(args.checkpoint)
    codes = encode(checkpoint.autoencoder, fitted(checkpoint, read_picture(args.picture)))
    print(",".join(map(str, encode_map(checkpoint, codes))))


def _sample(args: argparse.Namespace) -> None:
    from vq.generation import sample_pictures
    from vq.hub import load
    from vq.inpainting import decode
    from vq.latents import decoding_steps
    from vq.pictures import picture_grid

    if not 1 <= args.n <= 1024:
        raise ValueError(f"-n must be from 1 to 1024, not {args.n}")
    checkpoint = load(args.checkpoint)
    seeds = [args.seed + i for i in range(args.n)]
    if args.latents is None:
        pictures = sample_pictures(checkpoint, args.prior, seeds, **_sampling(args))
    else:
        sampling = {name: getattr(args, name) for name in ("temperature", "top_k", "top_p")}
        codes = [int(code) for code in args.latents.split(",")]
        *_, last = decoding_steps(checkpoint, codes, seeds, **sampling)
        pictures = decode(checkpoint.autoencoder, last["codes"])
    picture_grid(pictures).save(args.out)
    print(args.out)


def _pull(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from vq.hub import pull_steps

    steps = pull_steps(
        args.repo,
        args.revision,
        token=args.token,
        deadline=args.deadline,
        refresh=args.refresh,
    )
    with tqdm(unit="B", unit_scale=True, desc=args.repo, leave=False, disable=None) as bar:
        while True:
            try:
                progress = next(steps)
            except StopIteration as end:
                folder = end.value
                break
            bar.total = progress.total or None
            bar.update(progress.done - bar.n)
    print(folder)


def _push(args: argparse.Namespace) -> None:
    from vq.hub import push

    print(push(args.folder, args.repo, args.revision, private=args.private))


def _info(args: argparse.Namespace) -> None:
    from vq.checkpoints import describe
    from vq.hub import resolve

    _show(describe(resolve(args.checkpoint)), as_json=args.json)


def _show(figures: dict[str, Any], *, as_json: bool, indent: str = "") -> None:
    if as_json:
        print(json.dumps(figures, indent=2, allow_nan=False))
        return
    for name, value in figures.items():
        if isinstance(value, dict):
            print(f"{indent}{name}")
            _show(value, as_json=False, indent=indent + "  ")
        else:
            shown = f"{value:.4g}" if isinstance(value, float) else value
            print(f"{indent}{name:<22} {shown}")


COMMANDS = {
    "train": _train,
    "reproduce": _reproduce,
    "evaluate": _evaluate,
    "card": _card,
    "reconstruct": _reconstruct,
    "encode": _encode,
    "decode": _decode,
    "inpaint": _inpaint,
    "latents": _latents,
    "sample": _sample,
    "pull": _pull,
    "push": _push,
    "info": _info,
}


def main(argv: list[str] | None = None) -> int:
    """Run a command; a mistake of the caller's is one line on standard error and status 2."""
    args = build_parser().parse_args(argv)
    try:
        COMMANDS[args.command](args)
    except (ValueError, CheckpointError, OSError) as error:
        print(f"vq {args.command}: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name != "accelerate":
            raise
        print(f"vq {args.command}: needs accelerate: pip install -e '.[train]'", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"vq {args.command}: interrupted", file=sys.stderr)
        return 130
    return 0
