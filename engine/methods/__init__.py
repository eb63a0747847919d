"""The search methods, and the stages that each is made of."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

from engine.methods.base import Method, Stage
from engine.methods.descent import Descent, Phase
from engine.methods.endpoints import EndpointTraining, Impatient, Restarts
from engine.methods.given import GivenEndpoints, GivenString
from engine.methods.greedy import GreedySearch
from engine.methods.method import StagedMethod
from engine.methods.polish import Polish
from engine.methods.shorten import Shortening
from engine.path.chain import Chain
from engine.spec.goal import goal_of
from engine.spec.keys import Spec
from engine.spec.methods import METHODS
from engine.spec.stages import stages_of
from engine.workers.pool import Workers

__all__ = ["Method", "build_method"]


def build_method(spec: Spec, pool: Workers) -> StagedMethod:
    """Returns the search that a preset asks for, which a pool computes.

    Raises InputError where a file that it starts from does not fit the problem.
    """
    chain = Chain(pool, goal_of(spec), stages_of(spec).grid)
    _module_of(spec)  # a checkpoint may hold its stages' states before they are made
    if spec.search.number is None:
        descent = Descent(spec, chain, partial(_in_phase, spec, chain))
        return StagedMethod(spec, chain, descent.stages(), descent)
    stages = [*_begun(spec, chain), *_between(spec, chain), *_shortened(spec, chain)]
    return StagedMethod(spec, chain, stages)


def _in_phase(spec: Spec, chain: Chain, phase: Phase) -> list[Stage[Any]]:
    """Returns the stages of a phase, where the level comes about in the search."""
    lowest = spec.search.level == "lowest"
    match phase:
        case "ends":
            return _begun(spec, chain)
        case "try":
            again: list[Stage[Any]] = []
            if spec.search.string is None and METHODS[spec.search.method].splits:
                again = [Polish(spec, chain)]
            return [*again, *_between(spec, chain)]
        case "final":
            between = [] if lowest else _between(spec, chain)
            return [*between, *_shortened(spec, chain)]


def _shortened(spec: Spec, chain: Chain) -> list[Stage[Any]]:
    """Returns the stage that shortens the string, where that is asked for."""
    return [Shortening(spec, chain)] if spec.search.shorten else []


def _begun(spec: Spec, chain: Chain) -> list[Stage[Any]]:
    """Returns the stage that makes the chain: a string from a file, or its two ends.

    There is none where constrained DSS trains the ends with the string.
    """
    search, settings = spec.search, stages_of(spec)
    if search.string is not None:
        return [GivenString(spec, chain)]
    if spec.endpoints.kind == "files":
        return [GivenEndpoints(spec, chain)]
    together = spec.endpoints.kind == "random" and not settings.ends_held
    if search.method == "constrained" and together:
        return []
    restarts: Restarts | None = None
    if search.method == "auto":
        restarts = Impatient(settings.endpoints, spec.endpoints.restarts)
    return [EndpointTraining(spec, chain, restarts)]


def _between(spec: Spec, chain: Chain) -> list[Stage[Any]]:
    """Returns the stages that look for a path between the ends of a chain."""
    if spec.search.splits_a_string:
        return [Polish(spec, chain), GreedySearch(spec, chain)]
    stages: list[Stage[Any]] = _module_of(spec).between(spec, chain)
    return stages


def _module_of(spec: Spec) -> ModuleType:
    """Returns the module of a spec's method, with the states of its stages known to decoders."""
    return import_module(METHODS[spec.search.method].module)
