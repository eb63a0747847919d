"""Measures which backend is the fastest for a network, a batch and a device."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import TypeVar

import torch

from engine.backends.algorithms import choose_algorithms
from engine.backends.backend import Backend, Way
from engine.backends.cuda_graphs import BEFORE, CudaGraphsBackend, refusal
from engine.backends.round_steps import RoundSteps
from engine.problem.problem import Problem
from engine.run.choosing.making import backend_of, piece_bytes
from engine.run.choosing.possible import Impossible, most_of, why_not_vmap
from engine.run.remembered import remember, remembered
from engine.spec.keys import Spec
from engine.spec.methods import METHODS
from engine.steps.recipe import Recipe, recipe_of
from engine.steps.rows import Rows, fresh
from engine.workers.pool import prepare_thread

log = logging.getLogger("engine")

#: The files of the cache folder with the fastest backends found so far, and with the reasons for
#: which no CUDA graph is recorded; an empty one means that graphs are.
FILE, GRAPHS_FILE = "batching.json", "graphs.json"
#: The numbers of beads, of samples at most, and of repetitions of a measurement.
BEADS, SAMPLES, REPEATS = 16, 2048, 3
#: The weights of all beads of a measurement: with large networks it takes fewer beads.
WEIGHTS = 2**25
#: The seconds of a first step after which only one more is measured.
LONG_S = 0.5

#: The factor on the time of a loop on the CPU. A loop uses several cores better than it is measured
#: to on one, so another way must be faster by a fifth.
LOOP_BIAS = 0.8

Result = TypeVar("Result")
Stopwatch = Callable[[], float]


@dataclass(frozen=True)
class Found:
    """A way to compute, and why it is the one."""

    way: Way
    why: str
    """The reason in words."""
    no_graphs: str | None = None
    """Why no CUDA graphs can be recorded; empty where they can, None where nobody tried."""

    @property
    def graphs(self) -> str:
        """Whether rounds are recorded as CUDA graphs, in words, for a search on a GPU."""
        if self.no_graphs is None:
            return "not tried"
        if self.no_graphs:
            return f"refused ({self.no_graphs})"
        return "recorded" if self.way == "graph" else "can be recorded, but are slower"


def fastest(spec: Spec, problem: Problem, clock: Stopwatch, *, fusible: bool = False) -> Found:
    """Returns the backend that is the fastest for this network, batch and device.

    It is measured, and remembered between runs. It is loop, without a measurement, where the
    network or the loss cannot be batched. With `fusible`, compiled code is measured too.
    """
    reason = why_not_vmap(spec, problem)
    if reason is not None:
        log.info("search.batching: loop, because vmap cannot be (%s)", reason)
        why = f"the network or the loss cannot be batched: {reason}"
        return Found("loop", why, "only what can be batched is recorded")
    recipe = _recipe_to_measure(spec, problem)
    beads = _beads_to_measure(spec, problem)
    device = torch.device(spec.device.split(",")[0])
    key = _fingerprint(spec, problem, recipe, beads, device)
    known, no_graphs = remembered(FILE), remembered(GRAPHS_FILE)
    more: tuple[Way, ...] = ("fused",) if fusible else ()
    ways: tuple[Way, ...] = (*more, "vmap", "loop")
    if device.type == "cuda":
        ways = (*ways, "graph")
    if known.get(key) not in ways or (device.type == "cuda" and key not in no_graphs):
        there, most = problem.to(device), piece_bytes(spec)
        tried = {way: partial(backend_of, way, spec.problem, there, most) for way in ways}
        exact = spec.deterministic
        known[key], refused = _in_thread(
            device, lambda: _measured(tried, recipe, beads, clock, deterministic=exact)
        )
        remember(FILE, known)
        if refused is not None:
            no_graphs[key] = refused
            remember(GRAPHS_FILE, no_graphs)
    way = next(way for way in ways if way == known[key])
    return Found(way, f"the fastest here of {', '.join(ways)}", no_graphs.get(key))


def _in_thread(device: torch.device, work: Callable[[], Result]) -> Result:
    """Returns what is computed in a thread like a worker's."""
    with ThreadPoolExecutor(1, initializer=prepare_thread, initargs=(device,)) as thread:
        return thread.submit(work).result()


def _recipe_to_measure(spec: Spec, problem: Problem) -> Recipe:
    """Returns the recipe of the steps that are measured: few of them, on SAMPLES samples at most.

    A GPU takes a whole round, because that is what it may record.
    """
    training = most_of(spec)
    recipe = recipe_of(spec, training)
    few = {"check_every": 1} if spec.device == "cpu" else {}
    samples = recipe.samples(len(problem.train))
    size = {"batch_size": min(SAMPLES, samples)} if samples > SAMPLES else {}
    return replace(recipe, training=training.model_copy(update=few | size))


