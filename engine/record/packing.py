"""Makes tensors and plain JSON of the state of a search, and a state of these.

A state is a frozen dataclass of tensors, arrays of numpy, numbers, texts, enumerations, tuples,
dicts and further frozen dataclasses. Where a value may be of several classes, each has a field
`kind: Literal["name"]`, as the keys of a preset have. In the plain part a reference stands in place
of each tensor, which is named by that place, such as `rows.theta` or `beads.3.1`. An array is held
as a tensor. Torch is imported only where a state is packed.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from engine.record.decoding import decode
from engine.record.reading import Damaged
from engine.record.unfit import Unfit

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

#: The one key of a reference to a tensor; no dataclass has a field of that name.
REFERENCE = "$tensor"

Packed = tuple[dict[str, "Tensor"], Any]
"""The tensors by name, and the plain part as Python's `json` writes and reads it."""


def pack(state: object) -> Packed:
    """Returns a state as tensors and plain JSON. Raises TypeError for a value of any other type."""
    tensors: dict[str, Tensor] = {}
    return tensors, _packed(state, (), tensors)


def unpack(kind: type[T], packed: Packed, file: Path) -> T:
    """Returns the state of type `kind` that was packed, with every value checked.

    Raises Damaged, which names `file` and the place in it, where the values are no such state.
    """
    tensors, plain = packed
    try:
        return decode(kind, _resolved(plain, tensors))
    except Unfit as unfit:
        raise Damaged(file, f"its state does not fit: {unfit}") from None


def _packed(value: Any, place: tuple[str, ...], tensors: dict[str, Tensor]) -> Any:
    """Returns the plain part of a value at a place, and puts its tensors into `tensors`."""
    import numpy as np
    from torch import Tensor, from_numpy

    def part(step: object, item: Any) -> Any:
        return _packed(item, (*place, str(step)), tensors)

    if isinstance(value, np.ndarray):
        value = from_numpy(value.copy())
    if isinstance(value, Tensor):
        name = ".".join(place)
        tensors[name] = value
        return {REFERENCE: name}
    if isinstance(value, Enum):
        return value.value
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, tuple):
        return [part(number, item) for number, item in enumerate(value)]
    if isinstance(value, dict):
        # Pairs, because the keys of an object of JSON are texts, and these may be numbers.
        return [part(number, pair) for number, pair in enumerate(value.items())]
    if is_dataclass(value):
        return {field.name: part(field.name, getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"{'.'.join(place)}: no file can hold a {type(value).__name__}")


def _resolved(plain: Any, tensors: dict[str, Tensor]) -> Any:
    """Returns a plain value with its references replaced by the tensors. Raises Unfit."""
    if isinstance(plain, list):
        return [_resolved(item, tensors) for item in plain]
    if not isinstance(plain, dict):
        return plain
    if plain.keys() != {REFERENCE}:
        return {name: _resolved(item, tensors) for name, item in plain.items()}
    name = plain[REFERENCE]
    if not isinstance(name, str) or name not in tensors:
        raise Unfit(f"it holds no tensor {name!r}")
    return tensors[name]
