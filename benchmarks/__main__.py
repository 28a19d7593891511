"""python -m benchmarks NAME [--json]: every figure is a median of warm runs, made in one go."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks import (
    batching,
    codec,
    exactness,
    filling_quality,
    load,
    nearest_codes,
    pipeline,
    prior_architectures,
    resampling,
    startup,
    trials,
)
from vq.checkpoints import DEFAULT_CHECKPOINT


def table(rows: dict[str, Any], indent: str = "") -> str:
    """Nested figures as aligned lines."""
    lines = []
    for name, value in rows.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}", table(value, indent + "  ")]
        else:
            lines.append(f"{indent}{name:<32} {value:.4g}" if isinstance(value, float)
                         else f"{indent}{name:<32} {value}")  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True, metavar="NAME")

    p = commands.add_parser("pipeline", help="encode, decode and fill a hole, at three sizes")
    p.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    p.set_defaults(run=lambda a: pipeline.measure(a.checkpoint))

    p = commands.add_parser("resampling", help="fill a hole with either prior: speed and growth")
    p.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    p.add_argument("--plot", type=Path, help="draw the growth to this file (.svg, .png)")
    p.set_defaults(run=lambda a: resampling.measure(a.checkpoint))

    p = commands.add_parser("batching", help="several visitors in one batch, against in turn")
    p.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    p.set_defaults(run=lambda a: batching.measure(a.checkpoint))

    p = commands.add_parser("codec", help="encode and decode, against eager float32")
    p.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    p.set_defaults(run=lambda a: codec.measure(a.checkpoint))

    p = commands.add_parser("nearest-codes", help="the search, against vector-quantize-pytorch")
    p.set_defaults(run=lambda a: nearest_codes.measure())

    p = commands.add_parser("exactness", help="distance to the exact conditional, by particles")
    p.set_defaults(run=lambda a: exactness.measure())

    p = commands.add_parser(
        "filling-quality", help="how well fillings of real holes join up, by way to fill (long)"
    )
    p.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    p.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets")
    p.add_argument("--holes", type=int, default=204, help="how many (204)")
    p.add_argument("--temperature", type=float, default=1.0, help="of every way (1)")
    p.set_defaults(
        run=lambda a: filling_quality.measure(a.checkpoint, a.data, a.holes, a.temperature)
    )

    p = commands.add_parser("startup", help="from `python app.py` to the page, and memory")
    p.set_defaults(run=lambda a: startup.measure())

    p = commands.add_parser(
        "prior-architectures",
        help="masked priors of several shapes, each trained for the same time (long)",
    )
    p.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    p.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets")
    p.add_argument("--minutes", type=float, default=4.0, help="training time of each (4)")
    p.add_argument("--only", nargs="*", help="names of the shapes to train")
    p.set_defaults(
        run=lambda a: prior_architectures.measure(a.checkpoint, a.data, a.minutes, a.only)
    )

    p = commands.add_parser(
        "trials", help="what would make the autoencoder better: one change at a time (long)"
    )
    p.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    p.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets")
    p.add_argument("--steps", type=int, default=400, help="of each from the shipped weights (400)")
    p.add_argument("--only", nargs="*", help="names of the trials to make")
    p.add_argument("--sheets", type=Path, help="draw each one's reconstructions in this folder")
    p.set_defaults(run=lambda a: trials.measure(a.checkpoint, a.data, a.steps, a.only, a.sheets))

    p = commands.add_parser("load", help="a crowd, cancelled jobs, a flood, hostile input (long)")
    p.add_argument("parts", nargs="*", help=f"of {', '.join(load.PARTS)} (all)")
    p.add_argument("--visitors", type=int, default=32, help="of the crowd (32)")
    p.add_argument("--requests", type=int, default=20, help="of each visitor (20)")
    p.add_argument("--callers", type=int, default=200, help="of the flood (200)")
    p.add_argument("--minutes", type=float, default=10.0, help="of the soak (10)")
    p.set_defaults(
        run=lambda a: load.measure(
            a.parts or load.PARTS, a.visitors, a.requests, a.callers, a.minutes
        )
    )

    for command in commands.choices.values():
        command.add_argument("--json", action="store_true", help="print JSON, not a table")
    args = parser.parse_args()
    figures = args.run(args)
    if getattr(args, "plot", None):
        resampling.plot(figures, args.plot)
    print(json.dumps(figures, indent=2) if args.json else table(figures))


if __name__ == "__main__":
    main()
