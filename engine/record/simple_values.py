"""Checks plain values that hold no others: numbers, texts, true, false and null. No torch here."""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from typing import Any

from engine.record.unfit import refused

Decoder = Callable[[Any], Any]
"""A function that returns a plain value checked and typed, or raises Unfit."""

#: Absolute value up to which a whole number may stand for a float.
_LARGEST_FLOAT = 2**1000


def _integer(value: Any) -> int:
    """Returns a whole number. Raises Unfit for anything else."""
    if type(value) is not int:
        raise refused(value, "a whole number")
    return value


def _float(value: Any) -> float:
    """Returns a number. Raises Unfit for anything else.

    Null becomes NaN, because it stands for a number that is not finite, which JSON cannot hold.
    """
    if type(value) is float:
        return value
    if value is None:
        return math.nan
    if type(value) is int and -_LARGEST_FLOAT < value < _LARGEST_FLOAT:
        return float(value)
    raise refused(value, "a number")


def _text(value: Any) -> str:
    """Returns a text. Raises Unfit for anything else."""
    if type(value) is not str:
        raise refused(value, "a text")
    return value


def _flag(value: Any) -> bool:
    """Returns true or false. Raises Unfit for anything else."""
    if type(value) is not bool:
        raise refused(value, "true or false")
    return value


def _nothing(value: Any) -> None:
    """Raises Unfit for anything but null."""
    if value is not None:
        raise refused(value, "null")


SIMPLE: dict[Any, Decoder] = {
    int: _integer,
    float: _float,
    str: _text,
    bool: _flag,
    types.NoneType: _nothing,
}
