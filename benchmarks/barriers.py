"""Barriers between pairs of models that were trained alike from different random weights.

Each pair is trained as a search trains its ends, and nothing else. Loss and error are measured
along the straight line between the two, as they are, with the second one relabelled into the order
of the first, and with the models in between repaired (REPAIR). Batch normalization always gets new
statistics at each point. Each number is the mean over the pairs with its standard error. *Over
mean* is the peak less the mean of the ends, and *over chord* the highest rise above the straight
line between their values.

python benchmarks/barriers.py digits --pairs 10
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

import engine
from engine.spec.goal import goal_of
from engine.spec.training import AlignedBy

COLUMNS = (
    "preset",
    "pairs",
    "models",
    "loss of the ends",
    "its peak",
    "over mean",
    "over chord",
    "error over mean",
    "held-out loss over mean",
    "held-out error over mean",
    "s a pair",
)


@dataclass(frozen=True)
class Measured:
    """The barriers of all pairs of one preset, measured in one way."""

    name: str
    """What was done to the models."""
    found: Sequence[engine.Barrier]
    seconds: float


def ends(spec: engine.Spec, pairs: int) -> list[engine.StringFile]:
    """Returns the strings of so many searches that had no room for a third bead."""
    found = engine.search_pairs(spec, [goal_of(spec).level], pairs, pairs)
    missed = [one for one in found if one.finished.totals.beads < 2]
    if missed:
        print(f"{len(missed)} pairs were not trained and are left out")
    return [one.string for one in found if one not in missed]


@dataclass(frozen=True)
class Way:
    """What is done to models before the line between them is measured."""

    name: str
    align: AlignedBy | None = None
    repair: bool = False


WAYS = (
    Way("as they are"),
    Way("repaired", repair=True),
    Way("aligned by weights", "weights"),
    Way("aligned by activations", "activations"),
    Way("aligned by activations, repaired", "activations", repair=True),
)


def measured(way: Way, strings: Sequence[engine.StringFile], points: int) -> Measured:
    """Measures the straight line between the ends of each string."""
    began = time.perf_counter()
    found = [
        engine.barrier(string, points=points, repair=way.repair, align=way.align, certify=False)
        for string in strings
    ]
    return Measured(way.name, found, time.perf_counter() - began)


def told(
    found: Sequence[engine.Barrier], value: Callable[[engine.Barrier], float | None], share: bool
) -> str:
    """Returns the mean of a number over all pairs and its standard error; shares in per cent."""
    values = [each for each in map(value, found) if each is not None]
    if not values:
        return "–"
    factor, unit = (100, " %") if share else (1, "")
    mean = f"{factor * statistics.mean(values):.3g}"
    if len(values) < 2:
        return mean + unit
    return f"{mean} ± {factor * statistics.stdev(values) / len(values) ** 0.5:.2g}{unit}"


def line(preset: str, measured: Measured) -> str:
    """Returns the table's line of a preset in one way."""
    found = measured.found

    def error(split: engine.Barrier, of: str) -> float | None:
        on = split.train if of == "train" else split.held_out
        return None if on is None or on.error is None else on.error.over_mean

    def held_out_loss(each: engine.Barrier) -> float | None:
        return None if each.held_out is None else each.held_out.loss.over_mean

    cells = (
        preset,
        str(len(found)),
        measured.name,
        told(found, lambda each: sum(each.train.loss.ends) / 2, False),
        told(found, lambda each: each.train.loss.peak, False),
        told(found, lambda each: each.train.loss.over_mean, False),
        told(found, lambda each: each.train.loss.over_interpolation, False),
        told(found, lambda each: error(each, "train"), True),
        told(found, held_out_loss, False),
        told(found, lambda each: error(each, "held_out"), True),
        f"{measured.seconds / len(found):.1f}",
    )
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Prints a table of one preset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--points", type=int, default=33)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    overrides = ["limits.beads=2", "search.certify=off", *asked.overrides]
    spec = engine.load_preset(asked.preset, overrides, seed=asked.seed)
    began = time.perf_counter()
    strings = ends(spec, asked.pairs)
    print(f"{len(strings)} pairs trained in {time.perf_counter() - began:.0f} s", flush=True)
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * len(COLUMNS))
    for way in WAYS:
        print(line(asked.preset, measured(way, strings, asked.points)), flush=True)


if __name__ == "__main__":
    main()
