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
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from engine.methods import build_method
from engine.path.segments import measure
from engine.problem.problem import build_problem
from engine.record.events import Outcome, StringShortened
from engine.run.choose_backend import backend_of
from engine.spec.keys import Spec
from engine.spec.yaml_file import parse, with_overrides
from engine.workers.pool import Pool
from engine.workers.shared import SharedPool
from presets import load_preset

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
class Ended:
    outcome: str
    beads: list[torch.Tensor]
    steps: int
    length: float
    shortened: StringShortened | None


def search(spec: Spec, pool: SharedPool, most: int) -> Ended:
    """One pair, to its verdict or to that many bead-steps."""
    method = build_method(spec, pool)
    while method.verdict is None and method.bead_steps < most:
        most_beads = spec.limits.beads
        room = None if most_beads is None else max(0, most_beads - len(method.chain.order))
        method.step(room)
    return Ended(
        "limit" if method.verdict is None else str(method.verdict.outcome),
        [method.chain.weights[bead] for bead in method.chain.order],
        method.bead_steps,
        method.chain.normalized_length(),
        method.trials.shortened,
    )


def holds(pool: Pool, ended: Ended, level: float, points: int) -> bool:
    """Whether the string stays below the level on that many points a segment, in float64."""
    pairs, grid = list(pairwise(ended.beads)), np.linspace(0, 1, points)
    measured = measure(pool, pairs, grid, len(pool.backend.problem.train), dtype=torch.float64)
    return all(segment.peak <= level for segment in measured)


@dataclass(frozen=True)
class Cell:
    """All seeds of a method at a level."""

    ended: list[Ended]
    hold: int
    seconds: float
    """For all searches together, their strings' last check left out."""


def cell(spec: Spec, seeds: int, most: int, at_once: int, points: int) -> Cell:
    backend = backend_of("fused", spec.problem, build_problem(spec.problem))
    began = time.perf_counter()
    ended: list[Ended] = []
    with Pool(backend, [torch.device("cpu")] * 2) as pool:
        for first in range(0, seeds, at_once):
            shared = SharedPool(pool)

            def task(seed: int, shared: SharedPool = shared) -> Callable[[], Ended]:
                return lambda: search(with_seed(spec, seed), shared, most)

            some = range(first, min(first + at_once, seeds))
            ended += shared.run_all([task(seed) for seed in some])
        seconds = time.perf_counter() - began
        good = [one for one in ended if one.outcome == Outcome.CONNECTED]
        hold = sum(holds(pool, one, spec.search.level, points) for one in good)
    return Cell(ended, hold, seconds)


def with_seed(spec: Spec, seed: int) -> Spec:
    return spec.model_copy(update={"seed": seed})


def line(preset: str, spec: Spec, found: Cell) -> str:
    ended = found.ended
    count = Counter(one.outcome for one in ended)
    good = [one for one in ended if one.outcome == Outcome.CONNECTED]
    lengths = [one.length for one in good]
    error = statistics.stdev(lengths) / len(lengths) ** 0.5 if len(lengths) > 1 else float("nan")
    length = f"{statistics.mean(lengths):.3f} ± {error:.3f}" if lengths else "–"
    beads = f"{statistics.median(len(one.beads) for one in good):g}" if good else "–"
    return (
        f"| {preset} | {spec.search.level:g} | {spec.search.method} | {len(good)}/{len(ended)} | "
        f"{found.hold} | {count['endpoint_not_trained']} | "
        f"{count['not_connected']} | {count['limit']} | "
        f"{statistics.median(one.steps for one in ended):.0f} | {beads} | {length} | "
        f"{found.seconds / len(ended):.2f} |"
    )


def shortening(found: Cell) -> str:
    told = [one.shortened for one in found.ended if one.shortened is not None]
    means = [
        statistics.mean(float(getattr(one, name)) for one in told)
        for name in ("length_before", "length_after", "beads_before", "beads_after")
    ]
    return (
        f"{len(told)} strings shortened: mean normalized length {means[0]:.4f} to {means[1]:.4f}, "
        f"mean beads {means[2]:.1f} to {means[3]:.1f}"
    )


def main() -> None:
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
    tree = load_preset(asked.preset).model_dump(mode="json")
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---" * len(COLUMNS) + "|", flush=True)
    for level in asked.levels:
        for method in asked.methods or ("greedy", "constrained", "auto"):
            sets = [f"search.level={level}", f"search.method={method}", *asked.sets]
            spec = parse(with_overrides(tree, sets))
            found = cell(spec, asked.seeds, asked.steps, asked.at_once, asked.grid)
            print(line(asked.preset, spec, found), flush=True)
            if spec.search.shorten:
                print(shortening(found), flush=True)


if __name__ == "__main__":
    main()
