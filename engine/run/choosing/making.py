"""Makes the backend of a name for a problem."""

from __future__ import annotations

from engine.backends.backend import Backend, Way
from engine.backends.cuda_graphs import CudaGraphsBackend
from engine.backends.fused.backend import FusedBackend
from engine.backends.fused.layout import fused_layout
from engine.backends.in_place import InPlaceBackend
from engine.backends.torch_backend import PIECE_BYTES
from engine.backends.triton_rounds.backend import TritonBackend
from engine.backends.vmapped import VmappedBackend
from engine.problem.problem import Problem
from engine.spec.keys import Spec
from engine.spec.problem import ProblemSpec
from engine.workers.devices import free_bytes

#: The share of a GPU's free memory for layers' outputs, where limits.memory is null.
GPU_SHARE = 0.25


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
            return triton_of(spec, problem, piece_bytes)
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


def triton_of(spec: ProblemSpec, problem: Problem, piece_bytes: int) -> TritonBackend:
    """Returns the backend of whole rounds in one launch."""
    layout = fused_layout(spec.network, spec.loss)
    assert layout is not None  # or it would not have been chosen
    return TritonBackend(problem, layout, piece_bytes)


def piece_bytes(spec: Spec) -> int:
    """Returns the bytes of layers' outputs that one call of one worker may hold."""
    workers = (spec.workers or 1) if spec.device == "cpu" else 1
    if spec.limits.memory is not None:
        return max(1, int(spec.limits.memory * 2**30 / workers))
    if spec.device == "cpu":
        return PIECE_BYTES
    return int(GPU_SHARE * min(map(free_bytes, spec.device.split(","))))
