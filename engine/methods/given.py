"""Stages that begin with what others have trained: a string from a file, or its two ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.backends.backend import Backend
from engine.errors import InputError
from engine.methods.base import Verdict
from engine.methods.stage import ChainStage
from engine.path.chain import Chain
from engine.problem.problem import Problem
from engine.problem.weight_files import read_endpoint
from engine.record import string_file
from engine.record.events import FIRST, LAST, EndpointTrained, Event, Outcome
from engine.record.string_file import StringFile
from engine.shapes import Weights
from engine.spec.keys import Spec


def read_string(spec: Spec, problem: Problem) -> StringFile:
    """The file of `search.string`. Raises InputError where it holds no string of this problem."""
    assert spec.search.string is not None
    path = Path(spec.search.string)
    held = string_file.read(path)
    if held.header.parameters != tuple((p.name, p.shape) for p in problem.parameters):
        raise InputError(
            "its parameters are not those of problem.network; give the network that it was made "
            "with",
            file=path,
            key="search.string",
        )
    return held


def read_endpoints(spec: Spec, problem: Problem) -> list[Weights]:
    """The models of `endpoints.a` and `endpoints.b`. Raises InputError as `read_endpoint`."""
    named = {"endpoints.a": spec.endpoints.a, "endpoints.b": spec.endpoints.b}
    return [read_endpoint(str(file), key, problem) for key, file in named.items()]


def check_given(spec: Spec, problem: Problem) -> None:
    """Raises InputError where a file that a search starts from does not fit the problem."""
    if spec.search.string is not None:
        read_string(spec, problem)
    elif spec.endpoints.kind == "files":
        read_endpoints(spec, problem)


class GivenString(ChainStage):
    """Beads keep their order, not their ids; their depth in that search is not known."""

    name = "start"
    repairs = False
    verdict: Verdict | None = None
    bead_steps = 0

    def __init__(self, spec: Spec, chain: Chain) -> None:
        self.spec, self.chain = spec, chain

    def begin(self) -> None:
        """Raises InputError as `read_string`."""
        held = read_string(self.spec, self.chain.problem)
        beads = torch.from_numpy(held.string.beads).to(self.chain.problem.device)
        inner = range(LAST + 1, LAST + 1 + len(beads) - 2)
        ids = [FIRST, *inner, LAST]
        depths = [0, *(1 for _ in inner), 0]
        self.chain.begin(list(zip(ids, beads.unbind(), depths, strict=True)))

    def step(self, beads_left: int | None) -> list[Event]:
        return self.chain.measure(self.chain.unmeasured)

    @property
    def done(self) -> bool:
        return not self.chain.unmeasured


@dataclass(frozen=True)
class Judged:
    """What is judged, of single models; a task for the pool."""

    samples: int

    def size(self, model: Weights) -> int:
        return self.samples

    def __call__(self, backend: Backend, models: Sequence[Weights]) -> list[float]:
        theta = torch.stack([model.to(backend.problem.device) for model in models])
        return [float(value) for value in backend.objective(theta)]


class GivenEndpoints(ChainStage):
    """Two models that are taken as they are, where they do not exceed the level's tolerance."""

    name = "start"
    repairs = False
    bead_steps = 0

    def __init__(self, spec: Spec, chain: Chain) -> None:
        self.spec, self.chain = spec, chain
        self.verdict: Verdict | None = None
        self.done = False

    def begin(self) -> None:
        """Raises InputError as `read_endpoints`."""
        ends = read_endpoints(self.spec, self.chain.problem)
        self.chain.begin([(bead, end, 0) for bead, end in zip((FIRST, LAST), ends, strict=True)])

    def step(self, beads_left: int | None) -> list[Event]:
        chain = self.chain
        ends = [chain.weights[bead] for bead in (FIRST, LAST)]
        found = chain.pool.run(Judged(chain.problem.objective_samples), ends)
        self.done = True
        self.verdict = self._above(found)
        return [
            EndpointTrained(bead, value, 0, attempt=1)
            for bead, value in zip((FIRST, LAST), found, strict=True)
            if value <= chain.bound
        ]

    def _above(self, found: list[float]) -> Verdict | None:
        """Where an end is above the level, no path can be below it."""
        files = (self.spec.endpoints.a, self.spec.endpoints.b)
        above = [
            f"endpoint {bead} ({file}) has {self.spec.search.level_on.words} {value:.4g}"
            for bead, file, value in zip((FIRST, LAST), files, found, strict=True)
            if not value <= self.chain.bound
        ]
        if not above:
            return None
        search = self.spec.search
        tolerance = f" by more than its tolerance {search.tolerance:g}" if search.tolerance else ""
        return Verdict(
            Outcome.ENDPOINT_NOT_TRAINED,
            f"Above the level {search.level:g}{tolerance}: {' and '.join(above)}; train it "
            "further or raise search.level.",
        )
