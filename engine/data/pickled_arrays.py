"""Reads pickles of arrays and plain containers, of Python 2 or 3, without running anything.

Arrays are not built by numpy as the file says, but from the bytes that the file holds for them.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.inert import Inert, InertUnpickler

#: The types of arrays that are read, by the code in the file.
TYPES: dict[str, np.dtype[Any]] = {code: np.dtype(f"<{code}") for code in ("u1", "i4", "i8")}


class PlainType(Inert):
    """The type of an array in a file."""

    def __init__(self, code: Any = "", *_: Any) -> None:
        """Keeps the code, such as u1."""
        self.code = _text(code)


class PlainArray(Inert):
    """The shape, the type and the bytes of an array in a file."""

    def __init__(self, *_: Any) -> None:
        """Keeps nothing, because numpy's pickles tell of an array later."""
        self._told: Any = None

    def __setstate__(self, told: Any) -> None:
        """Keeps what the file tells of the array."""
        self._told = told

    def array(self) -> NDArray[Any]:
        """Returns the array. Raises ValueError where the file does not tell of a plain one."""
        match self._told:
            case (_, tuple() as shape, PlainType() as kind, order, bytes() | bytearray() as held):
                pass
            case _:
                raise ValueError("is no plain array")
        dtype = TYPES.get(kind.code.lstrip("|<="))
        whole = all(isinstance(length, int) and length >= 0 for length in shape)
        if dtype is None or not whole or prod(shape) * dtype.itemsize != len(held):
            raise ValueError("is no array of whole numbers")
        flat: NDArray[Any] = np.frombuffer(held, dtype)
        return flat.reshape(shape, order="F" if order else "C")


def _from_buffer(held: Any, kind: Any, shape: Any, order: Any) -> PlainArray:
    """Returns an array as new pickles tell of it."""
    found = PlainArray()
    found.__setstate__((1, shape, kind, order == "F", bytes(held)))
    return found


def _encoded(text: str, _: Any = None) -> bytes:
    """Returns bytes that Python 3 wrote as text into a pickle of an old protocol."""
    return text.encode("latin1")


HARMLESS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): PlainArray,
    ("numpy", "dtype"): PlainType,
    ("_codecs", "encode"): _encoded,
}
#: Functions of numpy's own modules, whose places differ by version.
REBUILD = {"_reconstruct": PlainArray, "_frombuffer": _from_buffer}


class _Reader(InertUnpickler):
    """The reader of one pickle."""

    def harmless(self, module: str, name: str) -> Any:
        """Returns what stands for what the file names, or None for anything unknown."""
        if module.startswith("numpy.") and name in REBUILD:
            return REBUILD[name]
        return HARMLESS.get((module, name))


def read(content: bytes | bytearray) -> dict[str, Any]:
    """Returns the dictionary that a pickle holds, with arrays of whole numbers as arrays.

    Its keys are text. Raises ValueError where the pickle is damaged or holds something else.
    """
    try:
        held = _Reader(io.BytesIO(content), encoding="bytes").load()
        if not isinstance(held, Mapping):
            raise ValueError("holds no dictionary")
        return {
            _text(key): value.array() if isinstance(value, PlainArray) else value
            for key, value in held.items()
        }
    except ValueError:
        raise
    except Exception as error:  # a damaged pickle has many ways to say so
        raise ValueError(f"is no whole pickle ({type(error).__name__})") from error


def _text(key: Any) -> str:
    """Returns a key as text, which Python 2 wrote as bytes."""
    return key.decode("latin1") if isinstance(key, bytes) else str(key)
