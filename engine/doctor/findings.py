"""What the checks of a machine find, as plain values. No torch here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

Measured: TypeAlias = Mapping[str, object]
"""Facts by name, for other programs: texts, numbers, truths, lists of texts, and None."""


class State(StrEnum):
    """How well the thing does that a finding is about."""

    OK = "ok"
    NOTE = "note"
    """It works, and there is something to know about it."""
    WRONG = "wrong"
    """Something does not work; the finding holds the remedy."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    """Its name, such as "numba" or "cpu lstm"."""
    state: State
    found: str
    """What was found, in a clause or sentence."""
    remedy: str = ""
    """What to do about it; empty where nothing is wrong."""
    brief: str = ""
    """A few words of it for the line that goes into a bug report."""
    measured: Measured = field(default_factory=dict)
    """The facts behind the sentence."""


@dataclass(frozen=True)
class Check:
    """A thing to look at, with findings about it."""

    name: str
    """The words that say what is being looked at."""
    part: str
    """The heading under which its findings stand."""
    find: Callable[[], Iterable[Finding]]
    """Looks, and returns what it finds. Whatever it raises becomes a finding."""


@dataclass(frozen=True)
class Begun:
    """The message that a check has begun."""

    name: str
    part: str
    number: int
    """The number of the check, counted from 1."""
    of: int
    """The number of all checks."""


def looked(check: Check) -> Iterator[Finding]:
    """Yields what a check finds. An exception becomes a finding with its sentence."""
    try:
        yield from check.find()
    except Exception as error:
        yield Finding(check.name, State.WRONG, plainly(error), REPORT)


def plainly(error: BaseException) -> str:
    """Returns an exception in one line of bounded length: its own sentence, and its type."""
    words = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


#: The remedy where nothing better is known.
REPORT = "report this row and the last line: it is a fault of this machine's software, or of ours"
