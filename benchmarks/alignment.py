"""What alignment brings to a search: the same pairs of ends as they are, and relabelled.

`python -m benchmarks.alignment digits --pairs 10` trains the ends of each pair and searches a path
between them three times: as they are, relabelled by weights, and by activations
(`endpoints.align`). It prints the means over the pairs: the peak of the straight line over the
level, the optimizer steps of beads on the path (without those of the ends), the sample gradients
of these steps with the samples that matching passed through the network, the beads, the normalized
length, and how many pairs were connected. Ends are trained alike in all three, and `--set
search.certify=off` leaves out proofs. Each search is a line of `--out` as soon as it has ended, and
the same command goes on from there. No further pair is begun after `--seconds`.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median

import torch

import engine
from benchmarks.rows import Row, Rows
from engine.alignment.align import CHECKED
from engine.alignment.evidence import SAMPLES
from engine.problem.problem import build_problem

ARMS = ("null", "weights", "activations")


@dataclass(frozen=True)
class Found:
    """One search between a pair."""

    pair: int
    arm: str
    """`endpoints.align`."""
    peak: float
    """The highest loss on the straight line, as a multiple of the level."""
    steps: int
    """Optimizer steps of the beads on the path."""
    gradients: int
    """Sample gradients of these steps, and samples passed through the network to match units."""
    beads: int
    length: float
    connected: bool
    seconds: float


def searched(preset: str, overrides: list[str], pair: int, arm: str) -> Found:
    """Trains a pair, relabels it where asked, and searches a path."""
    began = time.perf_counter()
    spec = engine.load_preset(preset, [*overrides, f"endpoints.align={arm}"], seed=pair)
    of_ends = 0
    with engine.search(spec) as search:
        for event in search:
            match event:
                case engine.events.EndpointTrained(steps=steps):
                    of_ends += steps
                case engine.events.BeadFailed(bead=bead, steps=steps) if bead in (1, 2):
                    of_ends += steps
                case _:
                    pass
        file, finished = search.string(), search.finished
    assert finished is not None
    steps = finished.totals.bead_steps - of_ends
    (straight,) = engine.measure([file.string.beads[0], file.string.beads[-1]], spec)
    return Found(
        pair,
        arm,
        straight.peak / file.header.level,
        steps,
        gradients(spec, steps, arm),
        len(file.string.beads),
        finished.totals.normalized_length,
        finished.outcome is engine.Outcome.CONNECTED,
        time.perf_counter() - began,
    )


def gradients(spec: engine.Spec, steps: int, arm: str) -> int:
    """Returns the sample gradients of so many steps, and the samples that matching has passed."""
    samples, batch = len(build_problem(spec.problem).train), spec.search.greedy.batch_size
    of_steps = steps * (samples if batch == "full" else batch)
    checked = 0 if arm == "null" else 2 * min(CHECKED, samples)
    compared = 2 * min(SAMPLES, samples) if arm == "activations" else 0
    return of_steps + checked + compared


def line(arm: str, rows: list[Row]) -> str:
    """Returns the means over some pairs; lengths are those of connected ones."""
    lengths = [row["length"] for row in rows if row["connected"]]
    return (
        f"{arm:12} {mean(row['peak'] for row in rows):7.2f} "
        f"{mean(row['steps'] for row in rows):9.0f} {median(row['steps'] for row in rows):9.0f} "
        f"{mean(row['gradients'] for row in rows):11.0f} {mean(row['beads'] for row in rows):6.1f} "
        f"{mean(lengths) if lengths else float('nan'):7.4f} {len(lengths):4d}/{len(rows)}"
    )


def main() -> None:
    """Searches all pairs and prints a line for each way of alignment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3600, help="after which none is begun")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--out", type=Path, help="default runs/alignment-PRESET.jsonl")
    options = parser.parse_args()
    torch.set_num_threads(1)
    out = options.out or Path("runs") / f"alignment-{Path(options.preset).stem}.jsonl"
    rows = Rows(out, {"preset": options.preset, "set": options.overrides})
    began = time.monotonic()
    for pair in range(options.pairs):
        if time.monotonic() - began > options.seconds:
            break
        for arm in ARMS:
            if rows.find(pair=pair, arm=arm) is None:
                row = rows.add(asdict(searched(options.preset, options.overrides, pair, arm)))
                print(f"pair {pair} {line(arm, [row])}", file=sys.stderr, flush=True)
    print(
        f"{'align':12} {'peak':>7} {'steps':>9} {'median':>9} {'gradients':>11} {'beads':>6} "
        f"{'length':>7} connected"
    )
    for arm in ARMS:
        if every := rows.every(arm=arm):
            print(line(arm, every))


if __name__ == "__main__":
    main()
