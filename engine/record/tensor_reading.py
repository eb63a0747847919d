"""Reads files of tensors in the format of safetensors, of which nothing is trusted. No torch here.

Before anything is made of a tensor, the list at the file's beginning is checked: its size, its
types, and that the tensors lie one behind the other and fill the file. Where the file has checksums
(`tensor_file`), they are checked with what is read. Tensors are read, not mapped: a file that is
cut short under a mapping ends the process.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from engine.data.room import room
from engine.owners import may_be_mapped
from engine.record.decoding import decode, parse_json
from engine.record.marks import Count
from engine.record.reading import MIB, Damaged, open_whole
from engine.record.tensor_file import CHECKSUMS, PIECE, TYPES, UNKNOWN, words_of
from engine.record.unfit import Unfit, below

#: The bytes of the largest list of tensors that is read, and the most tensors and axes.
LARGEST_LIST, MOST_TENSORS, MOST_AXES = 100 * MIB, 100_000, 32
#: The bytes before the list, which say how long it is.
LENGTH = 8
#: The key of the texts in the list, and what stands before the list's own checksum there.
METADATA, BEFORE = "__metadata__", f'"{CHECKSUMS}":"'.encode()

Made = Callable[[tuple[int, ...], np.dtype[Any]], NDArray[Any]]
"""A function that makes an array of a shape and a type, whose values mean nothing yet."""


@dataclass(frozen=True)
class _Listed:
    """The entry of a tensor in the list, as it is written."""

    dtype: str
    shape: tuple[Count, ...]
    data_offsets: tuple[Count, Count]


@dataclass(frozen=True)
class Entry:
    """A tensor of a file."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    """The place of its first byte in the file."""
    checksum: str | None
    """The checksum of its bytes; None in a file without any."""

    @property
    def nbytes(self) -> int:
        """The number of its bytes."""
        return prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class TensorFile:
    """An open file of tensors whose list is whole."""

    path: Path
    held: IO[bytes]
    metadata: Mapping[str, str]
    """The texts that the file holds besides its tensors, without the checksums."""
    entries: Mapping[str, Entry]
    """The tensors by name."""

    def read(self, name: str, made: Made = room) -> NDArray[Any]:
        """Returns a tensor as an array, which `made` makes.

        Raises Damaged where there is none, or its bytes are not those that were written.
        """
        entry = self.entry(name)
        try:
            array = made(entry.shape, entry.dtype)
        except (ValueError, MemoryError):
            raise Damaged(self.path, f"its tensor {name!r} is too large") from None
        flat = array.reshape(-1).view(np.uint8)
        checksum = 0
        self.held.seek(entry.start)
        for start in range(0, entry.nbytes, PIECE):
            part = flat[start : start + PIECE]
            self._fill(part, name)
            checksum = zlib.crc32(part.data, checksum)
        self._compare(entry, checksum, name)
        return array

    def check(self, name: str) -> None:
        """Raises Damaged where a tensor's bytes are not those that were written."""
        entry = self.entry(name)
        if entry.checksum is None:
            return
        part, checksum = np.empty(min(PIECE, entry.nbytes), np.uint8), 0
        self.held.seek(entry.start)
        for start in range(0, entry.nbytes, PIECE):
            piece = part[: entry.nbytes - start]
            self._fill(piece, name)
            checksum = zlib.crc32(piece.data, checksum)
        self._compare(entry, checksum, name)

    def columns(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Returns some columns (row, stop − start) of a tensor with two axes, unchecked.

        Raises Damaged where the file is cut short.
        """
        entry = self.entry(name)
        rows, width = entry.shape
        found = np.empty((rows, stop - start), entry.dtype)
        for row in range(rows):
            self.held.seek(entry.start + (row * width + start) * entry.dtype.itemsize)
            self._fill(found[row].view(np.uint8), name)
        return found

    def entry(self, name: str) -> Entry:
        """Returns the entry of a tensor. Raises Damaged where there is none."""
        if name not in self.entries:
            raise Damaged(self.path, f"it holds no tensor {name!r}")
        return self.entries[name]

    def _fill(self, part: NDArray[np.uint8], name: str) -> None:
        """Reads the next bytes of the file into an array. Raises Damaged."""
        try:
            count = self.held.readinto(part.data)  # type: ignore[attr-defined]
        except OSError as error:
            raise Damaged(self.path, f"it cannot be read: {error.strerror}") from None
        if count != len(part):
            raise Damaged(self.path, f"its tensor {name!r} is cut short")

    def _compare(self, entry: Entry, checksum: int, name: str) -> None:
        """Raises Damaged where that is not the checksum of a tensor."""
        if entry.checksum not in (None, words_of(checksum)):
            raise Damaged(
                self.path,
                f"its tensor {name!r} is not what was written: its bytes have changed since",
            )


@contextmanager
def opened(
    path: Path, largest_list: int = LARGEST_LIST, *, follow: bool = False
) -> Iterator[TensorFile]:
    """Opens a file of tensors, that of a link only where it is to `follow` links.

    Raises Damaged where there is none, or its list is not whole, or longer than `largest_list`.
    """
    with open_whole(path, follow=follow) as held:
        try:
            yield _listed(path, held, largest_list)
        except Unfit as unfit:
            raise Damaged(path, f"it cannot be read: {unfit}") from None


def read(path: Path, *, follow: bool = False) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Returns all tensors of a file by name, and its texts. Raises Damaged as `opened` does."""
    with opened(path, follow=follow) as file:
        return {name: file.read(name) for name in file.entries}, dict(file.metadata)


def check(path: Path) -> None:
    """Raises Damaged where a file is not whole, or holds other tensors than were written.

    Of a file without checksums the list of its tensors is checked alone.
    """
    with opened(path) as file:
        for name in file.entries:
            file.check(name)


def mapped(
    path: Path, name: str, largest_list: int = LARGEST_LIST, *, check: bool = True
) -> NDArray[Any]:
    """Returns a tensor of a file, as an array that is mapped from the file and takes no memory.

    A file that belongs to another user is read into memory instead, since its owner could cut it
    short under the mapping. Writing to the array does not change the file. With `check` the bytes
    are read once and compared with their checksum. Raises Damaged where the path is a link, and
    where the file does not hold the whole tensor.
    """
    with opened(path, largest_list) as file:
        if not may_be_mapped(file.held):
            return file.read(name)
        if check:
            file.check(name)
        entry = file.entry(name)
        if not entry.nbytes:
            return np.empty(entry.shape, entry.dtype)
        found: NDArray[Any] = np.memmap(file.held, entry.dtype, "c", entry.start, entry.shape)
        return found


# ---------------------------------------------------------------- the list


def _listed(path: Path, held: IO[bytes], largest: int) -> TensorFile:
    """Returns the file with its list checked. Raises Unfit."""
    size = os.fstat(held.fileno()).st_size
    beginning = held.read(LENGTH)
    length = int.from_bytes(beginning, "little")
    if len(beginning) < LENGTH or length > min(size - LENGTH, largest):
        raise Unfit("its list of tensors is not whole")
    text = held.read(length)
    tree = parse_json(text)
    if type(tree) is not dict:
        raise Unfit("its list of tensors is not one")
    with below(METADATA):
        metadata = decode(dict[str, str], tree.pop(METADATA, {}))
    if len(tree) > MOST_TENSORS:
        raise Unfit(f"its list names {len(tree)} tensors, more than {MOST_TENSORS}")
    checksums = _checksums(beginning + text, metadata.pop(CHECKSUMS, None), len(tree))
    return TensorFile(path, held, metadata, _entries(tree, LENGTH + length, size, checksums))


def _checksums(head: bytes, told: str | None, count: int) -> list[str | None]:
    """Returns the checksum of each tensor in the order of the file, None in one without any.

    Raises Unfit where the list at the file's beginning has another checksum than it tells.
    """
    if told is None:
        return [None] * count
    first, *others = told.split(" ")
    at = head.find(BEFORE) + len(BEFORE)
    blank = head[:at] + UNKNOWN.encode() + head[at + len(UNKNOWN) :]
    if len(others) != count or first != words_of(zlib.crc32(blank)):
        raise Unfit("its list of tensors is not what was written")
    return [*others]


def _entries(
    tree: dict[str, Any], begin: int, size: int, checksums: list[str | None]
) -> dict[str, Entry]:
    """Returns the tensors of a list, which lie behind one another from `begin` to the end.

    Raises Unfit where they do not.
    """
    listed: dict[str, _Listed] = {}
    for name, entry in tree.items():
        with below(name):
            listed[name] = decode(_Listed, entry)
    order = sorted(listed, key=lambda name: listed[name].data_offsets)
    bounds = [(0, 0), *(listed[name].data_offsets for name in order), (size - begin, size - begin)]
    if any(one[1] != other[0] or other[0] > other[1] for one, other in pairwise(bounds)):
        raise Unfit("its tensors do not lie one behind the other up to its end")
    found = {}
    for name, checksum in zip(order, checksums, strict=True):
        entry = listed[name]
        dtype = TYPES.get(entry.dtype)
        start, end = entry.data_offsets
        if dtype is None:
            raise Unfit(f"its tensor {name!r} holds numbers of the unknown type {entry.dtype[:20]}")
        if len(entry.shape) > MOST_AXES or prod(entry.shape) * dtype.itemsize != end - start:
            raise Unfit(f"its tensor {name!r} is not whole")
        found[name] = Entry(dtype, entry.shape, begin + start, checksum)
    return found
