"""Events made up for tests of what is written and read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from engine.record.events import Outcome


def hints(kind: type) -> dict[str, Any]:
    return {name: hint for name, hint in get_type_hints(kind).items() if name != "name"}


def instance(kind: type, numbers: Iterator[int] | None = None) -> Any:
    """An instance in which every field has a value of its own."""
    numbers = numbers or count(3)
    return kind(**{name: value(hint, numbers) for name, hint in hints(kind).items()})


def value(hint: Any, numbers: Iterator[int]) -> Any:
    n = next(numbers)
    if get_origin(hint) is tuple:
        first, *others = get_args(hint)
        items = [first] * 3 if others == [...] else [first, *others]
        return tuple(value(item, numbers) for item in items)
    if NoneType in get_args(hint):
        return value(get_args(hint)[0], numbers)
    text = f'{n} "ρ"\n≤ ½\u2028\\'
    simple = {int: n, float: n / 7, bool: True, str: text, Outcome: Outcome.LIMIT_REACHED}
    return simple[hint] if hint in simple else instance(hint, numbers)
