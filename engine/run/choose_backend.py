"""Chooses the backend of a run, which run.yaml names in `search.batching`."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from statistics import median

import torch

from engine.backends.backend import Backend, Way
from engine.backends.cuda_graphs import CudaGraphsBackend
from engine.backends.fused.backend import FusedBackend
from engine.backends.fused.compilation import available, compiled, warm_up
from engine.backends.fused.layout import fused_layout
from engine.backends.in_place import InPlaceBackend
from engine.backends.torch_backend import PIECE_BYTES
from engine.backends.triton_rounds.availability import why_it_fails, why_not
from engine.backends.triton_rounds.backend import TritonBackend
from engine.backends.triton_rounds.tiles import fits
from engine.backends.vmapped import FEW_TOGETHER, VmappedBackend
from engine.cache import cache_folder, warn_of_compiling
from engine.errors import InputError
from engine.problem.problem import Problem
from engine.record import writing
from engine.seeds import generator
from engine.spec.keys import Spec
from engine.spec.problem import ProblemSpec
from engine.spec.stages import stages_of
from engine.spec.training import Training
from engine.steps.practice import PLAIN, Practice, practice_of
from engine.steps.recipe import Recipe
from engine.workers.pool import prepare_thread

log = logging.getLogger("engine")

#: The numbers of beads, of samples at most, and of repetitions of a measurement.
BEADS, SAMPLES, REPEATS = 16, 2048, 3
#: The seconds of a first step after which only one more is measured.
LONG_S = 0.5
#: The share of a GPU's memory for layers' outputs, where limits.memory is null.
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
    if chosen == "triton":
        _check_triton(spec, problem)
    if chosen in ("vmap", "graph"):
        _check_vmap(spec, problem)
    if chosen == "graph" and spec.device == "cpu":
        raise InputError(
            "is graph, but the device is cpu, which has none; choose auto", key="search.batching"
        )
    if chosen == "auto":
        fusible = _why_not_fused(spec, problem) is None
        small = problem.parameter_count <= SURELY_FUSED
        if fusible and small:
            chosen = "fused"
        elif _takes_rounds(spec, problem):
            chosen = "triton"
        else:
            chosen = fastest(spec, problem, clock, fusible=fusible)
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
    if problem.sample_bytes > FUSED_BYTES:
        return f"it would copy {problem.sample_bytes / 2**30:.1f} GiB of samples into memory"
    practice = practice_of(_most_of(spec), spec.problem.network.drops)
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
    if spec.search.method == "constrained" or _why_no_rounds(spec, problem) is not None:
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
    return why_it_fails(backend, backend.paced(Recipe(_most_of(spec))))


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
    names = spec.device.split(",")
    smallest = min(torch.cuda.get_device_properties(name).total_memory for name in names)
    return int(GPU_SHARE * smallest)


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
    samples = min(SAMPLES, Recipe(_most_of(spec)).samples(len(problem.train)))
    device = torch.device(spec.device.split(",")[0])
    key = _fingerprint(spec, problem, samples, device)
    known = _remembered()
    more: tuple[Way, ...] = ("fused",) if fusible else ()
    ways: tuple[Way, ...] = (*more, "vmap", "loop")
    if device.type == "cuda":
        ways = (*ways, "graph")
    if known.get(key) not in ways:
        there, most = problem.to(device), _piece_bytes(spec)
        tried = {way: backend_of(way, spec.problem, there, most) for way in ways}
        with ThreadPoolExecutor(1, initializer=prepare_thread, initargs=(device,)) as thread:
            practice = practice_of(_most_of(spec), problem.drops)
            known[key] = thread.submit(_measured, tried, practice, samples, clock).result()
        _remember(known)
    return next(way for way in ways if way == known[key])


def _most_of(spec: Spec) -> Training:
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
    theta = torch.stack([problem.initial(seed) for seed in range(BEADS)])
    numbers = generator(0, "batching").integers(0, len(problem.train), (BEADS, samples))
    batches = torch.from_numpy(numbers).to(problem.device)
    keys = torch.arange(BEADS, device=problem.device)

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
    practice = practice_of(_most_of(spec), problem.drops)
    if practice != PLAIN:
        what.append(repr(practice))
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _remembered() -> dict[str, str]:
    """Returns the fastest backends found so far, by fingerprint."""
    with suppress(OSError, ValueError):
        tree = json.loads((cache_folder() / "batching.json").read_bytes())
        if isinstance(tree, dict):
            return tree
    return {}


def _remember(known: dict[str, str]) -> None:
    """Keeps the fastest backends found so far. Does nothing where they cannot be written."""
    with suppress(OSError):
        cache_folder().mkdir(parents=True, exist_ok=True)
        writing.replace(cache_folder() / "batching.json", json.dumps(known).encode())
