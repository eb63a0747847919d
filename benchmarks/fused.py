"""Compiled training steps against a plain loop of nn.Module + torch.optim.

One thread. Both are timed by turns in one run; the ratio is the median of the repeats' ratios.
python benchmarks/fused.py [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from engine.backends.fused.compilation import warm_up
from engine.backends.fused.layout import Layout
from engine.backends.fused.problem import FusedProblem
from engine.data import load_data
from engine.data.digits import DigitsData
from engine.spec.optimizers import Adam
from engine.spec.training import Training
from engine.steps.rows import fresh

BEADS = (1, 8, 32, 128)
ACTIVATIONS = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}
LOSSES = {"mse": nn.MSELoss, "l1": nn.L1Loss, "cross_entropy": nn.CrossEntropyLoss}


@dataclass(frozen=True)
class Case:
    """A network and its training data, and how many samples a step takes."""

    layout: Layout
    x: NDArray[np.float32]  # (sample, feature)
    y: NDArray[np.float32] | NDArray[np.int64]
    batch: int | None
    """Samples of a step; None: all."""

    @property
    def samples(self) -> int:
        """The number of samples of a step."""
        return self.batch or len(self.x)

    @property
    def flops(self) -> int:
        """Of the products in a step: forward, by the weights, and by all inputs but the data."""
        sizes = self.layout.sizes
        products = [2 * i * o for i, o in pairwise(sizes)]
        return self.samples * (3 * sum(products) - products[0])

    @property
    def name(self) -> str:
        """The case in words."""
        sizes = "-".join(str(size) for size in self.layout.sizes)
        return f"{sizes} {self.layout.activation} {self.layout.loss}, {self.samples} samples a step"


def polynomial(layout: Layout, points: int) -> Case:
    """Returns a parabola at so many points, all of which a step takes."""
    x = np.linspace(0, 1, points, dtype=np.float32)[:, None]
    return Case(layout, x, 0.1 + 0.25 * x + 0.5 * x**2, None)


def digits(batch: int | None) -> Case:
    """Returns the digits with one hidden layer, so many samples a step, or all."""
    data = load_data(DigitsData(kind="digits"))
    layout = Layout((64, 32, 10), True, "relu", "identity", "cross_entropy")
    return Case(layout, data.x.reshape(len(data.x), -1).astype(np.float32), data.y, batch)


def plain_loop(case: Case) -> Callable[[int], None]:
    """Steps of one model; with a batch smaller than the data, slices of a shuffled pass."""
    layout = case.layout
    layers: list[nn.Module] = []
    for i, o in pairwise(layout.sizes):
        layers += [nn.Linear(i, o, bias=layout.bias), ACTIVATIONS[layout.activation]()]
    module = nn.Sequential(*layers[:-1], ACTIVATIONS[layout.output_activation]())
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    loss_of = LOSSES[layout.loss]()
    x, y = torch.from_numpy(case.x), torch.from_numpy(case.y)

    def steps(count: int) -> None:
        order = torch.randperm(len(x))
        for step in range(count):
            inputs, targets = x, y
            if case.batch:
                at = step * case.batch % (len(x) - case.batch)
                some = order[at : at + case.batch]
                inputs, targets = x[some], y[some]
            optimizer.zero_grad()
            loss_of(module(inputs), targets).backward()
            optimizer.step()

    return steps


def fused_loop(case: Case, beads: int) -> Callable[[int], None]:
    """Rounds of 20 steps of many beads."""
    how = Training(optimizer=Adam(kind="adam", lr=1e-3), max_steps=10**9, patience=10**9)
    problem = FusedProblem(case.layout, case.x, case.y)
    rng = np.random.default_rng(0)
    theta = rng.normal(0, 0.3, (beads, case.layout.parameter_count)).astype(np.float32)
    slots, seeds = ("mean", "square"), range(beads)
    rows = fresh(torch.from_numpy(theta), slots, target=1e-12, patience=10**9, seeds=seeds)

    def rounds(count: int) -> None:
        for _ in range(count):
            batches = None
            if case.batch:
                shape = (beads, how.check_every, case.batch)
                batches = rng.integers(0, len(case.x), shape)
            problem.advance(how, rows, 1e-3, batches)

    return rounds


def seconds_of(action: Callable[[int], None], count: int) -> float:
    """Returns how long so many steps or rounds take, in seconds."""
    began = time.perf_counter()
    action(count)
    return time.perf_counter() - began


def measure(case: Case, repeats: int) -> None:
    """Prints the times of a case for several numbers of beads."""
    print(f"\n{case.name}")
    print("beads  µs a bead-step  plain loop  ratio (min … max)  GFLOP/s")
    plain = plain_loop(case)
    plain(20)
    for beads in BEADS:
        fused = fused_loop(case, beads)
        rounds = max(1, round(0.1 / seconds_of(fused, 1)))
        ours, theirs = [], []
        for _ in range(repeats):
            ours.append(seconds_of(fused, rounds) / (rounds * 20 * beads))
            theirs.append(seconds_of(plain, 100) / 100)
        ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
        step = statistics.median(ours)
        print(
            f"{beads:5}  {step * 1e6:14.2f}  {statistics.median(theirs) * 1e6:10.0f}  "
            f"{statistics.median(ratios):6.1f} ({min(ratios):.1f} … {max(ratios):.1f})  "
            f"{case.flops / step / 1e9:7.1f}"
        )


def measure_library(repeats: int) -> None:
    """What the library's matrix product reaches, (32, 64) times (64, sample)."""
    weights = torch.randn(32, 64)
    print("\nsgemm 32 × 64 × samples: GFLOP/s")
    for samples in (100, 1437):
        x, out = torch.randn(64, samples), torch.empty(32, samples)

        def products(count: int, x: torch.Tensor = x, out: torch.Tensor = out) -> None:
            for _ in range(count):
                torch.mm(weights, x, out=out)

        best = min(seconds_of(products, 1000) for _ in range(repeats)) / 1000
        print(f"{samples:5}  {2 * 32 * 64 * samples / best / 1e9:7.1f}")


def main() -> None:
    """Prints a table for each case, and what a matrix product reaches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    print(f"compiled or read from the disk in {seconds_of(lambda _: warm_up(), 1):.1f} s")
    paper = Layout((1, 4, 4, 1), False, "sigmoid", "sigmoid", "l1")
    small = Layout((1, 4, 4, 1), True, "relu", "identity", "mse")
    for case in (
        polynomial(small, 256),
        polynomial(small, 10_000),
        polynomial(paper, 10_000),
        digits(100),
        digits(None),
    ):
        measure(case, repeats)
    measure_library(repeats)


if __name__ == "__main__":
    main()
