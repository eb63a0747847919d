"""Chooses the backend of a run, which run.yaml names in `search.batching`."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import torch

from engine.backends.backend import Backend, Way
from engine.backends.cuda_graphs import CudaGraphsBackend
from engine.backends.fused.backend import FusedBackend
from engine.backends.fused.compilation import available, compiled, warm_up
from engine.backends.fused.layout import fused_layout
from engine.backends.in_place import InPlaceBackend
from engine.backends.torch_backend import PIECE_BYTES
from engine.backends.vmapped import FEW_TOGETHER, VmappedBackend
from engine.cache import warn_of_compiling
from engine.errors import InputError
from engine.problem.problem import Problem
from engine.run.remembered import remember, remembered
from engine.seeds import generator
from engine.spec.keys import Spec
from engine.spec.problem import ProblemSpec
from engine.spec.stages import stages_of
from engine.spec.training import Training
from engine.steps.practice import PLAIN, Practice, practice_of
from engine.steps.recipe import Recipe
from engine.workers.devices import free_bytes
from engine.workers.pool import prepare_thread

log = logging.getLogger("engine")

#: The file of the cache folder with the fastest backends found so far.
FILE = "batching.json"
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

Stopwatch = Callable[[], float]


def choose_backend(
    spec: Spec, problem: Problem, clock: Stopwatch = time.perf_counter
) -> tuple[Spec, Backend]:
    """Returns the spec with its `search.batching` decided, and the backend that it names.

    Raises InputError where search.batching asks for a backend that cannot compute the problem.
    """
    chosen = spec.search.batching
    if chosen == "fused":
        _check_fused(spec, problem)
    if chosen in ("vmap", "graph"):
        _check_vmap(spec, problem)
    if chosen == "graph" and spec.device == "cpu":
        raise InputError(
            "is graph, but the device is cpu, which has none; choose auto", key="search.batching"
        )
    if chosen == "auto":
        fusible = _why_not_fused(spec, problem) is None
        small = problem.parameter_count <= SURELY_FUSED
        chosen = "fused" if fusible and small else fastest(spec, problem, clock, fusible=fusible)
    if chosen == "fused" and not compiled():
        warn_of_compiling()
        warm_up()
    search = spec.search.model_copy(update={"batching": chosen})
    backend = backend_of(chosen, spec.problem, problem, _piece_bytes(spec))
    return spec.model_copy(update={"search": search}), backend


def backend_of(
    way: Way, spec: ProblemSpec, problem: Problem, piece_bytes: int = PIECE_BYTES
) -> Backend:
    """Returns the backend of that name for a problem and its spec."""
    match way:
        case "fused":
            layout = fused_layout(spec.network, spec.loss)
            assert layout is not None  # or it would not have been chosen
            return FusedBackend(problem, layout, piece_bytes)
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


def _check_fused(spec: Spec, problem: Problem) -> None:
    """Raises InputError where compiled code cannot compute the problem."""
    reason = _why_not_fused(spec, problem)
    if reason is not None:
        raise InputError(f"is fused, but {reason}; choose auto", key="search.batching")


def _why_not_fused(spec: Spec, problem: Problem) -> str | None:
    """Returns why compiled code cannot compute the problem, or None where it can."""
    if spec.device != "cpu":
        return f"the device is {spec.device}"
    if spec.path_parameters is not None:
        return "path_parameters lets some parameters stay"
    if fused_layout(spec.problem.network, spec.problem.loss) is None:
        return "only fully connected networks with the losses mse, l1 and cross_entropy are"
    if problem.sample_bytes > FUSED_BYTES:
        return f"it would copy {problem.sample_bytes / 2**30:.1f} GiB of samples into memory"
    practice = practice_of(most_of(spec), spec.problem.network.drops)
    if practice != PLAIN:
        return f"its steps have no {practice.words}"
    if not available():
        log.warning("numba cannot be imported: small networks train many times slower")
        return "numba cannot be imported"
    return None


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
    practices = {practice_of(each, problem.drops) for each in stages_of(spec).trainings}
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


def fastest(spec: Spec, problem: Problem, clock: Stopwatch, *, fusible: bool = False) -> Way:
    """Returns the backend that is the fastest for this network, batch and device.

    It is measured, and remembered between runs. It is loop, without a measurement, where the
    network or the loss cannot be batched. With `fusible`, compiled code is measured too.
    """
    reason = _why_not_vmap(spec, problem)
    if reason is not None:
        log.info("search.batching: loop, because vmap cannot be (%s)", reason)
        return "loop"
    samples = min(SAMPLES, Recipe(most_of(spec)).samples(len(problem.train)))
    device = torch.device(spec.device.split(",")[0])
    key = _fingerprint(spec, problem, samples, device)
    known = remembered(FILE)
    more: tuple[Way, ...] = ("fused",) if fusible else ()
    ways: tuple[Way, ...] = (*more, "vmap", "loop")
    if device.type == "cuda":
        ways = (*ways, "graph")
    if known.get(key) not in ways:
        there, most = problem.to(device), _piece_bytes(spec)
        tried = {way: backend_of(way, spec.problem, there, most) for way in ways}
        with ThreadPoolExecutor(1, initializer=prepare_thread, initargs=(device,)) as thread:
            practice = practice_of(most_of(spec), problem.drops)
            known[key] = thread.submit(_measured, tried, practice, samples, clock).result()
        remember(FILE, known)
    return next(way for way in ways if way == known[key])


def most_of(spec: Spec) -> Training:
    """Returns the training in which the method of a spec spends most of its time."""
    settings = stages_of(spec)
    match spec.search.method:
        case "constrained":
            return settings.constrained
        case "linear":
            return settings.endpoints
        case "greedy" | "auto":
            return settings.greedy


def _measured(tried: dict[Way, Backend], practice: Practice, samples: int, clock: Stopwatch) -> Way:
    """Returns the backend that takes the least time for a step of some beads."""
    problem = next(iter(tried.values())).problem
    beads = max(1, min(BEADS, WEIGHTS // problem.parameter_count))
    theta = torch.stack([problem.initial(seed) for seed in range(beads)])
    numbers = generator(0, "batching").integers(0, len(problem.train), (beads, samples))
    batches = torch.from_numpy(numbers).to(problem.device)
    keys = torch.arange(beads, device=problem.device)

    def seconds(way: Way) -> float:
        """Returns the seconds of one step."""
        began = clock()
        found, _ = tried[way].practised(theta, batches, practice, keys)
        found.tolist()  # waits for the device
        return clock() - began

    def typical(way: Way) -> float:
        """Returns the median after a first step, which may compile or fill a cache."""
        return median(seconds(way) for _ in range(1 if seconds(way) > LONG_S else REPEATS))

    taken = {way: typical(way) for way in tried}
    bias = LOOP_BIAS if problem.device.type == "cpu" else 1.0
    best = min(taken, key=lambda way: taken[way] * (bias if way == "loop" else 1.0))
    slowest = max(taken.values()) / taken[best]
    log.info("search.batching: %s, %.1f times as fast as the slowest way", best, slowest)
    return best


def _fingerprint(spec: Spec, problem: Problem, samples: int, device: torch.device) -> str:
    """Returns a hash of all that a measurement depends on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    shape = [list(problem.train.shape), samples]
    what = [spec.problem.network.model_dump(mode="json"), shape, name, torch.__version__]
    practice = practice_of(most_of(spec), problem.drops)
    if practice != PLAIN:
        what.append(repr(practice))
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
