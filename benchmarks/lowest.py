"""The lowest levels found between pairs of ends, checked by proofs and by finer measurements.

Each pair is trained by its recipe for a number of epochs, and `search.level: lowest` looks for the
lowest level at which it connects. The string that comes of it is measured again in float64 on a
grid of its own, and the lowest level at which it can be proven is looked for anew, from its weights
alone. Neither may exceed the level that the search tells, and the second may not be lower by more
than the resolution.

    python benchmarks/lowest.py quadratic --epochs 5000 --seeds 5
    python benchmarks/lowest.py digits --epochs 30 --seeds 5
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from math import inf, isfinite, nan

import torch

import engine

COLUMNS = (
    "preset",
    "seed",
    "method",
    "worse end",
    "straight line",
    "lowest level",
    "failed at",
    "tries",
    "beads",
    "steps",
    "s",
    "finer grid",
    "proven",
    "proven / told",
)


def line(preset: str, seed: int, method: str, asked: argparse.Namespace) -> str:
    """Returns the table's line of a pair."""
    overrides = [
        "search.level=lowest",
        "endpoints.until=epochs",
        f"endpoints.epochs={asked.epochs}",
        f"search.method={method}",
    ]
    spec = engine.load_preset(preset, overrides, seed=seed, device="cpu")
    began = time.perf_counter()
    search = engine.search(spec)
    ended = search.run()
    seconds = time.perf_counter() - began
    bracket, level = ended.bracket, ended.level
    assert bracket is not None and level is not None
    if ended.outcome is not engine.Outcome.CONNECTED:
        return f"| {preset} | {seed} | {method} | {ended.sentence} |"
    string = search.string()
    highest = max(engine.verify(string, asked.points).peaks)
    reached = lowest_proven(string) if asked.proofs else nan
    failed = f"{bracket.failed:.5g}" if isfinite(bracket.failed) else "–"
    cells = (
        preset,
        seed,
        method,
        f"{bracket.ends:.5g}",
        f"{bracket.line:.4g}",
        f"{level:.5g}",
        failed,
        bracket.tries,
        ended.totals.beads,
        ended.totals.bead_steps,
        f"{seconds:.1f}",
        f"{highest:.5g}",
        f"{reached:.5g}",
        f"{reached / level:.4f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def lowest_proven(string: engine.StringFile) -> float:
    """Returns the lowest level at which a string is proven anew; infinite where it is not."""
    proven = engine.certify(string, level=inf)
    return proven.level if proven.certified else inf


def table(asked: argparse.Namespace) -> Iterator[str]:
    """Yields the lines of the table."""
    yield "| " + " | ".join(COLUMNS) + " |"
    yield "|" + "---|" * len(COLUMNS)
    for method in asked.methods.split(","):
        for seed in range(asked.seeds):
            yield line(asked.preset, seed, method, asked)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", default="greedy")
    parser.add_argument("--points", type=int, default=2001)
    parser.add_argument("--proofs", action=argparse.BooleanOptionalAction, default=True)
    torch.set_num_threads(1)
    for row in table(parser.parse_args()):
        print(row, flush=True)
