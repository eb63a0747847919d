"""Searches built and run to their end on small problems."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch

from engine.backends.backend import Backend
from engine.methods import build_method
from engine.methods.endpoints import EndpointTraining
from engine.methods.method import StagedMethod
from engine.problem.problem import Problem
from engine.record.events import FIRST, LAST, Event, RunFinished, RunStarted
from engine.run.loop import search
from engine.run.outside import Nowhere, Undisturbed
from engine.run.search import NEVER
from engine.run.stopwatch import Stopwatch
from engine.spec.keys import Limits, Spec
from engine.workers.pool import Pool
from tests.support.workers import vmapped

#: What the loop tells first.
STARTED = RunStarted("a method", 0.3, 0.8, 7, 33, 256, ("cpu",))


@contextmanager
def method_for(problem: Problem | Backend, spec: Spec) -> Iterator[StagedMethod]:
    """Yields the method of a spec on a problem, which torch computes unless a backend is given."""
    backend = vmapped(problem) if isinstance(problem, Problem) else problem
    with Pool(backend, [torch.device("cpu")]) as pool:
        yield build_method(spec, pool)


def run(method: StagedMethod, most_beads: int | None = None) -> list[Event]:
    """Runs a method to its verdict on the loop of all searches, and returns what the method told.

    A search that has not ended after ten minutes fails the test.
    """
    limits = Limits(beads=most_beads, seconds=600)
    clock = Stopwatch(time.monotonic)
    events = list(search(method, limits, Nowhere(), Undisturbed(), clock, STARTED, NEVER))
    assert method.verdict is not None, "the search does not end"
    assert events[0] is STARTED and isinstance(events[-1], RunFinished)
    return events[1:-1]


def place_endpoints(method: StagedMethod, first: list[float], last: list[float]) -> None:
    """Makes a method go on as if its endpoints had been trained to these weights."""
    training = method.stages[0]
    assert isinstance(training, EndpointTraining)
    training.trained = {FIRST: torch.tensor(first), LAST: torch.tensor(last)}
    training.trainer.groups = []


def highest_loss(method: StagedMethod, points: int = 5001) -> float:
    """Returns the highest loss of the whole string, on a grid of its own."""
    beads = torch.from_numpy(method.string().beads).double()
    t = torch.linspace(0, 1, points, dtype=torch.float64)[:, None]
    exact = method.chain.problem.to(dtype=torch.float64)
    return max(vmapped(exact).losses((1 - t) * a + t * b).max().item() for a, b in pairwise(beads))
