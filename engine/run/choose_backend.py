"""Chooses the backend of a run, which run.yaml names in `search.batching`."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import TypeVar

import torch

from engine.backends.algorithms import choose_algorithms
from engine.backends.backend import Backend, Way
from engine.backends.compiled import CompiledBackend, why_not_compiled
from engine.backends.cuda_graphs import BEFORE, CudaGraphsBackend, refusal
from engine.backends.fused.backend import FusedBackend
from engine.backends.fused.compilation import available, compiled, warm_up
from engine.backends.fused.layout import fused_layout
from engine.backends.in_place import InPlaceBackend
from engine.backends.round_steps import RoundSteps
from engine.backends.torch_backend import PIECE_BYTES
from engine.backends.triton_rounds.availability import why_it_fails, why_not
from engine.backends.triton_rounds.backend import TritonBackend
from engine.backends.triton_rounds.tiles import fits
from engine.backends.vmapped import FEW_TOGETHER, VmappedBackend
from engine.cache import warn_of_compiling
from engine.errors import InputError
from engine.problem.losses import CrossEntropy
from engine.problem.problem import Problem
from engine.run.remembered import remember, remembered
from engine.spec.keys import Spec
from engine.spec.methods import METHODS
from engine.spec.problem import ProblemSpec
from engine.spec.stages import stages_of
from engine.spec.training import Training
from engine.steps.practice import PLAIN
from engine.steps.recipe import Recipe, recipe_of
from engine.steps.rows import Rows, fresh
from engine.workers.devices import free_bytes
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
#: The share of a GPU's free memory for layers' outputs, where limits.memory is null.
GPU_SHARE = 0.25

#: The factor on the time of a loop on the CPU. A loop uses several cores better than it is measured
#: to on one, so another way must be faster by a fifth.
LOOP_BIAS = 0.8
#: The number of parameters up to which compiled code is always the fastest. Above, it is measured.
SURELY_FUSED = 30_000
#: The bytes of all samples in float32 up to which they are copied for compiled code.
FUSED_BYTES = 2**30

Result = TypeVar("Result")
Stopwatch = Callable[[], float]


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


def choose_backend(spec: Spec, problem: Problem, clock: Stopwatch = time.perf_counter) -> Choice:
    """Returns the backend of a spec, and the spec with `search.batching` decided.

    Raises InputError where search.batching asks for a backend that cannot compute the problem.
    """
    spec = _with_orders(spec)
    found = _chosen(spec, problem, clock)
    if found.way == "fused" and not compiled():
        warn_of_compiling()
        warm_up()
    search = spec.search.model_copy(update={"batching": found.way})
    most = _piece_bytes(spec)
    if spec.search.compile:
        backend: Backend = CompiledBackend(problem, most)
    else:
        backend = backend_of(found.way, spec.problem, problem, most)
    graphs = "" if spec.device == "cpu" else found.graphs
    return Choice(spec.model_copy(update={"search": search}), backend, found.why, graphs)


def _chosen(spec: Spec, problem: Problem, clock: Stopwatch) -> Found:
    """Returns the way in which the problem of a spec is computed. Raises InputError."""
    chosen = spec.search.batching
    if spec.search.compile:
        _check_compiled(spec, problem)
        return Found("loop", "search.compile compiles its steps")
    if chosen == "fused":
        _check_fused(spec, problem)
    if chosen == "triton":
        _check_triton(spec, problem)
    if chosen in ("vmap", "graph"):
        _check_vmap(spec, problem)
    if chosen == "graph" and spec.device == "cpu":
        raise InputError(
            "is graph, but the device is cpu, which has none; choose auto", key="search.batching"
        )
    if chosen == "graph":
        _check_graph(spec, problem)
    if chosen != "auto":
        return Found(chosen, "as the preset says", "" if chosen == "graph" else None)
    fusible = _why_not_fused(spec, problem) is None
    if fusible and problem.parameter_count <= SURELY_FUSED:
        return Found("fused", "compiled code is the fastest for small fully connected networks")
    if _takes_rounds(spec, problem):
        return Found("triton", "whole rounds in one launch are the fastest for small networks")
    return fastest(spec, problem, clock, fusible=fusible)


def _with_orders(spec: Spec) -> Spec:
    """Returns the spec with its `mini_batches` decided: hashed on GPUs, where they are on auto."""
    if spec.mini_batches != "auto":
        return spec
    orders = "shuffled" if spec.device == "cpu" else "hashed"
    return spec.model_copy(update={"mini_batches": orders})


def backend_of(
    way: Way, spec: ProblemSpec, problem: Problem, piece_bytes: int = PIECE_BYTES
) -> Backend:
    """Returns the backend of that name for a problem and its spec."""
    match way:
        case "fused":
            layout = fused_layout(spec.network, spec.loss)
            assert layout is not None  # or it would not have been chosen
            return FusedBackend(problem, layout, piece_bytes)
        case "triton":
            return _triton(spec, problem, piece_bytes)
        case "vmap":
            return VmappedBackend(problem, piece_bytes)
        case "graph":
            return CudaGraphsBackend(problem, piece_bytes)
        case "loop":
            return InPlaceBackend(problem, piece_bytes)


def backend_to_verify(spec: ProblemSpec, problem: Problem) -> Backend:
    """Returns a backend of torch to measure a problem, whatever the verified run computed with."""
    dense = spec.network.layout is not None
    return backend_of("vmap" if dense else "loop", spec, problem)


def _check_compiled(spec: Spec, problem: Problem) -> None:
    """Raises InputError where steps of a problem cannot be compiled by torch."""
    if spec.search.batching not in ("auto", "loop"):
        raise InputError(
            f"is true, but search.batching is {spec.search.batching}, and only loop is compiled; "
            "choose loop",
            key="search.compile",
        )
    practices = [recipe_of(spec, each).practice(problem) for each in stages_of(spec).trainings]
    if any(practice.dropout for practice in practices):
        raise InputError(
            "is true, but steps with dropout are not compiled; choose false", key="search.compile"
        )
    reason = why_not_compiled(problem.to(torch.device(spec.device.split(",")[0])))
    if reason is not None:
        raise InputError(
            f"is true, but torch.compile fails ({reason}); choose false", key="search.compile"
        )


def _check_fused(spec: Spec, problem: Problem) -> None:
    """Raises InputError where compiled code cannot compute the problem."""
    reason = _why_not_fused(spec, problem)
    if reason is not None:
        raise InputError(f"is fused, but {reason}; choose auto", key="search.batching")


def _why_not_fused(spec: Spec, problem: Problem) -> str | None:
    """Returns why compiled code cannot compute the problem, or None where it can."""
    if spec.device != "cpu":
        return f"the device is {spec.device}"
    reason = _why_not_dense(spec, problem)
    if reason is not None:
        return reason
    if not available():
        log.warning("numba cannot be imported: small networks train many times slower")
        return "numba cannot be imported"
    return None


def _why_not_dense(spec: Spec, problem: Problem) -> str | None:
    """Returns why code for fully connected networks cannot compute the problem, or None."""
    if spec.path_parameters is not None:
        return "path_parameters lets some parameters stay"
    if fused_layout(spec.problem.network, spec.problem.loss) is None:
        return "only fully connected networks with the losses mse, l1 and cross_entropy are"
    if spec.problem.loss == "cross_entropy" and isinstance(problem.sample_loss, CrossEntropy):
        return "some of its samples have no class"
    if problem.sample_bytes > FUSED_BYTES:
        return f"it would copy {problem.sample_bytes / 2**30:.1f} GiB of samples into memory"
    practice = recipe_of(spec, most_of(spec)).practice(problem)
    if practice != PLAIN:
        return f"its steps have no {practice.words}"
    return None


def _check_triton(spec: Spec, problem: Problem) -> None:
    """Raises InputError where no kernel takes whole rounds of the problem."""
    reason = _why_no_rounds(spec, problem) or why_not() or _why_rounds_fail(spec, problem)
    if reason is not None:
        raise InputError(f"is triton, but {reason}; choose auto", key="search.batching")


def _takes_rounds(spec: Spec, problem: Problem) -> bool:
    """Returns whether a kernel takes whole rounds of most beads here, or says why none does."""
    method = METHODS[spec.search.method]
    alone = method.splits or method.training == "endpoints"
    if not alone or _why_no_rounds(spec, problem) is not None:
        return False
    reason = why_not() or _why_rounds_fail(spec, problem)
    if reason is not None:
        log.warning("no whole rounds on the GPU (%s): small networks train slower", reason)
    return reason is None


def _why_no_rounds(spec: Spec, problem: Problem) -> str | None:
    """Returns why there is no kernel for rounds of the problem, or None where there is one."""
    if spec.device == "cpu":
        return "the device is cpu"
    reason = _why_not_dense(spec, problem)
    if reason is not None:
        return reason
    layout = fused_layout(spec.problem.network, spec.problem.loss)
    assert layout is not None  # or there would be a reason
    return None if fits(layout) else "its network does not fit one block of a GPU's threads"


def _why_rounds_fail(spec: Spec, problem: Problem) -> str | None:
    """Returns why the kernel for most of a search cannot be used here, or None, from a trial."""
    there = problem.to(torch.device(spec.device.split(",")[0]))
    backend = _triton(spec.problem, there, _piece_bytes(spec))
    return why_it_fails(backend, backend.paced(recipe_of(spec, most_of(spec))))


def _triton(spec: ProblemSpec, problem: Problem, piece_bytes: int) -> TritonBackend:
    """Returns the backend of whole rounds in one launch."""
    layout = fused_layout(spec.network, spec.loss)
    assert layout is not None  # or it would not have been chosen
    return TritonBackend(problem, layout, piece_bytes)


def _check_vmap(spec: Spec, problem: Problem) -> None:
    """Raises InputError where the network or the loss cannot be batched."""
    reason = _why_not_vmap(spec, problem)
    if reason is not None:
        raise InputError(
            f"is {spec.search.batching}, but the network or the loss cannot be batched ({reason}); "
            "choose auto or loop",
            key="search.batching",
        )


def _why_not_vmap(spec: Spec, problem: Problem) -> str | None:
    """Returns why the network or the loss cannot be batched, or None where they can.

    Only a user's own code is tried.
    """
    if spec.problem.network.recomputed:
        return "problem.network.recompute is not empty"
    if not spec.problem.own_model:
        return None
    theta = torch.stack([problem.initial(seed) for seed in range(FEW_TOGETHER)])
    few = min(2, len(problem.train))
    batches = torch.arange(few).expand(len(theta), few)
    practices = {recipe_of(spec, each).practice(problem) for each in stages_of(spec).trainings}
    try:
        backend = VmappedBackend(problem)
        for practice in {PLAIN, *practices}:
            backend.practised(theta, batches, practice, torch.arange(len(theta)))
        together, _ = backend.loss_and_grad_on(theta, batches)
    except Exception as error:  # it is not our code
        return (str(error).splitlines() or [type(error).__name__])[0]
    alone, _ = InPlaceBackend(problem).loss_and_grad_on(theta, batches)
    if not torch.allclose(together, alone, rtol=1e-3, atol=1e-5, equal_nan=True):
        return "its functions hold weights that are not lent to them"
    return None


def _piece_bytes(spec: Spec) -> int:
    """Returns the bytes of layers' outputs that one call of one worker may hold."""
    workers = (spec.workers or 1) if spec.device == "cpu" else 1
    if spec.limits.memory is not None:
        return max(1, int(spec.limits.memory * 2**30 / workers))
    if spec.device == "cpu":
        return PIECE_BYTES
    return int(GPU_SHARE * min(map(free_bytes, spec.device.split(","))))


