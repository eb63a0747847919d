"""Streams and events of acted cards, and the memory that streams read and write.

Each stream counts its operations. Its clock holds, for every stream, the newest operation that is
certain to be done before the stream's next one (Lamport 1978, as vectors). Memory remembers who
wrote it last and who has read it since; whoever comes to it without an order is a race.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import Tensor

from tests.support.acted.machine import LOCAL, Machine, index_of, line, machine, place_of

if TYPE_CHECKING:
    from tests.support.acted.graphs import Tape

Clock = dict[int, int]


def join(clock: Clock, other: Clock) -> None:
    """Moves a clock on to whatever the other is ahead in."""
    for stream, time in other.items():
        if clock.get(stream, 0) < time:
            clock[stream] = time


class Stream:
    """A queue of operations on one device."""

    def __init__(self, device: Any = None, priority: int = 0, **_: Any) -> None:
        self.device = place_of(device)
        self.machine = machine()
        self.id = self.machine.admit(self)
        self.clock: Clock = {}
        self.tape: Tape | None = None
        """What a capture has recorded so far; None where none is under way."""
        self.freed: list[tuple[Clock, str]] = []
        """The uses by others of memory that was given back to this stream, and by which line."""

    def __repr__(self) -> str:
        return f"<stream {self.id} of {self.device}>"

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def wait_stream(self, other: Stream) -> None:
        with self.machine.lock:
            join(self.clock, other.clock)
        if other.tape is not None and self.tape is None:  # a fork of the capture
            self.tape = other.tape
            self.tape.streams.add(self)

    def wait_event(self, event: Event) -> None:
        with self.machine.lock:
            join(self.clock, event.clock)

    def record_event(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.record(self)
        return event

    def synchronize(self) -> None:
        self.refuse_in_capture("cudaStreamSynchronize")
        self.machine.note_sync("stream.synchronize")
        self.wait_for()

    def query(self) -> bool:
        return True

    def wait_for(self) -> None:
        """The host has waited until all is done that was asked of the stream."""
        with self.machine.lock:
            join(self.machine.host, self.clock)

    def refuse_in_capture(self, what: str) -> None:
        """Raises RuntimeError where a capture is under way."""
        if self.tape is None:
            return
        self.machine.counts.refused[f"{what} at {line()}"] += 1
        self.tape.spoiled = True
        raise RuntimeError(
            f"CUDA error: operation not permitted when stream is capturing ({what}, {line()})"
        )

    def operate(self, reads: Iterable[Cell], writes: Iterable[Cell], allocates: bool) -> None:
        """Notes one operation, and the races that it makes."""
        with self.machine.lock:
            join(self.clock, self.machine.host)
            now = self.clock.get(self.id, 0) + 1
            self.clock[self.id] = now
            races = self.machine.counts.races
            if allocates and self.freed:
                for uses, where in self.freed:
                    if self._behind(uses):
                        races[f"memory reused that another stream may use, freed at {where}"] += 1
                self.freed = []
            for cell in reads:
                if self._behind(cell.write):
                    races[f"read before the write is done at {line()}"] += 1
                cell.reads[self.id] = now
            for cell in writes:
                if self._behind(cell.write) or self._behind(cell.reads):
                    races[f"written over what is in use at {line()}"] += 1
                cell.write, cell.reads = {self.id: now}, {}

    def _behind(self, clock: Clock) -> bool:
        return any(self.clock.get(stream, 0) < time for stream, time in clock.items())


class Event:
    """A moment of a stream."""

    def __init__(self, enable_timing: bool = False, **_: Any) -> None:
        self.clock: Clock = {}

    def record(self, stream: Stream | None = None) -> None:
        with machine().lock:
            self.clock = dict((stream or current_stream()).clock)

    def wait(self, stream: Stream | None = None) -> None:
        (stream or current_stream()).wait_event(self)

    def synchronize(self) -> None:
        machine().note_sync("event.synchronize")
        with machine().lock:
            join(machine().host, self.clock)

    def query(self) -> bool:
        return True

    def elapsed_time(self, other: Event) -> float:
        return float(sum(other.clock.values()) - sum(self.clock.values()))


class Cell:
    """What is known of a storage: who wrote it last, and who has read it since."""

    def __init__(self, stream: Stream, size: int) -> None:
        stream.machine.allocate(stream.device.index, size)
        self.stream, self.size = stream, size
        self.within = stream.tape
        """The capture within which it was made; None for one that was made outside of any."""
        self.write: Clock = {}
        self.reads: Clock = {}
        self.safe = {stream.id}
        """The streams that the allocator knows of (`Tensor.record_stream`)."""

    def __del__(self) -> None:
        if not hasattr(self, "stream"):  # it could not be allocated
            return
        owner = self.stream.machine
        if owner.closed:
            return
        with owner.lock:
            owner.allocated[self.stream.device.index] -= self.size
            uses = {**self.reads}
            join(uses, self.write)
            late = {
                stream: time
                for stream, time in uses.items()
                if stream not in self.safe and owner.host.get(stream, 0) < time
            }
            if late:
                self.stream.freed.append((late, line()))


def address(tensor: Tensor) -> int:
    """Returns the address of a tensor's storage, which its views share."""
    found: int = tensor.untyped_storage()._cdata
    return found


def tensors_in(tree: Any) -> Iterator[Tensor]:
    """Yields the tensors of lists and tuples within each other."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, list | tuple):
        for each in tree:
            yield from tensors_in(each)


class Cells:
    """The cells of all storages in use, by the storage's address."""

    def __init__(self) -> None:
        self._cells: weakref.WeakValueDictionary[int, Cell] = weakref.WeakValueDictionary()

    def of(self, tensor: Tensor, stream: Stream) -> Cell:
        """Returns the cell of a tensor's storage, made for a stream where there is none."""
        with stream.machine.lock:
            cell = self._cells.get(address(tensor))
            if cell is None:
                cell = Cell(stream, tensor.untyped_storage().nbytes())
                self._cells[address(tensor)] = cell
        return cell


CELLS = Cells()


class _Streams(threading.local):
    """The streams that a thread has set, by machine and device."""

    def __init__(self) -> None:
        self.set: dict[tuple[int, int], Stream] = {}


_SET = _Streams()
_DEFAULT: weakref.WeakKeyDictionary[Machine, dict[int, Stream]] = weakref.WeakKeyDictionary()


def default_stream(device: Any = None) -> Stream:
    index, now = index_of(device), machine()
    with now.lock:
        known = _DEFAULT.setdefault(now, {})
        if index not in known:
            known[index] = Stream(index)
    return known[index]


def current_stream(device: Any = None) -> Stream:
    index = index_of(device)
    stream = _SET.set.get((machine().number, index))
    return stream if stream is not None else default_stream(index)


def set_stream(stream: Stream) -> None:
    LOCAL.index = stream.device.index
    _SET.set[stream.machine.number, stream.device.index] = stream


@contextmanager
def stream_of(stream: Stream | None) -> Iterator[None]:
    """Acts `torch.cuda.stream`."""
    if stream is None:
        yield
        return
    index, before = LOCAL.index, current_stream(stream.device)
    set_stream(stream)
    try:
        yield
    finally:
        set_stream(before)
        LOCAL.index = index


def synchronize(device: Any = None) -> None:
    """Waits for all streams of a device."""
    index, now = index_of(device), machine()
    current_stream(index).refuse_in_capture("cudaDeviceSynchronize")
    now.note_sync("synchronize")
    for stream in list(now.streams):
        if stream.device.index == index:
            stream.wait_for()


def is_capturing() -> bool:
    return current_stream().tape is not None