def _beads_to_measure(spec: Spec, problem: Problem) -> int:
    """Returns how many beads one worker trains at a time: on the CPU, BEADS at most.

    On a GPU they are as many as its share of memory holds with their gradients and optimizer.
    Nowhere have they more than WEIGHTS weights.
    """
    few = max(1, WEIGHTS // problem.parameter_count)
    if not METHODS[spec.search.method].splits:
        return min(BEADS, few)
    workers = (spec.workers or 1) if spec.device == "cpu" else len(spec.device.split(","))
    share = -(-spec.search.greedy.slots // workers)
    if spec.device == "cpu":
        return min(BEADS, share, few)
    vectors = 4 + len(recipe_of(spec, most_of(spec)).slots)
    return max(1, min(share, few, piece_bytes(spec) // (vectors * 4 * problem.parameter_count)))


def _measured(
    tried: Mapping[Way, Callable[[], Backend]],
    recipe: Recipe,
    beads: int,
    clock: Stopwatch,
    *,
    deterministic: bool,
) -> tuple[Way, str | None]:
    """Returns the backend that takes the least time for the steps of some beads.

    With it comes `Found.no_graphs`. Backends are made one after another, since each has copies of
    the network and of all rows.
    """

    def seconds(steps: _Steps) -> float:
        """Returns the seconds of the steps."""
        began = clock()
        steps.take()
        return clock() - began

    def typical(steps: _Steps) -> float:
        """Returns the median after a first time, which may compile or fill a cache."""
        return median(seconds(steps) for _ in range(1 if seconds(steps) > LONG_S else REPEATS))

    taken: dict[Way, float] = {}
    refused, on_cpu = None, "graph" not in tried
    for way, make in tried.items():
        if not on_cpu:
            choose_algorithms(way, deterministic=deterministic)
        steps = _Steps(make(), recipe, beads)
        if way == "graph":
            refused = _why_no_graph(steps, _Steps(tried["vmap"](), recipe, beads)) or ""
        if way == "graph" and refused:
            log.info("search.batching: no CUDA graphs, because %s", refused)
            continue
        taken[way] = typical(steps)
        del steps
    bias = LOOP_BIAS if on_cpu else 1.0
    best = min(taken, key=lambda way: taken[way] * (bias if way == "loop" else 1.0))
    slowest = max(taken.values()) / taken[best]
    log.info("search.batching: %s, %.1f times as fast as the slowest way", best, slowest)
    return best, refused


class _Steps:
    """The steps of some beads with a backend, which may be taken again and again."""

    def __init__(self, backend: Backend, recipe: Recipe, beads: int) -> None:
        """Makes rows for so many beads, which never end."""
        problem = backend.problem
        self.backend = backend
        self._steps = RoundSteps(backend, recipe)
        theta = torch.stack([problem.initial(seed) for seed in range(beads)])
        never, forever = -1.0, recipe.training.max_steps
        self._rows = fresh(theta, recipe.slots, never, forever, range(beads))

    def take(self) -> None:
        """Takes the steps, and waits for the device."""
        self.asked().told  # noqa: B018 - the host waits here

    def asked(self) -> Rows:
        """Returns the rows after the steps. The host does not wait for them."""
        beads = len(self._rows)
        return self._steps.taken(self._rows, [0] * beads, range(beads))


def _why_no_graph(recorded: _Steps, launched: _Steps) -> str | None:
    """Returns why steps cannot be recorded as a CUDA graph, or None where they can.

    `launched` are the same steps without graphs. They are taken first, so that nothing is captured
    which is known to fail.
    """
    launched.take()
    why = refusal(launched.asked)
    if why is not None:
        return why
    assert isinstance(recorded.backend, CudaGraphsBackend)
    for _ in range(BEFORE + 1):
        recorded.take()
    return recorded.backend.graphs.failed


def check_graph(spec: Spec, problem: Problem) -> None:
    """Raises Impossible where the steps of a search cannot be recorded as CUDA graphs."""
    if spec.device == "cpu":
        raise Impossible("graph", "the device is cpu, which has none")
    device, most = torch.device(spec.device.split(",")[0]), piece_bytes(spec)
    recipe, there = _recipe_to_measure(spec, problem), problem.to(device)
    beads = _beads_to_measure(spec, problem)

    def refused() -> str | None:
        ways: tuple[Way, Way] = ("graph", "vmap")
        return _why_no_graph(
            *(_Steps(backend_of(way, spec.problem, there, most), recipe, beads) for way in ways)
        )

    why = _in_thread(device, refused)
    if why is not None:
        raise Impossible("graph", f"steps cannot be recorded ({why})")


def _fingerprint(
    spec: Spec, problem: Problem, recipe: Recipe, beads: int, device: torch.device
) -> str:
    """Returns a hash of all that a measurement depends on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    shape = [list(problem.train.shape), recipe.samples(len(problem.train)), beads]
    network = spec.problem.network.model_dump(mode="json")
    what: list[object] = [network, shape, name, torch.__version__]
    what += [spec.deterministic] if spec.deterministic else []
    what += [recipe.training.check_every, spec.limits.memory, repr(recipe.practice(problem))]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
