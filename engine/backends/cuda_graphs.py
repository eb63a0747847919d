"""CUDA graphs: the kernels of a step recorded once and replayed without the interpreter.

Steps of small networks take less time on a GPU than it takes to ask for them kernel by kernel. A
graph is of one size of batch, so sizes are rounded up to a few, and rows beyond the batch are
copies of its first. What a graph computes is compared with the same without it before it is used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.backends.backend import Way
from engine.backends.models import InPlace
from engine.backends.torch_backend import PIECE_BYTES
from engine.backends.vmapped import VmappedBackend
from engine.problem.problem import Problem
from engine.shapes import Batches, Beads, PerBead

log = logging.getLogger("engine")

Outputs = tuple[Tensor, Tensor]
Function = Callable[..., Outputs]
"""Of tensors (bead, …), to losses (bead,) and gradients: row by row, without a look at values."""
Capture = Callable[[Function, tuple[Tensor, ...]], tuple[Callable[[], None], Outputs]]
"""Records a function of these very tensors: what replays it, and the tensors it then writes to."""

#: Graphs kept, each with memory of its own.
MOST = 16
#: By which a graph's results may differ from those without it.
RTOL, ATOL = 1e-3, 1e-5


def capture_on_gpu(
    function: Function, inputs: tuple[Tensor, ...]
) -> tuple[Callable[[], None], Outputs]:
    """In this thread's stream, which is not the device's default one."""
    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.current_stream()
    stream.synchronize()
    # Other threads may ask their own devices for work meanwhile.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        outputs = function(*inputs)
    return graph.replay, outputs


@dataclass(frozen=True)
class _Graph:
    replay: Callable[[], None]
    inputs: tuple[Tensor, ...]
    outputs: Outputs


class Graphs:
    """Of one thread; functions are told apart by their names."""

    def __init__(self, capture: Capture = capture_on_gpu) -> None:
        self._capture = capture
        self._known: dict[tuple[object, ...], _Graph] = {}
        self.failed = False
        """Whether one could not be recorded, after which none is tried."""

    def run(self, function: Function, *inputs: Tensor) -> Outputs:
        """What the function gives for these inputs, which have as many rows each."""
        rows = len(inputs[0])
        size = rounded_up(rows)
        shapes = [(tuple(tensor.shape[1:]), tensor.dtype) for tensor in inputs]
        key = (function.__name__, size, *shapes)
        if key not in self._known and not self.failed and len(self._known) < MOST:
            self._record(key, function, tuple(_padded(tensor, size) for tensor in inputs))
        graph = self._known.get(key)
        if graph is None:
            return function(*inputs)
        for held, given in zip(graph.inputs, inputs, strict=True):
            held[:rows].copy_(given)
        graph.replay()
        losses, grads = graph.outputs
        return losses[:rows].clone(), grads[:rows].clone()

    def _record(
        self, key: tuple[object, ...], function: Function, inputs: tuple[Tensor, ...]
    ) -> None:
        for _ in range(2):  # libraries set themselves up in the first call
            expected = function(*inputs)
        try:
            replay, outputs = self._capture(function, inputs)
            replay()
            pairs = zip(outputs, expected, strict=True)
            same = all(torch.allclose(a, b, RTOL, ATOL, equal_nan=True) for a, b in pairs)
            why = "it computes something else"
        except RuntimeError as error:
            same, why = False, (str(error).splitlines() or [type(error).__name__])[0]
        if same:
            self._known[key] = _Graph(replay, inputs, outputs)
        else:
            self.failed = True
            log.warning("no CUDA graphs here (%s): steps are asked for kernel by kernel", why)


def rounded_up(rows: int) -> int:
    """To a power of two, or one and a half times one: at most a third of the rows are spare."""
    power = 1
    while power < rows:
        if power > 1 and rows <= power * 3 // 2:
            return power * 3 // 2
        power *= 2
    return power


def _padded(tensor: Tensor, size: int) -> Tensor:
    return torch.cat([tensor, tensor[:1].expand(size - len(tensor), *tensor.shape[1:])])


class CudaGraphsBackend(VmappedBackend):
    """As `VmappedBackend`, with its gradients recorded once for a size of batch and replayed."""

    name: Way = "graph"

    def __init__(
        self,
        problem: Problem,
        piece_bytes: int = PIECE_BYTES,
        networks: dict[torch.dtype, InPlace] | None = None,
    ) -> None:
        super().__init__(problem, piece_bytes, networks)
        self.graphs = Graphs()

    def _on_all(self, theta: Beads) -> tuple[PerBead, Beads]:
        return self.graphs.run(super()._on_all, theta)

    def _on(self, theta: Beads, batches: Batches) -> tuple[PerBead, Beads]:
        return self.graphs.run(super()._on, theta, batches)
