"""Options that several commands take, and words for their helps."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

#: What the two models may be that some commands take, for their helps.
TWO_MODELS = (
    "A and B are checkpoints (.pt, .safetensors, .ckpt, …, or a folder from the Hub), or beads of "
    "a string: STRING#first, STRING#last or STRING#17, by its id, of a string file or a run. A "
    "string alone stands for both its ends."
)


def add_set(parser: argparse.ArgumentParser, example: str = "") -> None:
    """Adds the option `--set`, whose help gives an example."""
    such = f", such as {example}" if example else ""
    parser.add_argument(
        "--set",
        dest="overrides",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help=f"override a key of the preset{such} (repeatable)",
    )


def add_names(parser: argparse.ArgumentParser) -> None:
    """Adds the options by which tensors are found in checkpoints, `--key` and `--prefix`."""
    parser.add_argument(
        "--key", metavar="K", help="where checkpoints hold the tensors, as endpoints.key"
    )
    parser.add_argument(
        "--prefix", metavar="X", help="before the tensors' names, as endpoints.prefix"
    )


def add_models(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say what two models are of, and how they are found in files."""
    parser.add_argument(
        "--preset",
        metavar="P",
        help="names data, network and loss; a string that names them itself needs none",
    )
    add_set(parser, "problem.data.limit=2000")
    for part, example in (
        ("network", "'{kind: mlp, sizes: [64, 32, 10]}' or mine.py:Classifier"),
        ("data", "digits or mine.py:moons"),
        ("loss", "cross_entropy or mine.py:focal"),
    ):
        parser.add_argument(
            f"--{part}",
            metavar="F",
            help=f"instead of a preset: what stands behind problem.{part} there, such as "
            f"{example}, or a .yaml file that holds it",
        )
    add_names(parser)
    add_trust(parser)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Adds the option by which functions are run that a file names."""
    parser.add_argument(
        "--run-factories",
        action="store_true",
        help="run the functions that a string, or a file that others may have written, names to "
        "make its network, data or loss",
    )


def add_fps(parser: argparse.ArgumentParser) -> None:
    """Adds the option `--fps`."""
    parser.add_argument(
        "--fps",
        type=positive,
        metavar="N",
        help="times a second that a run is read and shown (default 2, over SSH 1)",
    )


def positive(text: str) -> float:
    """Returns a number above 0 and at most 60. Raises ArgumentTypeError for others."""
    value = float(text)
    if not 0 < value <= 60:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 60")
    return value


def add_display(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a command that shows a search: `--headless`, `--fps` and `--json`."""
    parser.add_argument(
        "--headless", action="store_true", help="no screen: progress in lines, then a summary"
    )
    add_fps(parser)
    parser.add_argument(
        "--json", action="store_true", help="every event as a JSON line on stdout, nothing else"
    )


def add_many(parser: argparse.ArgumentParser, *, example: str = "", seed: str) -> None:
    """Adds the options of commands that run many searches in a folder of their own.

    `example` is a key for `--set`, and `seed` says what the seed is of.
    """
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="new, or one to go on with"
    )
    add_set(parser, example)
    parser.add_argument("--seed", type=int, metavar="N", help=seed)
    parser.add_argument("--device", metavar="D", help="auto, cpu, cuda, or cuda:0,cuda:1")
    parser.add_argument(
        "--headless", action="store_true", help="no screen: progress in lines, then the tables"
    )
    add_fps(parser)
    add_trust(parser)
    parser.add_argument("--json", action="store_true", help="the tables as one JSON object")


def add_crew(parser: argparse.ArgumentParser, *, at_once: bool = True) -> None:
    """Adds the options that say who runs the searches; `--at-once` where many may share batches."""
    which = parser.add_mutually_exclusive_group()
    if at_once:
        which.add_argument(
            "--at-once", type=int, metavar="N", help="searches under way at a time (default 64)"
        )
    which.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="Dask workers run the searches: local:N, tls://HOST:PORT or tcp://HOST:PORT",
    )


def add_grid(parser: argparse.ArgumentParser) -> None:
    """Adds the option that says how finely the evaluator measures."""
    parser.add_argument(
        "--grid", type=int, default=201, metavar="N", help="points of the evaluator on a segment"
    )
