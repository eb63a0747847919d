"""NVIDIA's management library, asked question by question. No torch here.

Any question may be refused while others are answered: a part of a GPU (MIG, vGPU) has no load of
its own, a container may lack a permission, and a GPU may be lost. So each answer stands by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeVar

Answer = TypeVar("Answer")

#: What stands before the identifier of a whole GPU and of a part of one.
WHOLE, PART = "GPU-", "MIG-"


@dataclass(frozen=True)
class Opened:
    """NVIDIA's management library, or the reason why there is none."""

    library: Any = None
    """The module `pynvml` once its driver has answered, else None."""
    why: str = ""
    """The reason why there is no library, in the words of the system; empty where there is one."""


@dataclass(frozen=True)
class Refused:
    """A question that was not answered."""

    what: str
    """The thing that was asked for, such as "load"."""
    why: str
    """The reason, in the words of the library."""


@dataclass(frozen=True)
class Reading:
    """A GPU, or a part of one, as it answered just now. NaN stands for what was refused."""

    name: str
    busy: float
    """The share of time in which it computed, in percent."""
    used: float
    """The memory in use, in bytes."""
    total: float
    """The memory that it has, in bytes."""
    refused: tuple[Refused, ...] = ()
    """The questions that were not answered."""


@dataclass(frozen=True)
class Card:
    """A whole GPU of this machine, whether or not this process may use it."""

    name: str
    uuid: str
    parts: tuple[str, ...] | None
    """The identifiers of the parts into which it is divided; None where it is not."""


@lru_cache(maxsize=1)
def opened() -> Opened:
    """Returns NVIDIA's management library, or why there is none. The answer is kept."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception as error:  # no library, no driver, or one that does not fit the other
        return Opened(why=said(error))
    return Opened(pynvml)


def library() -> Any | None:
    """Returns NVIDIA's management library, or None where there is no driver that answers."""
    return opened().library


def said(error: Exception) -> str:
    """Returns an error in one line."""
    return " ".join(str(error).split()) or type(error).__name__


class Questions:
    """Questions to the library, each of which may be refused."""

    def __init__(self) -> None:
        """Has asked nothing yet."""
        self.refused: list[Refused] = []
        """The questions that were not answered."""

    def ask(self, what: str, question: Callable[[], Answer]) -> Answer | None:
        """Returns the answer, or None where the question fails for whatever reason."""
        try:
            return question()
        except Exception as error:  # the library's own errors, and those of its binding
            self.refused.append(Refused(what, said(error)))
            return None


def handle_of(library: Any, uuid: str) -> Any:
    """Returns the library's handle of the GPU, or of the part of one, with an identifier.

    Torch tells an identifier without saying whether it is that of a part, so both are tried.
    Raises the library's error where there is no such GPU, or it does not answer.
    """
    bare = uuid.removeprefix(WHOLE).removeprefix(PART)
    other = f"{WHOLE if uuid.startswith(PART) else PART}{bare}"
    try:
        return library.nvmlDeviceGetHandleByUUID(uuid)
    except Exception as error:
        try:
            return library.nvmlDeviceGetHandleByUUID(other)
        except Exception:
            raise error from None


def read(library: Any, uuid: str) -> Reading:
    """Returns how the GPU, or the part of one, with an identifier answers now."""
    questions = Questions()
    handle = questions.ask("identifier", lambda: handle_of(library, uuid))
    if handle is None:
        return Reading("", math.nan, math.nan, math.nan, tuple(questions.refused))
    name = questions.ask("name", lambda: text(library.nvmlDeviceGetName(handle)))
    busy = questions.ask("load", lambda: float(library.nvmlDeviceGetUtilizationRates(handle).gpu))
    memory = questions.ask("memory", lambda: _sizes(library.nvmlDeviceGetMemoryInfo(handle)))
    used, total = memory or (math.nan, math.nan)
    busy = math.nan if busy is None else busy
    return Reading(name or "", busy, used, total, tuple(questions.refused))


def cards(library: Any) -> tuple[Card, ...]:
    """Returns the whole GPUs of this machine that answer, in the library's order."""
    questions = Questions()
    count = questions.ask("count", library.nvmlDeviceGetCount) or 0
    found = [questions.ask("card", partial(_card, library, number)) for number in range(count)]
    return tuple(card for card in found if card is not None)


def _card(library: Any, number: int) -> Card:
    """Returns a whole GPU by its number. Raises the library's error where it does not answer."""
    handle, questions = library.nvmlDeviceGetHandleByIndex(number), Questions()
    name = questions.ask("name", lambda: text(library.nvmlDeviceGetName(handle)))
    uuid = questions.ask("uuid", lambda: text(library.nvmlDeviceGetUUID(handle)))
    mode = questions.ask("parts", lambda: library.nvmlDeviceGetMigMode(handle)[0])
    parts = _parts(library, handle) if mode else None
    return Card(name or "", uuid or "", None if parts is None else tuple(parts))


def _parts(library: Any, handle: Any) -> Sequence[str]:
    """Returns the identifiers of the parts into which a GPU is divided."""
    questions = Questions()
    most = questions.ask("parts", lambda: library.nvmlDeviceGetMaxMigDeviceCount(handle)) or 0

    def uuid(number: int) -> str:
        part = library.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
        return text(library.nvmlDeviceGetUUID(part))

    found = [questions.ask("part", partial(uuid, number)) for number in range(most)]
    return [each for each in found if each is not None]  # numbers without a part are refused


def _sizes(memory: Any) -> tuple[float, float]:
    """Returns the used and the total memory in bytes."""
    return float(memory.used), float(memory.total)


def text(value: Any) -> str:
    """Returns a text of the library, which older versions of its binding give as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
