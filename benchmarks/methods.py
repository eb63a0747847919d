"""Methods compared over seeds and levels: what connects, with how much work.

Every search of a cell runs in this process and shares its batches with the others of the cell,
so that a hundred pairs take little longer than one. Strings that connect are measured again on a
grid of their own. Bead-steps count every step of every bead, endpoints and failed tries included.

python benchmarks/methods.py quadratic --seeds 100 --levels 1e-2,1e-3,3e-4,1e-4
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import torch

import engine
from engine.spec.goal import goal_of

COLUMNS = (
    "preset",
    "level",
    "method",
    "connected",
    "hold",
    "endpoint not trained",
    "not connected",
    "limit",
    "median steps",
    "median beads",
    "length ± s.e.",
    "s a pair",
)


@dataclass(frozen=True)
class Cell:
    """All seeds of one method at one level."""

    spec: engine.Spec
    """The preset with that method and level."""
    found: list[engine.Found]
    seconds: float
    """For all searches together, their strings' last check left out."""

    @cached_property
    def connected(self) -> list[engine.Found]:
        """The searches that connected their pair."""
        return [one for one in self.found if one.finished.outcome is engine.Outcome.CONNECTED]

    def holding(self, points: int) -> int:
        """Returns how many of these stay below the level, on that many points a segment."""
        highest = goal_of(self.spec).bound
        measured = (engine.measure(one.string, points=points) for one in self.connected)
        return sum(all(each.peak <= highest for each in segments) for segments in measured)


def searched(spec: engine.Spec, seeds: int, at_once: int) -> Cell:
    """Searches from so many seeds, so many at a time."""
    began = time.perf_counter()
    found = engine.search_pairs(spec, [goal_of(spec).level], seeds, at_once)
    return Cell(spec, found, time.perf_counter() - began)


def line(preset: str, cell: Cell, points: int) -> str:
    """Returns the table's line of a cell."""
    search, found = cell.spec.search, cell.found
    count = Counter(one.finished.outcome for one in found)
    good = [one.finished.totals for one in cell.connected]
    lengths = [totals.normalized_length for totals in good]
    error = statistics.stdev(lengths) / len(lengths) ** 0.5 if len(lengths) > 1 else float("nan")
    length = f"{statistics.mean(lengths):.3f} ± {error:.3f}" if lengths else "–"
    beads = f"{statistics.median(totals.beads for totals in good):g}" if good else "–"
    steps = statistics.median(one.finished.totals.bead_steps for one in found)
    return (
        f"| {preset} | {search.level:g} | {search.method} | {len(good)}/{len(found)} | "
        f"{cell.holding(points)} | {count[engine.Outcome.ENDPOINT_NOT_TRAINED]} | "
        f"{count[engine.Outcome.NOT_CONNECTED]} | {count[engine.Outcome.LIMIT_REACHED]} | "
        f"{steps:.0f} | {beads} | {length} | {cell.seconds / len(found):.2f} |"
    )


def shortening(cell: Cell) -> str:
    """Returns a line that says what shortening did to the strings of a cell."""
    told = [
        event
        for one in cell.found
        for event in one.events
        if isinstance(event, engine.events.StringShortened)
    ]
    if not told:
        return "no string shortened"
    means = [
        statistics.mean(float(getattr(one, name)) for one in told)
        for name in ("length_before", "length_after", "beads_before", "beads_after")
    ]
    return (
        f"{len(told)} strings shortened: mean normalized length {means[0]:.4f} to {means[1]:.4f}, "
        f"mean beads {means[2]:.1f} to {means[3]:.1f}"
    )


def main() -> None:
    """Prints the table, a line as soon as its cell has ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--levels", type=lambda text: text.split(","), required=True)
    parser.add_argument("--methods", type=lambda text: text.split(","), default=None)
    parser.add_argument("--steps", type=int, default=300_000, help="bead-steps of a pair at most")
    parser.add_argument("--at-once", type=int, default=100, help="pairs that share a batch")
    parser.add_argument("--grid", type=int, default=501, help="points of the last check")
    parser.add_argument("--set", dest="sets", action="append", default=[])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---" * len(COLUMNS) + "|", flush=True)
    for level in asked.levels:
        for method in asked.methods or ("greedy", "constrained", "auto"):
            sets = [f"search.level={level}", f"search.method={method}"]
            limits = [f"limits.steps={asked.steps}"]
            spec = engine.load_preset(asked.preset, [*sets, *limits, *asked.sets])
            cell = searched(spec, asked.seeds, asked.at_once)
            print(line(asked.preset, cell, asked.grid), flush=True)
            if spec.search.shorten:
                print(shortening(cell), flush=True)


if __name__ == "__main__":
    main()
