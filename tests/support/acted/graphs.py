"""Graphs of acted cards: what is captured is put on a tape, and a replay runs the tape.

As on a card, a capture computes nothing: what it wrote to is put back afterwards, and what it made
holds NaN until the first replay.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import torch
from torch import Tensor

from tests.support.acted.machine import line, machine
from tests.support.acted.streams import (
    CELLS,
    Cell,
    Stream,
    address,
    current_stream,
    default_stream,
    set_stream,
    synchronize,
    tensors_in,
)


@dataclass(frozen=True)
class Entry:
    """One operation of a tape, on tensors of the CPU."""

    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outs: Sequence[Tensor]
    """The tensors that it makes; none where it writes to its arguments."""
    reads: Sequence[Cell]
    writes: Sequence[Cell]
    place: torch.device

    def run(self) -> None:
        """Computes the operation again, in its very tensors."""
        with drawing(self.function, self.place):
            found = self.function(*self.args, **self.kwargs)
        for out, new in zip(self.outs, tensors_in(found), strict=False):
            out.copy_(new)


@dataclass
class Tape:
    """What a capture has recorded."""

    streams: set[Stream]
    """The streams that take part: the first one, and those that wait for it."""
    kernels: int = 0
    spoiled: bool = False
    """Whether something was asked for that a capture does not permit."""
    entries: list[Entry] = field(default_factory=list)
    outside: dict[weakref.ref[Cell], bool] = field(default_factory=dict)
    """The memory from outside, which a graph does not keep, and whether it is written to."""
    _before: dict[int, tuple[Tensor, Any]] = field(default_factory=dict)

    def keep(self, written: Sequence[Tensor], stream: Stream) -> None:
        """Keeps what memory from outside holds, before it is written to."""
        for tensor in written:
            if CELLS.of(tensor, stream).within is not self and address(tensor) not in self._before:
                storage: Any = tensor.untyped_storage()
                self._before[address(tensor)] = tensor, storage.clone()

    def add(self, entry: Entry) -> None:
        """Records an operation."""
        reads = [cell for cell in entry.reads if cell.within is self]
        writes = [cell for cell in entry.writes if cell.within is self]
        self.entries.append(replace(entry, reads=reads, writes=writes))
        for cells, written in ((entry.reads, False), (entry.writes, True)):
            for cell in cells:
                if cell.within is not self:
                    known = self.outside.get(weakref.ref(cell), False)
                    self.outside[weakref.ref(cell)] = known or written

    def end(self) -> None:
        """Undoes what the capture has computed."""
        for tensor, storage in self._before.values():
            tensor.untyped_storage().copy_(storage)
        self._before = {}
        for entry in self.entries:
            for out in entry.outs:
                if out.is_floating_point():
                    out.fill_(float("nan"))

    def replay(self, stream: Stream) -> None:
        """Runs the tape."""
        if any(cell() is None for cell in self.outside):
            machine().counts.races[f"a replay uses memory that was given back at {line()}"] += 1
        held = [(cell(), written) for cell, written in self.outside.items()]
        reads = [cell for cell, written in held if cell is not None and not written]
        writes = [cell for cell, written in held if cell is not None and written]
        stream.operate(reads, writes, allocates=False)
        for entry in self.entries:
            entry.run()
            others = [cell for cell in entry.reads if cell not in entry.writes]
            stream.operate(others, entry.writes, allocates=False)
        stream.operate(reads, writes, allocates=False)


@contextmanager
def drawing(function: Any, place: torch.device) -> Iterator[None]:
    """Lets a function that draws take the numbers of the card's own generator."""
    if torch.Tag.nondeterministic_seeded not in function.tags:
        yield
        return
    own, host = machine().generators[place.index], torch.get_rng_state()
    torch.set_rng_state(own.get_state())
    try:
        yield
    finally:
        own.set_state(torch.get_rng_state())
        torch.set_rng_state(host)


class CUDAGraph:
    """Acts `torch.cuda.CUDAGraph`."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self._tape: Tape | None = None
        self._pool = next(_pools), 0

    def capture_begin(self, pool: Any = None, capture_error_mode: str = "global") -> None:
        stream = current_stream()
        if stream is default_stream(stream.device):
            raise RuntimeError("CUDA graphs must be captured on a non-default stream.")
        if stream.tape is not None:
            raise RuntimeError("CUDA error: the stream is capturing already")
        if any(other.tape is not None for other in stream.machine.streams):
            stream.machine.counts.races[f"two captures at a time at {line()}"] += 1
        self._pool = pool or self._pool
        self._tape = stream.tape = Tape({stream})

    def capture_end(self) -> None:
        tape = self._tape
        assert tape is not None
        for stream in tape.streams:
            stream.tape = None
        tape.end()
        if tape.spoiled:
            self._tape = None
            raise RuntimeError(
                "CUDA error: operation failed due to a previous error during capture"
            )
        machine().counts.captures += 1

    def replay(self) -> None:
        if self._tape is None:
            raise RuntimeError("Called CUDAGraph::replay without a preceding successful capture.")
        stream, counts = current_stream(), machine().counts
        stream.refuse_in_capture("cudaGraphLaunch")
        counts.replays += 1
        counts.replayed += self._tape.kernels
        counts.launches["replay"] += 1
        self._tape.replay(stream)

    def reset(self) -> None:
        self._tape = None

    def pool(self) -> tuple[int, int]:
        return self._pool


_pools = count(1)


class graph:
    """Acts `torch.cuda.graph`."""

    def __init__(
        self,
        cuda_graph: CUDAGraph,
        pool: Any = None,
        stream: Stream | None = None,
        capture_error_mode: str = "global",
    ) -> None:
        self._graph, self._pool, self._mode = cuda_graph, pool, capture_error_mode
        self._stream = stream or Stream()

    def __enter__(self) -> None:
        synchronize()
        self._before = current_stream(self._stream.device)
        set_stream(self._stream)
        self._graph.capture_begin(self._pool, self._mode)

    def __exit__(self, *_: object) -> None:
        try:
            self._graph.capture_end()
        finally:
            set_stream(self._before)


def pool_handle() -> tuple[int, int]:
    """Acts `torch.cuda.graph_pool_handle`."""
    return next(_pools), 0
