"""Makes tensors and plain JSON of the state of a search, and a state of these.

A state is a frozen dataclass of tensors, arrays of numpy, numbers, texts, enumerations, tuples,
dicts and further frozen dataclasses. Where a value may be of several classes, each has a field
`kind: Literal["name"]`, as the keys of a preset have. In the plain part a reference stands in place
of each tensor, which is named by that place, such as `rows.theta` or `beads.3.1`. A tensor that
stands in several places is held once. A vector that is a row of another tensor of the state, in the
same memory, is held as that row. An array is held as a tensor. Torch is imported only where a state
is packed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from engine.record.decoding import decode
from engine.record.reading import Damaged
from engine.record.unfit import Unfit

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

#: The key of a reference to a tensor, and of the row of it that is meant, where one is; no
#: dataclass has fields of these names.
REFERENCE, ROW = "$tensor", "$row"

Packed = tuple[dict[str, "Tensor"], Any]
"""The tensors by name, and the plain part as Python's `json` writes and reads it."""
Names = Mapping["Tensor", str]
"""The names of tensors that are not called by their places, by identity."""


def pack(state: object, names: Names | None = None) -> Packed:
    """Returns a state as tensors and plain JSON. Raises TypeError for a value of any other type.

    The vectors among `names` have these names, except where one is a row of another tensor.
    """
    packing = _Packing(names or {})
    plain = packing.packed(state, ())
    packing.settle_vectors()
    return packing.tensors, plain


def instances(kind: type[T], state: Any) -> Iterator[T]:
    """Yields the values of a class within a state, in its order."""
    if isinstance(state, kind):
        yield state
    elif isinstance(state, tuple):
        for item in state:
            yield from instances(kind, item)
    elif isinstance(state, dict):
        yield from instances(kind, tuple(state.values()))
    elif is_dataclass(state):
        for each in fields(state):
            yield from instances(kind, getattr(state, each.name))


def unpack(kind: type[T], packed: Packed, file: Path) -> T:
    """Returns the state of type `kind` that was packed, with every value checked.

    Raises Damaged, which names `file` and the place in it, where the values are no such state.
    """
    tensors, plain = packed
    try:
        return decode(kind, _resolved(plain, tensors))
    except Unfit as unfit:
        raise Damaged(file, f"its state does not fit: {unfit}") from None


@dataclass
class _Packing:
    """A state that is being packed."""

    names: Names
    tensors: dict[str, Tensor] = field(default_factory=dict)
    vectors: list[tuple[Tensor, str, dict[str, Any]]] = field(default_factory=list)
    """Vectors with their names and the references to them, which are filled in at the end."""

    def packed(self, value: Any, place: tuple[str, ...]) -> Any:
        """Returns the plain part of a value at a place, and notes its tensors."""
        import numpy as np
        from torch import Tensor, from_numpy

        def part(step: object, item: Any) -> Any:
            return self.packed(item, (*place, str(step)))

        if isinstance(value, np.ndarray):
            value = from_numpy(value.copy())
        if isinstance(value, Tensor):
            return self._referred(value, ".".join(place))
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
            return {each.name: part(each.name, getattr(value, each.name)) for each in fields(value)}
        raise TypeError(f"{'.'.join(place)}: no file can hold a {type(value).__name__}")

    def _referred(self, tensor: Tensor, name: str) -> dict[str, Any]:
        """Returns the reference to a tensor, which is filled in later where that is a vector."""
        if tensor.ndim != 1:
            self.tensors[name] = tensor
            return {REFERENCE: name}
        reference: dict[str, Any] = {}
        self.vectors.append((tensor, self.names.get(tensor, name), reference))
        return reference

    def settle_vectors(self) -> None:
        """Fills in the references to vectors, once all other tensors are known."""
        rows = {
            (tensor.data_ptr() + row * tensor.stride(0) * tensor.itemsize, tensor.shape[1:]): (
                name,
                row,
            )
            for name, tensor in self.tensors.items()
            if tensor.ndim == 2 and tensor.is_contiguous()
            for row in range(len(tensor))
        }
        known: dict[Tensor, str] = {}
        for tensor, name, reference in self.vectors:
            held = rows.get((tensor.data_ptr(), tensor.shape)) if tensor.is_contiguous() else None
            if held is not None and len(tensor):
                reference[REFERENCE], reference[ROW] = held
                continue
            name = known.setdefault(tensor, name)
            reference[REFERENCE] = name
            self.tensors[name] = tensor


def _resolved(plain: Any, tensors: dict[str, Tensor]) -> Any:
    """Returns a plain value with its references replaced by the tensors. Raises Unfit."""
    if isinstance(plain, list):
        return [_resolved(item, tensors) for item in plain]
    if not isinstance(plain, dict):
        return plain
    if REFERENCE not in plain:
        return {name: _resolved(item, tensors) for name, item in plain.items()}
    name = plain[REFERENCE]
    if not isinstance(name, str) or name not in tensors:
        raise Unfit(f"it holds no tensor {name!r}")
    return tensors[name] if ROW not in plain else _row(tensors[name], name, plain[ROW])


def _row(tensor: Tensor, name: str, row: Any) -> Tensor:
    """Returns a row of a tensor. Raises Unfit where it has no such row."""
    if type(row) is not int or tensor.ndim != 2 or not 0 <= row < len(tensor):
        raise Unfit(f"its tensor {name!r} has no row {row!r}")
    return tensor[row]
