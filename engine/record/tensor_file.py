"""Writes files of tensors in the format of safetensors, a piece at a time. No torch here.

A file of many gigabytes is written without a second copy of it in memory. What is written, every
reader of the format reads, and `tensor_reading` checks: the metadata key `checksums` holds the CRC
of the list at the file's beginning and of each tensor.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from engine.data.room import room
from engine.record.reading import MIB

Arrays = Mapping[str, NDArray[Any]]

#: A type that numpy lacks, as the two bytes of each number.
BFLOAT16 = np.dtype([("bfloat16", "<u2")])
#: The names that the format gives to types of numbers.
TYPES: dict[str, np.dtype[Any]] = {
    "C64": np.dtype("<c8"),
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": BFLOAT16,
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
NAMES = {dtype: name for name, dtype in TYPES.items()}

#: The bytes that are written and read at a time.
PIECE = 16 * MIB

#: The metadata key of the checksums, and one of them before it is known. They all have its width,
#: so that they can be filled in last: that of the list comes first, taken as if it were unknown,
#: and then one for each tensor in the order of the file.
CHECKSUMS, UNKNOWN = "checksums", "00000000"


class Stacked(Sequence[NDArray[Any]]):
    """Vectors that lie apart, as one array (vector, …), which is made only where it is asked for.

    They all have one shape and one type.
    """

    def __init__(self, vectors: Sequence[NDArray[Any]]) -> None:
        """Takes the vectors, one at least, in order."""
        self._vectors = vectors
        self.dtype = vectors[0].dtype
        self.shape = (len(vectors), *vectors[0].shape)
        self.nbytes = prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        """Returns the number of vectors."""
        return len(self._vectors)

    def __getitem__(self, which: Any) -> Any:
        """Returns a vector; or several, as an array, where `which` is a slice or a list."""
        if isinstance(which, int | np.integer):
            return self._vectors[int(which)]
        numbers = range(len(self))[which] if isinstance(which, slice) else which
        return np.stack([self._vectors[number] for number in numbers])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Returns all vectors as one array, which is mapped from a file where it is large."""
        found = room(self.shape, self.dtype)
        for number, vector in enumerate(self._vectors):
            found[number] = vector
        return found.astype(dtype or self.dtype, copy=False)


class Pieced:
    """An array (row, …) whose rows are made some at a time, where they are asked for.

    Rows may be structured, of which each field is such an array too.
    """

    def __init__(
        self,
        rows: int,
        row: tuple[int, ...],
        dtype: np.dtype[Any],
        make: Callable[[slice], NDArray[Any]],
    ) -> None:
        """Takes the number of rows, a row's shape, its type, and what makes some rows."""
        self.shape, self.dtype, self._make = (rows, *row), dtype, make
        self.nbytes = prod(self.shape) * dtype.itemsize

    def __len__(self) -> int:
        """Returns the number of rows."""
        return self.shape[0]

    def __getitem__(self, name: str) -> Pieced:
        """Returns one field of structured rows."""
        dtype, *row = self.dtype[name].base, *self.dtype[name].shape
        rows = len(self)
        return Pieced(rows, (*self.shape[1:], *row), dtype, lambda some: self._make(some)[name])

    def parts(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yields some rows after others, each time with their numbers."""
        size = max(1, PIECE * len(self) // max(1, self.nbytes))
        for start in range(0, len(self), size):
            some = slice(start, min(start + size, len(self)))
            yield some, np.ascontiguousarray(self._make(some), self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Returns the whole array, which is mapped from a file where it is large."""
        found = room(self.shape, self.dtype)
        for some, part in self.parts():
            found[some] = part
        return found.astype(dtype or self.dtype, copy=False)


Written = NDArray[Any] | Stacked | Pieced
"""What a file is written from."""


# ---------------------------------------------------------------- writing


def write(held: IO[bytes], arrays: Mapping[str, Written], metadata: Mapping[str, str]) -> None:
    """Writes tensors and texts to a file in which one can go back to where it stands now.

    Raises TypeError for an array of numbers that the format does not have.
    """
    # As the format's own writer does it: types with wide numbers first, so that all are aligned.
    order = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    start = held.tell()
    held.write(_list_of(arrays, order, metadata, [UNKNOWN] * (1 + len(order))))
    known = [UNKNOWN]
    for name in order:
        checksum = 0
        for part in bytes_of(arrays[name]):
            held.write(part)
            checksum = zlib.crc32(part, checksum)
        known.append(words_of(checksum))
    end = held.tell()
    known[0] = words_of(zlib.crc32(_list_of(arrays, order, metadata, known)))
    held.seek(start)
    held.write(_list_of(arrays, order, metadata, known))
    held.seek(end)


def words_of(checksum: int) -> str:
    """Returns a checksum as text of the width of all of them."""
    return f"{checksum:0{len(UNKNOWN)}x}"


def _list_of(
    arrays: Mapping[str, Written],
    order: Sequence[str],
    metadata: Mapping[str, str],
    checksums: Sequence[str],
) -> bytes:
    """Returns the bytes before the tensors: how long the list of them is, and the list."""
    head: dict[str, Any] = {"__metadata__": {CHECKSUMS: " ".join(checksums), **metadata}}
    end = 0
    for name in order:
        array = arrays[name]
        if array.dtype not in NAMES:
            raise TypeError(f"{name}: no file can hold numbers of type {array.dtype}")
        start, end = end, end + array.nbytes
        head[name] = {
            "dtype": NAMES[array.dtype],
            "shape": array.shape,
            "data_offsets": (start, end),
        }
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def bytes_of(array: Written) -> Iterator[memoryview]:
    """Yields the bytes of an array in row-major order, some MiB at a time."""
    if isinstance(array, Pieced):
        parts: Iterable[NDArray[Any]] = (part for _, part in array.parts())
    else:
        parts = array if isinstance(array, Stacked) else (array,)
    for part in parts:
        flat = np.ascontiguousarray(part).reshape(-1).view(np.uint8)
        for start in range(0, len(flat), PIECE):
            yield flat[start : start + PIECE].data
