"""Chooses the backend of a run, which run.yaml names in `search.batching`."""

from __future__ import annotations

import time
from dataclasses import dataclass

from engine.backends.backend import Backend
from engine.backends.compiled import CompiledBackend
from engine.backends.compiled_steps import CompiledStepsBackend
from engine.backends.fused.compilation import compiled, warm_up
from engine.cache import warn_of_compiling
from engine.problem.problem import Problem
from engine.run.choosing.fastest import Found, Stopwatch, check_graph, fastest
from engine.run.choosing.making import backend_of, piece_bytes
from engine.run.choosing.possible import (
    check_fused,
    check_triton,
    check_vmap,
    compiled_way,
    takes_rounds,
    why_not_fused,
)
from engine.spec.keys import Spec

#: The number of parameters up to which compiled code is always the fastest. Above, it is measured.
SURELY_FUSED = 30_000


@dataclass(frozen=True)
class Choice:
    """A backend that was chosen, and why."""

    spec: Spec
    """The spec with its `search.batching` and `mini_batches` decided."""
    backend: Backend
    why: str
    """The reason, in words, for which it was chosen."""
    graphs: str = ""
    """Whether rounds are recorded as CUDA graphs, in words; empty on the CPU."""


def choose_backend(spec: Spec, problem: Problem, clock: Stopwatch = time.perf_counter) -> Choice:
    """Returns the backend of a spec, and the spec with `search.batching` decided.

    Raises Impossible where search.batching names a backend that cannot compute the problem, and
    InputError where search.compile asks for what cannot be compiled.
    """
    spec = _with_orders(spec)
    found = _chosen(spec, problem, clock)
    if found.way == "fused" and not compiled():
        warn_of_compiling()
        warm_up()
    search = spec.search.model_copy(update={"batching": found.way})
    most = piece_bytes(spec)
    if spec.search.compile:
        together = found.way == "vmap"
        kind = CompiledStepsBackend if together else CompiledBackend
        backend: Backend = kind(problem, most)
    else:
        backend = backend_of(found.way, spec.problem, problem, most)
    graphs = "" if spec.device == "cpu" else found.graphs
    return Choice(spec.model_copy(update={"search": search}), backend, found.why, graphs)


def _chosen(spec: Spec, problem: Problem, clock: Stopwatch) -> Found:
    """Returns the way in which the problem of a spec is computed.

    Raises Impossible where search.batching names one that cannot be, and InputError where
    search.compile asks for what cannot be compiled.
    """
    chosen = spec.search.batching
    if spec.search.compile:
        return Found(compiled_way(spec, problem), "search.compile compiles its steps")
    if chosen == "fused":
        check_fused(spec, problem)
    if chosen == "triton":
        check_triton(spec, problem)
    if chosen in ("vmap", "graph"):
        check_vmap(spec, problem, chosen)
    if chosen == "graph":
        check_graph(spec, problem)
    if chosen != "auto":
        return Found(chosen, "as the preset says", "" if chosen == "graph" else None)
    fusible = why_not_fused(spec, problem) is None
    if fusible and problem.parameter_count <= SURELY_FUSED:
        return Found("fused", "compiled code is the fastest for small fully connected networks")
    if takes_rounds(spec, problem):
        return Found("triton", "whole rounds in one launch are the fastest for small networks")
    return fastest(spec, problem, clock, fusible=fusible)


def _with_orders(spec: Spec) -> Spec:
    """Returns the spec with its `mini_batches` decided: hashed on GPUs, where they are on auto."""
    if spec.mini_batches != "auto":
        return spec
    orders = "shuffled" if spec.device == "cpu" else "hashed"
    return spec.model_copy(update={"mini_batches": orders})
