"""The backend of CUDA graphs: the kernels of a round are recorded once, and replayed as a whole.

A step of a small network takes a GPU less time than it takes to launch its kernels one by one. A
graph is for one number of rows, so numbers are rounded up to a few, and rows beyond the given ones
are copies of the first. A function is recorded when it is asked for again, and the results of the
recording are compared with its own before they are used.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Self

import torch
from torch import Tensor

from engine.backends.backend import Function, Tensors, Way
from engine.backends.models import InPlace
from engine.backends.torch_backend import PIECE_BYTES
from engine.backends.vmapped import VmappedBackend
from engine.problem.problem import Problem
from engine.shapes import Beads, PerBead

log = logging.getLogger("engine")

Recording = tuple[Callable[[], None], Tensors]
"""A function that replays a recording, and the tensors that a replay writes to."""
Capture = Callable[[Callable[[], Tensors], Any], Recording]
"""Records a call, in a memory pool."""

#: The number of graphs that are kept. The one that was not used for the longest time goes first.
MOST = 16
#: The number of calls of a function before it is recorded.
BEFORE = 1
#: The relative and absolute differences from results without a graph that are allowed.
RTOL, ATOL = 1e-3, 1e-5

#: The lock that is held while a graph is captured. Whoever begins a capture empties the caches of
#: all devices, which would break into another one.
CAPTURING = Lock()


def capture_on_gpu(call: Callable[[], Tensors], pool: Any) -> Recording:
    """Records a call as a CUDA graph in this thread's stream, as `Capture` describes.

    The stream must not be the device's default one.
    """
    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.current_stream()
    stream.synchronize()
    # Other threads may ask their own devices for work meanwhile.
    with (
        CAPTURING,
        torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"),
    ):
        outputs = call()
    return graph.replay, outputs


def pool_on_gpu() -> Any:
    """Returns a new memory pool for graphs."""
    return torch.cuda.graph_pool_handle()


def refusal(call: Callable[[], object]) -> str | None:
    """Returns why a call cannot be recorded as a CUDA graph, or None where nothing is known.

    The call is made, and fails where the host would wait for the device. No other thread may use a
    GPU meanwhile. A capture that fails would leave torch's memory pools in disorder, so this is
    found out before.
    """
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        call()
    except RuntimeError as error:
        return _in_brief(error)
    finally:
        torch.cuda.set_sync_debug_mode(before)
    return None


@dataclass(frozen=True)
class _Graph:
    """A recorded function, with the tensors that it reads and writes."""

    replay: Callable[[], None]
    inputs: Tensors
    outputs: Tensors


class Graphs:
    """The graphs of one thread, which share a memory pool.

    A replay overwrites what others have left there, so results are copied at once.
    """

    def __init__(
        self,
        capture: Capture = capture_on_gpu,
        new_pool: Callable[[], Any] = pool_on_gpu,
        where: str = "here",
    ) -> None:
        """Makes an empty collection. `capture` records a call in a pool that `new_pool` makes.

        `where` says for the log where they are.
        """
        self._capture, self._new_pool, self._where = capture, new_pool, where
        self._known: OrderedDict[Hashable, _Graph] = OrderedDict()
        self._calls: dict[Hashable, int] = {}
        self._rooms: dict[Hashable, Tensor] = {}
        """The tensors that graphs read, by their place among the arguments and their shapes."""
        self._pool: Any = None
        self._busy = False
        self.failed: str | None = None
        """Why a function could not be recorded, after which none is tried."""

    def __len__(self) -> int:
        """Returns the number of graphs."""
        return len(self._known)

    def run(self, key: Hashable, function: Function, each: Tensors, whole: Tensors = ()) -> Tensors:
        """Returns the function's results for tensors; see `Backend.recorded`.

        It is recorded when it is called again for a size of batch, and replayed from then on. A
        function that is called within another is part of its recording.
        """
        if self._busy or self.failed is not None:
            return function(*each, *whole)
        rows = len(each[0])
        shapes = [(tuple(tensor.shape[1:]), tensor.dtype) for tensor in each]
        shapes += [(tuple(tensor.shape), tensor.dtype) for tensor in whole]
        key = (key, rounded_up(rows), *shapes)
        self._busy = True
        try:
            graph = self._known.get(key)
            if graph is None:
                return self._first(key, function, each, whole)
            self._known.move_to_end(key)
            _fill(graph.inputs, each, whole, rows)
            graph.replay()
            return tuple(output[:rows].clone() for output in graph.outputs)
        finally:
            self._busy = False

    def drop(self) -> None:
        """Drops all graphs and their memory."""
        self._known.clear()
        self._calls.clear()
        self._rooms.clear()
        self._pool = None

    def _first(self, key: Hashable, function: Function, each: Tensors, whole: Tensors) -> Tensors:
        """Returns the results of a function without a graph, and records it for later calls.

        It is not recorded the first time, when libraries may set themselves up. The graph is kept
        if it computes the same.
        """
        expected = function(*each, *whole)
        self._calls[key] = self._calls.get(key, 0) + 1
        if self._calls[key] > BEFORE:
            self._record(key, function, each, whole, expected)
        return expected

    def _record(
        self,
        key: Hashable,
        function: Function,
        each: Tensors,
        whole: Tensors,
        expected: Tensors,
    ) -> None:
        """Records a function and keeps the graph if its results are those that are expected."""
        rows = len(each[0])
        try:
            graph = self._captured(function, self._inputs(each, whole))
            graph.replay()
            found = (output[:rows] for output in graph.outputs)
            pairs = zip(found, expected, strict=True)
            if not all(torch.allclose(a, b, RTOL, ATOL, equal_nan=True) for a, b in pairs):
                raise RuntimeError("it computes something else")
        except torch.cuda.OutOfMemoryError:
            self._give_up("memory ran out")
        except RuntimeError as error:
            self._give_up(_in_brief(error))
        else:
            while len(self._known) >= MOST:
                self._known.popitem(last=False)
            self._known[key] = graph

    def _captured(self, function: Function, inputs: Tensors) -> _Graph:
        """Returns the recording of a function of these very tensors."""
        if self._pool is None:
            self._pool = self._new_pool()
        replay, outputs = self._capture(lambda: function(*inputs), self._pool)
        return _Graph(replay, inputs, outputs)

    def _inputs(self, each: Tensors, whole: Tensors) -> Tensors:
        """Returns the tensors that a graph reads, filled with arguments.

        Graphs for fewer rows read the first rows of the same tensors.
        """
        rows = len(each[0])
        inputs = tuple(
            self._room(place, tensor, size)[:size]
            for place, (tensor, size) in enumerate(
                [
                    *((tensor, rounded_up(rows)) for tensor in each),
                    *((tensor, len(tensor)) for tensor in whole),
                ]
            )
        )
        _fill(inputs, each, whole, rows)
        return inputs

    def _room(self, place: int, like: Tensor, size: int) -> Tensor:
        """Returns a tensor of at least `size` rows for the argument at a place."""
        key = (place, tuple(like.shape[1:]), like.dtype)
        if key not in self._rooms or len(self._rooms[key]) < size:
            self._rooms[key] = like.new_empty(size, *like.shape[1:])
        return self._rooms[key]

    def _give_up(self, why: str) -> None:
        """Drops all graphs, and records none from now on."""
        self.drop()
        self.failed = why
        told = "no CUDA graphs %s from now on (%s): steps are asked for kernel by kernel"
        log.warning(told, self._where, why)


def rounded_up(rows: int) -> int:
    """Returns the next power of two, or one and a half times one: at most a third is spare."""
    power = 1
    while power < rows:
        if power > 1 and rows <= power * 3 // 2:
            return power * 3 // 2
        power *= 2
    return power


def _fill(inputs: Tensors, each: Tensors, whole: Tensors, rows: int) -> None:
    """Copies arguments into the tensors that a graph reads; spare rows are copies of the first."""
    for held, given in zip(inputs[: len(each)], each, strict=True):
        held[:rows].copy_(given)
        if rows < len(held):
            held[rows:].copy_(given[:1].expand(len(held) - rows, *given.shape[1:]))
    for held, given in zip(inputs[len(each) :], whole, strict=True):
        held.copy_(given)


def _in_brief(error: Exception) -> str:
    """Returns the first line of an error."""
    return (str(error).splitlines() or [type(error).__name__])[0]


class CudaGraphsBackend(VmappedBackend):
    """The backend that computes as `VmappedBackend` does, and records rounds as CUDA graphs."""

    name: Way = "graph"

    def __init__(
        self,
        problem: Problem,
        piece_bytes: int = PIECE_BYTES,
        networks: dict[torch.dtype, InPlace] | None = None,
    ) -> None:
        """Makes the backend; see `TorchBackend`."""
        super().__init__(problem, piece_bytes, networks)
        self.graphs = Graphs(where=f"on {problem.device}")

    def within(self, piece_bytes: int) -> Self:
        """Returns the backend with smaller pieces, whose graphs are all new.

        Those of this one are dropped, because it is asked for where memory has run out.
        """
        self.graphs.drop()
        if self.problem.device.type == "cuda":
            with CAPTURING:
                torch.cuda.empty_cache()
        return super().within(piece_bytes)

    def recorded(
        self, key: Hashable, function: Function, each: Tensors, whole: Tensors = ()
    ) -> Tensors:
        """Returns what a function gives, from a graph. See `Backend.recorded`."""
        return self.graphs.run(key, function, each, whole)

    def loss_and_grad(self, theta: Beads) -> tuple[PerBead, Beads]:
        """Returns F_e of each weight vector and its gradient, from a graph."""
        losses, grads = self.graphs.run("loss_and_grad", super().loss_and_grad, (theta,))
        return losses, grads
