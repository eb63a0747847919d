"""The acted machine: its cards, and what has happened on them so far."""

from __future__ import annotations

import sys
import threading
import warnings
import weakref
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Literal

import torch

GIB = 2**30
ROOT = str(Path(__file__).parents[3])
OURS = tuple(f"{ROOT}/{package}/" for package in ("engine", "dss_tui"))


@dataclass(frozen=True)
class Card:
    """A GPU as torch describes it. What others use of its memory is not free."""

    name: str = "Acted H200"
    total: int = 140 * GIB
    used_by_others: int = GIB
    uuid: str = "acd00000-0000-4000-8000-000000000000"
    capability: tuple[int, int] = (9, 0)
    processors: int = 132

    @property
    def properties(self) -> Properties:
        return Properties(self.name, self.total, *self.capability, self.processors, self.uuid)


@dataclass(frozen=True)
class Properties:
    """The facts that `torch.cuda.get_device_properties` gives."""

    name: str
    total_memory: int
    major: int
    minor: int
    multi_processor_count: int
    uuid: str


def cards(number: int, like: Card = Card()) -> tuple[Card, ...]:
    """Returns so many cards, each with a UUID of its own."""
    return tuple(replace(like, uuid=f"{like.uuid[:-2]}{place:02x}") for place in range(number))


@dataclass
class Counts:
    """What has happened so far. Keys are the names of operations, or the lines that asked."""

    launches: Counter[str] = field(default_factory=Counter)
    """Kernels that the host launched, by operation; a replay of a graph is one."""
    replayed: int = 0
    """Kernels that ran within replays."""
    syncs: Counter[str] = field(default_factory=Counter)
    """Waits of the host for a device, by reason and line."""
    from_host: Counter[str] = field(default_factory=Counter)
    """Copies from the host's memory, by reason and line."""
    between: Counter[str] = field(default_factory=Counter)
    """Copies from one device to another, by line."""
    captures: int = 0
    replays: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """What a capture did not permit, by reason and line."""
    races: Counter[str] = field(default_factory=Counter)
    """Uses of the same memory that nothing orders, by kind and line."""

    @property
    def sums(self) -> dict[str, int]:
        """The sums of all that is counted, for a budget or a table."""
        return {
            "launches": self.launches.total(),
            "syncs": self.syncs.total(),
            "copies from the host": self.from_host.total(),
            "copies between devices": self.between.total(),
            "replays": self.replays,
        }


@dataclass
class Failure:
    """A failure to come: the next `left` launches of an operation raise an error."""

    operation: str
    error: Exception
    left: int


_numbers = count(1)


class Machine:
    """The cards, the memory in use on each, the failures to come, and the counts."""

    def __init__(self, cards: Sequence[Card]) -> None:
        self.cards = tuple(cards)
        self.lock = threading.RLock()
        self.counts = Counts()
        self.host: dict[int, int] = {}
        """The newest moment of each stream that the host has waited for."""
        self.allocated = [0] * len(cards)
        self.peaks = [0] * len(cards)
        self.failures: list[Failure] = []
        self.sync_debug: Literal["default", "warn", "error"] = "default"
        self.generators = tuple(torch.Generator().manual_seed(0) for _ in cards)
        self.streams: weakref.WeakSet[Any] = weakref.WeakSet()
        self.closed = False
        self.number = next(_numbers)

    def count_anew(self) -> Counts:
        """Returns the counts so far, and begins new ones."""
        before, self.counts = self.counts, Counts()
        return before

    def admit(self, stream: Any) -> int:
        """Takes a new stream in, and returns its number."""
        with self.lock:
            self.streams.add(stream)
            return next(_numbers)

    # ------------------------------------------------------------ memory

    def free(self, index: int) -> int:
        """Returns the bytes of a card that nobody uses."""
        card = self.cards[index]
        return card.total - card.used_by_others - self.allocated[index]

    def allocate(self, index: int, size: int) -> None:
        """Takes memory of a card. Raises torch's OutOfMemoryError where there is too little."""
        with self.lock:
            if size > self.free(index):
                raise torch.OutOfMemoryError(
                    f"CUDA out of memory. Tried to allocate {size / 2**20:.2f} MiB. GPU {index} has"
                    f" a total capacity of {self.cards[index].total / GIB:.2f} GiB of which"
                    f" {self.free(index) / 2**20:.2f} MiB is free."
                )
            self.allocated[index] += size
            self.peaks[index] = max(self.peaks[index], self.allocated[index])

    # ------------------------------------------------------------ failures and syncs

    def fail(self, operation: str, error: Exception, times: int = 1) -> None:
        """Makes the next launches of an operation raise an error. "*" stands for any of them."""
        self.failures.append(Failure(operation, error, times))

    def check(self, operation: str) -> None:
        """Raises the error that an operation was told to raise, if there is one."""
        with self.lock:
            for failure in self.failures:
                if failure.left and failure.operation in (operation, "*"):
                    failure.left -= 1
                    raise failure.error

    def note_sync(self, reason: str) -> None:
        """Counts a wait of the host. Raises RuntimeError where the sync debug mode is error."""
        with self.lock:
            self.counts.syncs[f"{reason} at {line()}"] += 1
        if self.sync_debug == "error":
            raise RuntimeError("called a synchronizing CUDA operation")
        if self.sync_debug == "warn":
            warnings.warn("called a synchronizing CUDA operation", stacklevel=2)


_machines: list[Machine] = []


def enter(machine: Machine) -> None:
    """Makes a machine the present one."""
    _machines.append(machine)


def leave() -> None:
    """Closes the present machine. What is left of its tensors is of no account."""
    _machines.pop().closed = True


def machine() -> Machine:
    """Returns the present machine."""
    if not _machines:
        raise RuntimeError("a tensor of an acted card is used, but the card is gone")
    return _machines[-1]


def index_of(device: Any) -> int:
    """Returns the number of a device, which is this thread's own where none is named."""
    if isinstance(device, int):
        index: int | None = device
    else:
        index = None if device is None else torch.device(device).index
    if index is None:
        return LOCAL.index
    if not 0 <= index < len(machine().cards):
        raise RuntimeError("CUDA error: invalid device ordinal")
    return index


def place_of(device: Any) -> torch.device:
    """Returns a device with its number."""
    return torch.device("cuda", index_of(device))


class _Local(threading.local):
    """The device that a thread works on."""

    index = 0


LOCAL = _Local()


def line() -> str:
    """Returns the innermost line of the engine or the program that is on the stack."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(OURS):
            return f"{code.co_filename[len(ROOT) + 1 :]}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "a test"
