"""python -m vq COMMAND: train, evaluate and use checkpoints from the command line."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from vq.checkpoints import DEFAULT_CHECKPOINT, CheckpointError
from vq.hub import DEADLINE
from vq.inpainting import MODES, TEMPERATURE
from vq.recipes import STAGES

if TYPE_CHECKING:
    from vq.autoencoder import VQVAE


def build_parser() -> argparse.ArgumentParser:
    """The command line, with a help text for every option."""
    parser = argparse.ArgumentParser(
        prog="python -m vq",
        description="See, edit and regenerate pictures through a learned code book (VQ-VAE).",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    p = commands.add_parser(
        "train",
        help="train a recipe's networks",
        description="Train a recipe's autoencoder, then its prior, and save a checkpoint. "
        "Stopped at any moment, the same command continues where it was. For several "
        "processes: torchrun --nproc-per-node N -m vq train ...",
    )
    p.set_defaults(run=_train)
    p.add_argument("recipe", help="name of a recipe, for instance scenes-128")
    p.add_argument(
        "--stage",
        choices=STAGES,
        help="train this stage only, a prior for the autoencoder in --out (those of the recipe)",
    )
    p.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets (data)")
    p.add_argument("--out", type=Path, help="the checkpoint to write (runs/RECIPE/checkpoint)")
    p.add_argument("--runs", type=Path, help="folder for state, log and grids (runs/RECIPE)")
    p.add_argument(
        "--start",
        metavar="CHECKPOINT",
        help="train on from this checkpoint's networks, which may have fewer residual blocks than "
        "the recipe's (start at random)",
    )
    p.add_argument("--steps", type=int, help="budget of each stage in steps, not in minutes")
    p.add_argument("--minutes", type=float, help="budget of each stage in minutes, not in steps")
    p.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change a field of the recipe, for instance autoencoder.training.batch=64",
    )
    p.add_argument("--quiet", action="store_true", help="no progress bar")

    p = commands.add_parser(
        "reproduce",
        help="make an experiment of the paper again",
        description="Train and measure all that an experiment needs, and write its tables, figures "
        "and models. Stopped at any moment, the same command continues where it was.",
    )
    p.set_defaults(run=_reproduce)
    p.add_argument("experiment", help="name of an experiment, for instance ablations")
    p.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets (data)")
    p.add_argument("--out", type=Path, help="folder for all that is made (runs/EXPERIMENT)")
    p.add_argument("--minutes", type=float, help="of training in all (as the experiment says)")
    p.add_argument("--device", choices=("cpu", "cuda"), help="(cuda where there is one)")
    p.add_argument("--record", action="store_true", help="put the result into RESULTS.md as well")
    p.add_argument("--quiet", action="store_true", help="no progress bar")

    p = commands.add_parser(
        "evaluate",
        help="measure a checkpoint on a set of pictures",
        description="PSNR, SSIM and MSE of reconstructions, use of the code book, and bits per "
        "code of each prior (exact for a PixelCNN; for a masked prior an upper bound on -log2 p, "
        "over random orders).",
    )
    p.set_defaults(run=_evaluate)
    _add_checkpoint(p, "checkpoint", nargs="?")
    p.add_argument("--data", type=Path, required=True, help="folder or zip of pictures")
    p.add_argument("--split", help="sub-folder of the data, for instance test")
    p.add_argument("--limit", type=int, help="use this many pictures, spread over the set")
    p.add_argument("--size", type=int, default=128, help="side in pixels (128)")
    p.add_argument("--json", action="store_true", help="print JSON instead of a table")

    p = commands.add_parser(
        "card",
        help="measure a recipe's checkpoint and write its model card",
        description="Measure a checkpoint on the recipe's held-out splits and write the figures, "
        "the recipe's text and a sheet of samples into its README.md.",
    )
    p.set_defaults(run=_card)
    p.add_argument("recipe", help="name of a recipe, for instance scenes-128")
    p.add_argument("checkpoint", type=Path, nargs="?", default=DEFAULT_CHECKPOINT)
    p.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets (data)")
    p.add_argument("--limit", type=int, help="use this many pictures of each split")

    p = commands.add_parser("reconstruct", help="encode and decode a picture")
    p.set_defaults(run=_reconstruct)
    p.add_argument("picture", type=Path)
    _add_common(p)

    p = commands.add_parser(
        "encode",
        help="write the code map of a picture into a small file",
        description="Write the code map of a picture into a file, which `decode` and the app open. "
        "The app shrinks a picture to 512 pixels first and opens maps of that size.",
    )
    p.set_defaults(run=_encode)
    p.add_argument("picture", type=Path)
    _add_common(p)
    p.add_argument("--longest", type=int, help="shrink until no side is above so many pixels")

    p = commands.add_parser("decode", help="make the picture of a code map's file")
    p.set_defaults(run=_decode)
    p.add_argument("codes", type=Path, help="a file that `encode` or the app wrote")
    _add_common(p)

    p = commands.add_parser(
        "inpaint",
        help="make a region of a picture anew",
        description="Repaint where MASK, a picture of the same size, is white. Every pixel "
        "elsewhere stays as it is.",
    )
    p.set_defaults(run=_inpaint)
    p.add_argument("picture", type=Path)
    p.add_argument("mask", type=Path, help="white = repaint; same size as the picture")
    _add_common(p)
    _add_sampling(p)
    p.add_argument(
        "--mode", choices=MODES, default="vary", help="remove blanks the region first (vary)"
    )
    p.add_argument("--variations", type=int, default=1, help="more than one are numbered files (1)")

    p = commands.add_parser(
        "latents",
        help="name a picture in the few codes of a second stage",
        description="The codes of a checkpoint's second stage (`map_vae`) that stand for the whole "
        "picture, which is cropped and scaled to the size that it knows. `sample --latents` "
        "draws pictures given them.",
    )
    p.set_defaults(run=_latents)
    p.add_argument("picture", type=Path)
    _add_checkpoint(p, "--checkpoint")

    p = commands.add_parser("sample", help="let the prior make whole pictures")
    p.set_defaults(run=_sample)
    p.add_argument("-n", type=int, default=16, help="how many (16)")
    p.add_argument(
        "--latents", metavar="CODES", help="as `latents` prints them: given these, not from a prior"
    )
    _add_common(p)
    _add_sampling(p)

    p = commands.add_parser(
        "pull",
        help="fetch a checkpoint from the Hugging Face Hub",
        description="Fetch a checkpoint, one of ours or a VQModel of diffusers, verify it and keep "
        "it in ~/.cache/codebrush/hub or $CODEBRUSH_CACHE. Prints the folder. What is there "
        "already is not asked for again.",
    )
    p.set_defaults(run=_pull)
    p.add_argument("repo", metavar="OWNER/NAME")
    p.add_argument("--revision", default="main", help="branch, tag or commit (main)")
    p.add_argument("--refresh", action="store_true", help="ask for a newer commit")
    p.add_argument("--token", action="store_true", help="send yours, for a private or gated repo")
    p.add_argument("--deadline", type=float, default=DEADLINE, help="seconds at most (60)")

    p = commands.add_parser(
        "push",
        help="upload a checkpoint's folder to the Hugging Face Hub",
        description="Upload a folder as it stands, card and pictures included, after a look at "
        "whether it is sound. Needs a token: `hf auth login`, or HF_TOKEN.",
    )
    p.set_defaults(run=_push)
    p.add_argument("folder", type=Path)
    p.add_argument("repo", metavar="OWNER/NAME", help="is made if it does not exist")
    p.add_argument("--revision", default="main", help="branch, is made as well (main)")
    p.add_argument("--private", action="store_true", help="if the repo is made, make it private")

    p = commands.add_parser("info", help="what a checkpoint is made of")
    p.set_defaults(run=_info)
    _add_checkpoint(p, "checkpoint", nargs="?")
    p.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _add_checkpoint(p: argparse.ArgumentParser, name: str, **options: Any) -> None:
    help = "folder, or the id OWNER/NAME of a repo on the Hub (checkpoints/scenes-128)"
    p.add_argument(name, default=str(DEFAULT_CHECKPOINT), help=help, **options)


def _add_common(p: argparse.ArgumentParser) -> None:
    p.add_argument("-o", "--out", type=Path, required=True, help="file to write")
    _add_checkpoint(p, "--checkpoint")


def _add_sampling(p: argparse.ArgumentParser) -> None:
    p.add_argument("--prior", help="name of a prior of the checkpoint (its first)")
    p.add_argument("--seed", type=int, default=0, help="of the first; the next ones follow (0)")
    p.add_argument("--label", help="class name")
    p.add_argument("--guidance", type=float, default=1.0, help="towards the class; 1 is none (1)")
    p.add_argument(
        "--temperature",
        type=float,
        default=TEMPERATURE,
        help=f"1 samples the prior as it is, 0 takes the likeliest ({TEMPERATURE})",
    )
    p.add_argument("--top-k", type=int, help="draw from the k likeliest codes only")
    p.add_argument("--top-p", type=float, default=1.0, help="draw from this much probability (1)")
    p.add_argument("--steps", type=int, default=12, help="masked: forward passes a window (12)")
    p.add_argument(
        "--remask", type=float, default=0.0, help="masked: share of codes to draw twice (0)"
    )
    p.add_argument("--particles", type=int, default=8, help="pixelcnn: fillings to try (8)")


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
    _show(evaluate(load(args.checkpoint), data), as_json=args.json)


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
    codes = _codes_of(picture, autoencoder)
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
    codes = _codes_of(picture, autoencoder)
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


def _codes_of(picture: Image.Image, autoencoder: VQVAE) -> np.ndarray:
    """The codes of a picture whose sides are padded up to multiples of the stride by their edge."""
    from vq.inpainting import encode

    stride = autoencoder.stride
    pads = ((0, -picture.height % stride), (0, -picture.width % stride), (0, 0))
    return encode(autoencoder, np.pad(np.asarray(picture), pads, "edge"))


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


def main(argv: list[str] | None = None) -> int:
    """Run a command; a mistake of the caller's is one line on standard error and status 2."""
    args = build_parser().parse_args(argv)
    try:
        args.run(args)
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
