"""Bead-steps a second of the trainer against a plain loop of nn.Module + torch.optim.

One thread. Both are timed by turns in one run; the ratio is the median of the repeats' ratios.
python benchmarks/throughput.py [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import nn

import presets
from engine.pool import Pool
from engine.problem import Problem, build_problem
from engine.spec import Adam, Training
from engine.trainer import Job, Trainer

CPU = torch.device("cpu")
SIZES = (1, 8, 32, 128)


def plain_loop(problem: Problem, batch_size: int) -> Callable[[int], None]:
    """Steps of one model; with a batch smaller than the data, slices of a shuffled pass."""
    module = problem.make_network().requires_grad_()
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    x, y = problem.train.x, problem.train.y
    cross_entropy = nn.CrossEntropyLoss()

    def steps(count: int) -> None:
        order = torch.randperm(len(x))
        for step in range(count):
            if batch_size < len(x):
                at = (step * batch_size) % (len(x) - batch_size)
                some = order[at : at + batch_size]
                inputs, targets = x[some], y[some]
            else:
                inputs, targets = x, y
            optimizer.zero_grad()
            output = module(inputs)
            if targets.is_floating_point():
                loss = (output - targets).square().mean()
            else:
                loss = cross_entropy(output, targets)
            loss.backward()
            optimizer.step()

    return steps


def rounds(trainer: Trainer) -> None:
    for _ in range(3):
        trainer.advance()


def timed(action: Callable[[], None]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def measure(preset: str, batch_size: int | Literal["full"], repeats: int) -> None:
    problem = build_problem(presets.load_preset(preset).problem)
    samples = len(problem.train) if batch_size == "full" else int(batch_size)
    how = Training(
        optimizer=Adam(kind="adam", lr=1e-3),
        batch_size=batch_size,
        max_steps=10**9,
        patience=10**9,
    )
    sizes = "-".join(str(size) for size in presets.load_preset(preset).problem.network.sizes)
    print(f"\n{preset}: {sizes}, {samples} samples a step")
    print("beads  bead-steps/s  plain loop  ratio (min … max)")
    with Pool(problem, [CPU]) as pool:
        for beads in SIZES:
            trainer = Trainer(how, pool, problem)
            for bead in range(beads):
                trainer.admit(Job(bead, 1e-12, bead), problem.initial(bead))
            plain = plain_loop(problem, samples)
            trainer.advance()
            plain(how.check_every)
            ours, theirs = [], []
            for _ in range(repeats):
                before = trainer.bead_steps
                seconds = timed(partial(rounds, trainer))
                ours.append((trainer.bead_steps - before) / seconds)
                theirs.append(200 / timed(partial(plain, 200)))
            ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
            print(
                f"{beads:5}  {statistics.median(ours):12.0f}  {statistics.median(theirs):10.0f}  "
                f"{statistics.median(ratios):5.1f} ({min(ratios):.1f} … {max(ratios):.1f})"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    measure("quadratic", "full", asked.repeats)
    measure("digits", 100, asked.repeats)
    measure("digits", "full", asked.repeats)


if __name__ == "__main__":
    main()
