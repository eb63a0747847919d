"""Tasks in parts: the same results, and who is told how far they have come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from engine.path.segments import Along, measure, search_grid
from engine.problem.problem import build_problem
from engine.run.telling import Telling
from engine.told import untold
from engine.workers.pool import Pool
from presets import load_preset
from tests.support.workers import vmapped

PROBLEM = build_problem(load_preset("quadratic", ["problem.data.points=16"]).problem)


@dataclass(frozen=True)
class Doubled:
    """A task whose items are their own sizes."""

    def size(self, item: int) -> int:
        return item

    def __call__(self, backend: object, items: Sequence[int]) -> list[int]:
        return [2 * item for item in items]


@dataclass(frozen=True)
class Other(Doubled):
    """Another task."""


def test_parts_are_large_enough_and_told_in_order() -> None:
    shares: list[float] = []
    with Pool(vmapped(PROBLEM), [torch.device("cpu")]) as pool:
        telling = Telling(pool, 20, shares.append, (Doubled,), per_part=5)
        assert telling.run(Doubled(), [1, 4, 5, 3, 2, 4, 1]) == [2, 8, 10, 6, 4, 8, 2]
        assert shares == [0.25, 0.5, 0.75, 1.0]
        assert telling.run(Doubled(), []) == []
        assert telling.run(Doubled(), [9]) == [18]
        assert shares[-1] == 1.0


def test_each_part_keeps_all_workers_busy() -> None:
    shares: list[float] = []
    with Pool(vmapped(PROBLEM), [torch.device("cpu")] * 2) as pool:
        telling = Telling(pool, 5, shares.append, (Doubled,), per_part=0)
        assert telling.run(Doubled(), [1] * 5) == [2] * 5
    assert shares == [0.4, 0.8, 1.0]


def test_other_tasks_are_not_counted() -> None:
    shares: list[float] = []
    with Pool(vmapped(PROBLEM), [torch.device("cpu")]) as pool:
        telling = Telling(pool, 5, shares.append, (Along,), per_part=1)
        assert telling.run(Other(), [1, 2]) == [2, 4]
    assert shares == []


def test_segments_measured_in_parts_are_the_same() -> None:
    beads = torch.randn(4, PROBLEM.parameter_count, generator=torch.Generator().manual_seed(0))
    pairs, grid = list(pairwise(list(beads))), search_grid(17)
    with Pool(vmapped(PROBLEM), [torch.device("cpu")]) as pool:
        whole = measure(pool, pairs, grid, 16)
        telling = Telling(pool, 1, untold, (Along,), per_part=0)
        parts = measure(telling, pairs, grid, 16, cut=4)
    for one, other in zip(whole, parts, strict=True):
        assert np.allclose(one.losses, other.losses, rtol=1e-5)
        assert np.isclose(one.peak, other.peak, rtol=1e-5)
