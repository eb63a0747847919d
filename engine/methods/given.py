"""The stages that begin with what others have trained: a string from a file, or its two ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.errors import InputError
from engine.methods.aligned import aligned, check_alignable
from engine.methods.base import StageState, Verdict
from engine.methods.judged import above_the_level, judged
from engine.methods.stage import ChainStage
from engine.path.chain import Chain
from engine.problem.checkpoints.endpoints import read_endpoints, with_fixed_of
from engine.problem.problem import Problem
from engine.record import string_file
from engine.record.costs import Costs
from engine.record.events import FIRST, LAST, EndpointTrained, Event
from engine.record.string_file import StringFile
from engine.shapes import Weights
from engine.spec.keys import Spec


def read_string(spec: Spec, problem: Problem) -> StringFile:
    """Returns what the file of `search.string` holds.

    Raises InputError where that is no string of this problem.
    """
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


def as_given(spec: Spec, problem: Problem) -> Problem:
    """Returns the problem with what does not move as the files hold it that a search starts from.

    Raises InputError where such a file does not fit the problem.
    """
    align = spec.endpoints.align
    if spec.search.string is not None:
        held = read_string(spec, problem)
        if align not in (None, held.header.relabelled):
            raise InputError(
                f"is {align}, but the ends of search.string are taken as they are; leave it null",
                key="endpoints.align",
            )
        return with_state_of(held, problem)
    check_alignable(spec, problem)
    problem = replace(problem, relabelled=align)
    if spec.endpoints.kind == "files":
        return _with_buffers_of_both(spec, with_fixed_of(spec.endpoints, problem))
    return problem


def _with_buffers_of_both(spec: Spec, problem: Problem) -> Problem:
    """Returns the problem with carried buffers that belong to the ends as they are connected."""
    if problem.carried is None or spec.endpoints.align is None:
        return problem
    (first, last), _ = given_ends(spec, problem)
    return problem.with_carried(first, last, problem.carried.buffers)


def given_ends(spec: Spec, problem: Problem) -> tuple[tuple[Weights, Weights], Costs]:
    """Returns the models (param,) of `endpoints.a` and `endpoints.b`, as they are to be connected.

    With them it returns what it has cost to relabel the second one. Raises InputError as
    `read_endpoints` does, and as `aligned` does.
    """
    first, last = read_endpoints(spec.endpoints, problem)
    last, costs = aligned(spec, problem, first, last)
    return (first, last), costs


def with_state_of(file: StringFile, problem: Problem) -> Problem:
    """Returns the problem with what a string file holds of the network besides its beads.

    Raises InputError where the network has none of that.
    """
    held = {name: tuple(each.shape) for name, each in problem.fixed.items()}
    given = {name: each.shape for name, each in file.fixed.items()}
    given |= {name: each.shape[1:] for name, each in file.carried.items()}
    for name, shape in given.items():
        if held.get(name) != shape:
            raise InputError(
                f"holds {name} {shape}, which the network described does not have",
                key="dss.problem.network",
            )
    first, last = (torch.from_numpy(file.string.beads[end]) for end in (0, -1))
    fixed, carried = _tensors(file.fixed), _tensors(file.carried)
    problem = replace(problem, relabelled=file.header.relabelled)
    return problem.with_fixed(fixed).with_carried(first, last, carried)


def _tensors(arrays: dict[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


@dataclass(frozen=True)
class GivenState(StageState):
    """The state of a stage of which the chain holds everything."""

    kind: Literal["given"] = "given"


class GivenString(ChainStage):
    """The stage that begins with the string of a file.

    Beads keep their order, but get new ids; inner beads have depth 1, since their depth in the
    search that found them is not known.
    """

    name = "start"
    repairs = False
    verdict: Verdict | None = None
    bead_steps = 0

    def __init__(self, spec: Spec, chain: Chain) -> None:
        """Makes the stage; the file is read when it begins."""
        self.spec, self.chain = spec, chain

    def begin(self) -> None:
        """Makes the file's string the chain. Raises InputError as `read_string` does."""
        held = read_string(self.spec, self.chain.problem)
        beads = torch.from_numpy(held.string.beads).to(self.chain.problem.device)
        inner = range(LAST + 1, LAST + 1 + len(beads) - 2)
        ids = [FIRST, *inner, LAST]
        depths = [0, *(1 for _ in inner), 0]
        self.chain.begin(list(zip(ids, beads.unbind(), depths, strict=True)))

    def step(self, beads_left: int | None) -> list[Event]:
        """Measures the segments of the string."""
        return self.chain.measure(self.chain.unmeasured)

    @property
    def done(self) -> bool:
        """Whether every segment is measured."""
        return not self.chain.unmeasured

    @property
    def state(self) -> GivenState:
        """See `Stage`."""
        return GivenState()

    def resume(self, state: GivenState) -> None:
        """See `Stage`; there is nothing to take up."""


class GivenEndpoints(ChainStage):
    """The stage that begins with the two models of `endpoints.a` and `endpoints.b`, as they are.

    The search ends at once where one of them exceeds the level by more than its tolerance.
    """

    name = "start"
    repairs = False
    bead_steps = 0

    def __init__(self, spec: Spec, chain: Chain) -> None:
        """Makes the stage; the files are read when it begins."""
        self.spec, self.chain = spec, chain
        self.verdict: Verdict | None = None
        self.done = False
        """Whether the models have been measured."""

    def begin(self) -> None:
        """Makes the two models the chain. Raises InputError as `given_ends` does."""
        ends, costs = given_ends(self.spec, self.chain.problem)
        self.chain.pool.add(costs)
        self.chain.begin([(bead, end, 0) for bead, end in zip((FIRST, LAST), ends, strict=True)])

    def step(self, beads_left: int | None) -> list[Event]:
        """Measures both models, and ends the search where one is too high."""
        chain, files = self.chain, self.spec.endpoints
        found = judged(chain.pool, [chain.weights[bead] for bead in (FIRST, LAST)])
        self.done = True
        words = chain.problem.normalized_by
        self.verdict = above_the_level(
            self.spec,
            chain,
            {f"endpoint {FIRST} ({files.a})": found[0], f"endpoint {LAST} ({files.b})": found[1]},
            note=f", normalized by {words} and not by those of the file" if words else "",
        )
        return [
            EndpointTrained(bead, value, 0, attempt=1)
            for bead, value in zip((FIRST, LAST), found, strict=True)
            if value <= chain.bound
        ]

    @property
    def state(self) -> GivenState:
        """See `Stage`."""
        return GivenState()

    def resume(self, state: GivenState) -> None:
        """See `Stage`; there is nothing to take up."""
