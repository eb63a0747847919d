"""The backend of CUDA graphs: the kernels of a step are recorded once, and replayed as a whole.

A step of a small network takes a GPU less time than it takes to launch its kernels one by one. A
graph is for one size of batch, so sizes are rounded up to a few, and rows beyond the batch are
copies of its first. The results of a graph are compared with those without it before it is used.
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
from engine.steps.practice import PLAIN, Practice

log = logging.getLogger("engine")

Outputs = tuple[Tensor, Tensor]
Function = Callable[..., Outputs]
"""Takes tensors (bead, …) and returns losses (bead,) and gradients (bead, param). Each row depends
on its own inputs alone, and the kernels do not depend on values."""
Capture = Callable[[Function, tuple[Tensor, ...]], tuple[Callable[[], None], Outputs]]
"""Records a function of certain tensors. Returns a function that replays it, and the tensors that a
replay writes to."""

#: The number of graphs that are kept, each with memory of its own.
MOST = 16
#: The relative and absolute differences from results without a graph that are allowed.
RTOL, ATOL = 1e-3, 1e-5


def capture_on_gpu(
    function: Function, inputs: tuple[Tensor, ...]
) -> tuple[Callable[[], None], Outputs]:
    """Records a function as a CUDA graph in this thread's stream, as `Capture` describes.

    The stream must not be the device's default one.
    """
    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.current_stream()
    stream.synchronize()
    # Other threads may ask their own devices for work meanwhile.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        outputs = function(*inputs)
    return graph.replay, outputs


@dataclass(frozen=True)
class _Graph:
    """A recorded function, with the tensors that it reads and writes."""

    replay: Callable[[], None]
    inputs: tuple[Tensor, ...]
    outputs: Outputs


class Graphs:
    """The graphs of one thread. Functions are told apart by their names."""

    def __init__(self, capture: Capture = capture_on_gpu) -> None:
        """Makes an empty collection. `capture` records a function."""
        self._capture = capture
        self._known: dict[tuple[object, ...], _Graph] = {}
        self.failed = False
        """Whether a function could not be recorded, after which none is tried."""

    def run(self, function: Function, *inputs: Tensor) -> Outputs:
        """Returns the function's results for these inputs, all of the same number of rows.

        The function is recorded at its first call for a size of batch, and replayed from then on.
        """
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
        """Records a function and keeps the graph if it computes the same as the function."""
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
    """Returns the next power of two, or one and a half times one: at most a third is spare."""
    power = 1
    while power < rows:
        if power > 1 and rows <= power * 3 // 2:
            return power * 3 // 2
        power *= 2
    return power


def _padded(tensor: Tensor, size: int) -> Tensor:
    """Returns a tensor of `size` rows; those beyond the given ones are copies of the first."""
    return torch.cat([tensor, tensor[:1].expand(size - len(tensor), *tensor.shape[1:])])


class CudaGraphsBackend(VmappedBackend):
    """The backend that records the gradients of `VmappedBackend` as CUDA graphs."""

    name: Way = "graph"

    def __init__(
        self,
        problem: Problem,
        piece_bytes: int = PIECE_BYTES,
        networks: dict[torch.dtype, InPlace] | None = None,
    ) -> None:
        """Makes the backend; see `TorchBackend`."""
        super().__init__(problem, piece_bytes, networks)
        self.graphs = Graphs()

    def _on_all(self, theta: Beads) -> tuple[PerBead, Beads]:
        """Returns losses and gradients on all training samples, from a graph."""
        return self.graphs.run(super()._on_all, theta)

    def _on(
        self,
        theta: Beads,
        batches: Batches,
        practice: Practice = PLAIN,
        keys: Tensor | None = None,
    ) -> tuple[PerBead, Beads]:
        """Returns losses and gradients on mini-batches, from a graph."""
        if practice == PLAIN:
            return self.graphs.run(super()._on, theta, batches)
        launched = super()._on

        def step(theta: Beads, batches: Batches, keys: Tensor | None = None) -> Outputs:
            return launched(theta, batches, practice, keys)

        step.__name__ = f"step of {practice}"
        return self.graphs.run(step, theta, batches, *(() if keys is None else (keys,)))