# ---------------------------------------------------------------- the fastest way


def fastest(spec: Spec, problem: Problem, clock: Stopwatch, *, fusible: bool = False) -> Found:
    """Returns the backend that is the fastest for this network, batch and device.

    It is measured, and remembered between runs. It is loop, without a measurement, where the
    network or the loss cannot be batched. With `fusible`, compiled code is measured too.
    """
    reason = _why_not_vmap(spec, problem)
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
        there, most = problem.to(device), _piece_bytes(spec)
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


def most_of(spec: Spec) -> Training:
    """Returns the training in which the method of a spec spends most of its time."""
    return stages_of(spec).method


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
    return max(1, min(share, few, _piece_bytes(spec) // (vectors * 4 * problem.parameter_count)))


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


def _check_graph(spec: Spec, problem: Problem) -> None:
    """Raises InputError where the steps of a search cannot be recorded as CUDA graphs."""
    device, most = torch.device(spec.device.split(",")[0]), _piece_bytes(spec)
    recipe, there = _recipe_to_measure(spec, problem), problem.to(device)
    beads = _beads_to_measure(spec, problem)

    def refused() -> str | None:
        ways: tuple[Way, Way] = ("graph", "vmap")
        return _why_no_graph(
            *(_Steps(backend_of(way, spec.problem, there, most), recipe, beads) for way in ways)
        )

    why = _in_thread(device, refused)
    if why is not None:
        raise InputError(
            f"is graph, but steps cannot be recorded ({why}); choose auto", key="search.batching"
        )


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
