"""The search methods, and the stages that each is made of."""

from __future__ import annotations

from typing import Any

from engine.methods.base import Method, Stage
from engine.methods.constrained import ConstrainedSearch
from engine.methods.detour import Detour
from engine.methods.endpoints import EndpointTraining, Impatient, Restarts
from engine.methods.even_beads import EvenBeads
from engine.methods.given import GivenEndpoints, GivenString
from engine.methods.greedy import GreedySearch
from engine.methods.linear import LinearSampling
from engine.methods.method import StagedMethod
from engine.methods.polish import Polish
from engine.methods.shorten import Shortening
from engine.path.chain import Chain
from engine.spec.keys import Spec
from engine.spec.stages import stages_of
from engine.workers.pool import Workers

__all__ = ["Method", "build_method"]


def build_method(spec: Spec, pool: Workers) -> StagedMethod:
    """Returns the search that a preset asks for, which a pool computes.

    Raises InputError where a file that it starts from does not fit the problem.
    """
    search = spec.search
    chain = Chain(pool, search.level, stages_of(spec).grid, search.tolerance)
    stages = _search(spec, chain) if search.string is None else _from_file(spec, chain)
    if search.shorten:
        stages = [*stages, Shortening(spec, chain)]
    return StagedMethod(spec, chain, stages)


def _from_file(spec: Spec, chain: Chain) -> list[Stage[Any]]:
    return [GivenString(spec, chain), Polish(spec, chain), GreedySearch(spec, chain)]


def _endpoints(spec: Spec, chain: Chain, restarts: Restarts | None = None) -> Stage[Any]:
    if spec.endpoints.kind == "files":
        return GivenEndpoints(spec, chain)
    return EndpointTraining(spec, chain, restarts)


def _search(spec: Spec, chain: Chain) -> list[Stage[Any]]:
    endpoints, greedy = _endpoints(spec, chain), GreedySearch(spec, chain)
    constrained, polish = ConstrainedSearch(spec, chain), Polish(spec, chain)
    even: list[Stage[Any]] = [EvenBeads(spec, chain)] if spec.search.min_inner_beads else []
    match spec.search.method:
        case "greedy":
            return [endpoints, *even, greedy]
        case "constrained":
            together = spec.endpoints.kind == "random" and not spec.endpoints.held
            given: list[Stage[Any]] = [] if together else [endpoints]
            after: list[Stage[Any]] = (
                [polish, greedy] if spec.search.constrained.on_stuck == "greedy" else []
            )
            return [*given, constrained, *after]
        case "auto":
            settings = stages_of(spec)
            around = Impatient(settings.detour, settings.detour_restarts)
            detours = [
                stage
                for number in range(spec.search.auto.detours)
                for stage in (Detour(spec, chain, around, number), GreedySearch(spec, chain))
            ]
            impatient = Impatient(settings.endpoints, spec.endpoints.restarts)
            ends = _endpoints(spec, chain, impatient)
            again = GreedySearch(spec, chain)
            return [ends, *even, greedy, constrained, polish, again, *detours]
        case "linear":
            return [endpoints, LinearSampling(spec, chain)]
