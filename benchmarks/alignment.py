"""What alignment brings to a search: the same pairs of ends as they are, and relabelled.

`python -m benchmarks.alignment digits --pairs 10` trains the ends of each pair and searches a path
between them three times: as they are, relabelled by weights, and by activations
(`endpoints.align`). It prints the means over the pairs: the peak of the straight line over the
level, the optimizer steps of beads on the path (without those of the ends), the sample gradients
of these steps with the samples that matching passed through the network, the beads, the normalized
length, and how many pairs were connected. Ends are trained alike in all three, and nothing is
proven. No further pair is begun after `--seconds`.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from statistics import mean

import torch

import engine
from engine.alignment.align import CHECKED
from engine.alignment.evidence import SAMPLES
from engine.problem.problem import build_problem

ARMS: tuple[str | None, ...] = (None, "weights", "activations")


@dataclass(frozen=True)
class Found:
    """One search between a pair."""

    peak: float
    """The highest loss on the straight line, as a multiple of the level."""
    steps: int
    """Optimizer steps of the beads on the path."""
    gradients: int
    """Sample gradients of these steps, and samples passed through the network to match units."""
    beads: int
    length: float
    connected: bool


def searched(preset: str, seed: int, arm: str | None) -> Found:
    """Trains a pair, relabels it where asked, and searches a path."""
    spec = engine.load_preset(
        preset, {"endpoints.align": None if arm == "null" else arm}, seed=seed
    )
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
    samples = len(build_problem(spec.problem).train)
    steps = finished.totals.bead_steps - of_ends
    batch = spec.search.greedy.batch_size
    gradients = steps * (samples if batch == "full" else batch)
    if arm is not None:
        gradients += 2 * min(CHECKED, samples)
    if arm == "activations":
        gradients += 2 * min(SAMPLES, samples)
    (straight,) = engine.measure([file.string.beads[0], file.string.beads[-1]], spec)
    return Found(
        straight.peak / file.header.level,
        steps,
        gradients,
        len(file.string.beads),
        finished.totals.normalized_length,
        finished.outcome is engine.Outcome.CONNECTED,
    )


def row(found: list[Found]) -> str:
    """The means over some pairs; lengths are those of connected ones."""
    lengths = [each.length for each in found if each.connected]
    return (
        f"{mean(each.peak for each in found):7.2f} {mean(each.steps for each in found):9.0f} "
        f"{mean(each.gradients for each in found):11.0f} {mean(each.beads for each in found):6.1f} "
        f"{mean(lengths) if lengths else float('nan'):7.4f} "
        f"{sum(each.connected for each in found):3d}/{len(found)}"
    )


def main() -> None:
    """Searches all pairs and prints a line for each way of alignment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=300, help="after which no pair is begun")
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.monotonic()
    found: dict[str | None, list[Found]] = {arm: [] for arm in ARMS}
    for seed in range(options.pairs):
        if time.monotonic() - began > options.seconds:
            break
        for arm in ARMS:
            found[arm].append(searched(options.preset, seed, arm))
            print(
                f"pair {seed} {arm or 'null':12} {row(found[arm][-1:])}",
                file=sys.stderr,
                flush=True,
            )
    print(f"{'align':12} {'peak':>7} {'steps':>9} {'gradients':>11} {'beads':>6} {'length':>7}")
    for arm in ARMS:
        print(f"{arm or 'null':12} {row(found[arm])}")


if __name__ == "__main__":
    main()
