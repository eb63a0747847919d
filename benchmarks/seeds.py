"""Runs a preset over seeds and levels, verifies every string that connects, and prints a table.

All searches run in this process. With `--jobs 1` each runs alone; with more they share batches,
which changes no bit where small networks train in compiled code, and rounding elsewhere.

python benchmarks/seeds.py quadratic --seeds 20 --levels 1e-3 --grid 2001
python benchmarks/seeds.py quadratic-paper --seeds 10 --levels .125,.05,.01 --paper figures.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import engine
from engine import Outcome


@dataclass(frozen=True)
class Cell:
    """How the search from one seed at one level ended."""

    level: float
    seed: int
    outcome: Outcome
    holds: bool | None
    """Whether the string file was verified; None where there is no connection."""
    beads: int
    steps: int
    """Steps of all beads together."""
    length: float
    """The string's length divided by the distance of its ends."""
    seconds: float
    """Running time, waits for other searches included."""


def cell_of(found: engine.Found, grid: int) -> Cell:
    """Returns how a search ended, its string verified on that many points a segment."""
    finished, totals = found.finished, found.finished.totals
    connected = finished.outcome is Outcome.CONNECTED
    cell = Cell(
        found.string.header.level,
        found.string.header.seed,
        finished.outcome,
        engine.verify(found.string, grid, run_factories=True).holds if connected else None,
        totals.beads,
        totals.bead_steps,
        totals.normalized_length,
        totals.elapsed_s,
    )
    print(cell, file=sys.stderr, flush=True)
    return cell


def mean(values: list[float]) -> float:
    """Returns the mean, NaN of no values."""
    return statistics.mean(values) if values else float("nan")


def error_of_mean(values: list[float]) -> float:
    """Returns the standard error of the mean, NaN of fewer than two values."""
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")


def table(cells: list[Cell], paper: dict[float, tuple[float, float]]) -> None:
    """Prints a line for each level; `paper` holds (mean, standard error) of lengths by level."""
    head = "level  connected  hold  no endpoint  not connected  limit  beads  length ± s.e.  "
    print(head + "paper ± s.e.  z  median steps  median s")
    for level in sorted({cell.level for cell in cells}, reverse=True):
        here = [cell for cell in cells if cell.level == level]
        good = [cell for cell in here if cell.outcome is Outcome.CONNECTED]
        count = {outcome: sum(cell.outcome is outcome for cell in here) for outcome in Outcome}
        lengths = [cell.length for cell in good]
        ours, sem = mean(lengths), error_of_mean(lengths)
        theirs, their_sem = paper.get(level, (float("nan"), float("nan")))
        z = (ours - theirs) / (sem**2 + their_sem**2) ** 0.5
        print(
            f"{level:<7g} {len(good)}/{len(here)}  {sum(bool(c.holds) for c in good)}  "
            f"{count[Outcome.ENDPOINT_NOT_TRAINED]}  {count[Outcome.NOT_CONNECTED]}  "
            f"{count[Outcome.LIMIT_REACHED]}  "
            f"{mean([float(c.beads) for c in good]):.2f}  {ours:.3f} ± {sem:.3f}  "
            f"{theirs:.3f} ± {their_sem:.3f}  {z:+.2f}  "
            f"{statistics.median(c.steps for c in here):.0f}  "
            f"{statistics.median(c.seconds for c in here):.1f}"
        )


def main() -> None:
    """Runs all searches, then verifies their strings and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument(
        "--levels", type=lambda text: [float(part) for part in text.split(",")], required=True
    )
    parser.add_argument("--grid", type=int, default=2001)
    parser.add_argument("--jobs", type=int, default=2, help="searches under way at a time")
    parser.add_argument("--set", dest="sets", action="append", default=[])
    parser.add_argument("--paper", type=Path, help="the paper's figures as JSON")
    asked = parser.parse_args()
    paper: dict[float, tuple[float, float]] = {}
    if asked.paper:
        points = json.loads(asked.paper.read_text())["quadratics"]["points"]
        paper = {p["threshold"]: (p["norm_length"], p["norm_length_sem"]) for p in points}
    spec = engine.load_preset(asked.preset, asked.sets, seed=0)
    found = engine.search_pairs(spec, asked.levels, asked.seeds, asked.jobs)
    table([cell_of(one, asked.grid) for one in found], paper)


if __name__ == "__main__":
    main()
