"""The error for a plain value that does not fit its type. No torch here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from engine.record.marks import LARGEST


class Unfit(ValueError):
    """Raised for a value that does not fit its type. `str` names its place and the reason."""

    def __init__(self, why: str) -> None:
        """Makes the error for a reason; the place is added by `below`."""
        super().__init__(why)
        self.why = why
        self.place: tuple[str, ...] = ()

    def below(self, step: object) -> Unfit:
        """Returns the error with `step`, a key or a number, put before its place."""
        self.place = (str(step), *self.place)
        return self

    def __str__(self) -> str:
        """Returns the place, such as `counters.beads`, and the reason."""
        return f"{'.'.join(self.place)} {self.why}" if self.place else self.why


@contextmanager
def below(*steps: object) -> Iterator[None]:
    """Adds the steps to a place to the faults that are found within."""
    try:
        yield
    except Unfit as unfit:
        for step in reversed(steps):
            unfit.below(step)
        raise


def _shown(value: Any) -> str:
    """Returns a value in a few words for an error message, shortened where it is long."""
    names = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return names[value]
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, int) and abs(value) > LARGEST:
        return "a huge number"
    return short(repr(value))


def short(text: str) -> str:
    """Returns a text of at most 40 characters, cut where it is longer."""
    return text if len(text) <= 40 else f"{text[:37]}…"


def refused(value: Any, wanted: str) -> Unfit:
    """Returns the error for a value that is not what is wanted."""
    return Unfit(f"is {_shown(value)}, but must be {wanted}")
