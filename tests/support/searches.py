"""Searches built and run to their end on small problems."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch

from engine.backends.backend import Backend
from engine.methods import build_method
from engine.methods.endpoints import EndpointTraining
from engine.methods.method import StagedMethod
from engine.problem.problem import Problem
from engine.record.events import (
    FIRST,
    LAST,
    Event,
)
from engine.spec.keys import Spec
from engine.workers.pool import Pool
from tests.support.workers import vmapped


@contextmanager
def method_for(problem: Problem | Backend, spec: Spec) -> Iterator[StagedMethod]:
    """Yields the method of a spec on a problem, which torch computes unless a backend is given."""
    backend = vmapped(problem) if isinstance(problem, Problem) else problem
    with Pool(backend, [torch.device("cpu")]) as pool:
        yield build_method(spec, pool)


def run(method: StagedMethod, beads_left: int | None = None) -> list[Event]:
    events: list[Event] = []
    for _ in range(100_000):
        if method.verdict is not None:
            return events
        events += method.step(beads_left)
    raise AssertionError("the search does not end")


def place_endpoints(method: StagedMethod, first: list[float], last: list[float]) -> None:
    """Endpoints as if they had been trained to these weights."""
    training = method.stages[0]
    assert isinstance(training, EndpointTraining)
    training.trained = {FIRST: torch.tensor(first), LAST: torch.tensor(last)}
    training.trainer.groups = []


def highest_loss(method: StagedMethod, points: int = 5001) -> float:
    """Of the whole string, on a grid of its own."""
    beads = torch.from_numpy(method.string().beads).double()
    t = torch.linspace(0, 1, points, dtype=torch.float64)[:, None]
    exact = method.chain.problem.to(dtype=torch.float64)
    return max(vmapped(exact).losses((1 - t) * a + t * b).max().item() for a, b in pairwise(beads))
