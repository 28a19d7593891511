"""The arguments of python -m vq: every command, option and help text."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from vq import generation
from vq.checkpoints import DEFAULT_CHECKPOINT
from vq.code_search import PASSES
from vq.hub import DEADLINE
from vq.inpainting import GUIDANCE, MODES, TEMPERATURE
from vq.recipes import STAGES


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
        help="train on from this checkpoint's networks, which may be shallower or narrower than "
        "the recipe's, or have fewer codes (start at random)",
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
    _add_checkpoint(p, "checkpoint", nargs="?")
    p.add_argument("--data", type=Path, required=True, help="folder or zip of pictures")
    p.add_argument("--split", help="sub-folder of the data, for instance test")
    p.add_argument("--limit", type=int, help="use this many pictures, spread over the set")
    p.add_argument("--size", type=int, default=128, help="side in pixels (128)")
    p.add_argument("--json", action="store_true", help="print JSON instead of a table")
    _add_search(p)

    p = commands.add_parser(
        "card",
        help="measure a recipe's checkpoint and write its model card",
        description="Measure a checkpoint on the recipe's held-out splits and write the figures, "
        "the recipe's text and a sheet of samples into its README.md.",
    )
    p.add_argument("recipe", help="name of a recipe, for instance scenes-128")
    p.add_argument("checkpoint", type=Path, nargs="?", default=DEFAULT_CHECKPOINT)
    p.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets (data)")
    p.add_argument("--limit", type=int, help="use this many pictures of each split")

    p = commands.add_parser("reconstruct", help="encode and decode a picture")
    p.add_argument("picture", type=Path)
    _add_common(p)
    _add_search(p)

    p = commands.add_parser(
        "encode",
        help="write the code map of a picture into a small file",
        description="Write the code map of a picture into a file, which `decode` and the app open. "
        "The app shrinks a picture to 512 pixels first and opens maps of that size.",
    )
    p.add_argument("picture", type=Path)
    _add_common(p)
    p.add_argument("--longest", type=int, help="shrink until no side is above so many pixels")
    _add_search(p)

    p = commands.add_parser("decode", help="make the picture of a code map's file")
    p.add_argument("codes", type=Path, help="a file that `encode` or the app wrote")
    _add_common(p)

    p = commands.add_parser(
        "inpaint",
        help="make a region of a picture anew",
        description="Repaint where MASK, a picture of the same size, is white. Every pixel "
        "elsewhere stays as it is.",
    )
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
    p.add_argument("picture", type=Path)
    _add_checkpoint(p, "--checkpoint")

    p = commands.add_parser("sample", help="let the prior make whole pictures")
    p.add_argument("-n", type=int, default=16, help="how many (16)")
    p.add_argument(
        "--latents", metavar="CODES", help="as `latents` prints them: given these, not from a prior"
    )
    _add_common(p)
    _add_sampling(
        p, "one in raster order, or its first", temperature=1.0, guidance=generation.GUIDANCE
    )

    p = commands.add_parser(
        "pull",
        help="fetch a checkpoint from the Hugging Face Hub",
        description="Fetch a checkpoint, one of ours or a VQModel of diffusers, verify it and keep "
        "it in ~/.cache/codebrush/hub or $CODEBRUSH_CACHE. Prints the folder. What is there "
        "already is not asked for again.",
    )
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
    p.add_argument("folder", type=Path)
    p.add_argument("repo", metavar="OWNER/NAME", help="is made if it does not exist")
    p.add_argument("--revision", default="main", help="branch, is made as well (main)")
    p.add_argument("--private", action="store_true", help="if the repo is made, make it private")

    p = commands.add_parser("info", help="what a checkpoint is made of")
    _add_checkpoint(p, "checkpoint", nargs="?")
    p.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _add_checkpoint(p: argparse.ArgumentParser, name: str, **options: Any) -> None:
    help = "folder, or the id OWNER/NAME of a repo on the Hub (checkpoints/scenes-128)"
    p.add_argument(name, default=str(DEFAULT_CHECKPOINT), help=help, **options)


def _add_common(p: argparse.ArgumentParser) -> None:
    p.add_argument("-o", "--out", type=Path, required=True, help="file to write")
    _add_checkpoint(p, "--checkpoint")


def _add_search(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--search",
        type=int,
        nargs="?",
        const=PASSES,
        default=0,
        metavar="PASSES",
        help="look for codes that decode better than the nearest, in so many passes "
        f"({PASSES} if no number is given)",
    )


def _add_sampling(
    p: argparse.ArgumentParser,
    prior: str = "its first",
    temperature: float = TEMPERATURE,
    guidance: float = GUIDANCE,
) -> None:
    p.add_argument("--prior", help=f"name of a prior of the checkpoint ({prior})")
    p.add_argument("--seed", type=int, default=0, help="of the first; the next ones follow (0)")
    p.add_argument("--label", help='class name; "*": each in turn, by seed')
    p.add_argument(
        "--guidance",
        type=float,
        default=guidance,
        help=f"towards the class; 1 is none ({guidance:g})",
    )
    p.add_argument(
        "--temperature",
        type=float,
        default=temperature,
        help=f"1 samples the prior as it is, 0 takes the likeliest ({temperature:g})",
    )
    p.add_argument("--top-k", type=int, help="draw from the k likeliest codes only")
    p.add_argument("--top-p", type=float, default=1.0, help="draw from this much probability (1)")
    p.add_argument("--steps", type=int, default=12, help="masked: forward passes a window (12)")
    p.add_argument(
        "--remask", type=float, default=0.0, help="masked: share of codes to draw twice (0)"
    )
    p.add_argument("--particles", type=int, default=8, help="pixelcnn: fillings to try (8)")
