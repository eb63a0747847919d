"""Room for samples or beads: main memory for few of them, else a file mapped into memory.

The file lies in the cache folder and has no name there, so that it belongs to this process alone
and goes with it, however it ends. Pages of it that are not in use cost no memory. No torch here.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from math import prod
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from engine.cache import cache_folder
from engine.data.base import IGNORED
from engine.errors import InputError

log = logging.getLogger("engine")

#: Bytes of an array up to which it lies in main memory.
IN_MEMORY = 64 * 2**20
#: Bytes of an array that are looked at or changed at a time.
PIECE = 8 * 2**20


def room(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Returns an array to fill, in main memory or mapped, whose values mean nothing yet.

    Raises InputError where the cache folder has no room for it.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY:
        return np.empty(shape, dtype)
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, prefix="room-") as file:
            _reserve(file, size)
            log.warning("%.1f GiB are mapped from a file in %s", size / 2**30, folder)
            return np.memmap(file, dtype, "r+", shape=shape)
    except OSError as error:
        raise InputError(
            f"there is no room for {size / 2**30:.1f} GiB in {folder} "
            f"({error.strerror}); let DSS_TUI_CACHE name a folder on a larger disk"
        ) from error


def _reserve(file: IO[bytes], size: int) -> None:
    """Makes a file so long. Raises OSError where the disk has no room.

    A mapped file that finds the disk full later would end the process.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)


def is_mapped(array: NDArray[Any]) -> bool:
    """Returns whether an array, or the one that it is a view of, is mapped from a file."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            return True
        base = base.base
    return False


def pieces(array: NDArray[Any]) -> Iterator[slice]:
    """Yields the samples of an array in order, as slices of a few MiB each."""
    size = max(1, PIECE * len(array) // max(1, array.nbytes))
    for start in range(0, len(array), size):
        yield slice(start, start + size)


def changed(
    array: NDArray[Any], dtype: DTypeLike, which: NDArray[np.int64] | None = None
) -> NDArray[Any]:
    """Returns the samples of an array, or those with the numbers `which`, in another type.

    Returns the array itself where nothing changes. Values that the type cannot hold become infinite
    or wrong without a word.
    """
    if which is None:
        if array.dtype == dtype and not any(step < 0 for step in array.strides):
            return array
        return _filled(array, len(array), dtype, lambda part: array[part])
    return _filled(array, len(which), dtype, lambda part: array[which[part]])


def _filled(
    like: NDArray[Any], count: int, dtype: DTypeLike, part_of: Callable[[slice], NDArray[Any]]
) -> NDArray[Any]:
    """Returns an array of `count` samples shaped as those of another, filled piece by piece."""
    found = room((count, *like.shape[1:]), dtype)
    with np.errstate(over="ignore"):
        for part in pieces(found):
            found[part] = part_of(part)
    return found


def all_finite(array: NDArray[Any]) -> bool:
    """Returns whether all values are finite in float32, those of several inputs included."""
    if array.dtype.names is not None:
        return all(all_finite(array[name]) for name in array.dtype.names)
    if array.dtype.kind != "f":
        return True
    with np.errstate(over="ignore"):
        return all(
            np.isfinite(array[part].astype(np.float32, copy=False)).all() for part in pieces(array)
        )


def ends(array: NDArray[Any]) -> tuple[int, int]:
    """Returns the least and the largest of whole numbers; (0, −1) where there are none."""
    if not array.size:
        return 0, -1
    lows, highs = zip(*[(array[p].min(), array[p].max()) for p in pieces(array)], strict=True)
    return int(min(lows)), int(max(highs))


def ends_of_classes(y: NDArray[Any]) -> tuple[int, int]:
    """Returns the least and the largest class in targets; (0, −1) where all are IGNORED."""
    low, high = ends(y)
    if low != IGNORED:
        return low, high
    found = [ends(piece[piece != IGNORED]) for piece in (y[part] for part in pieces(y))]
    lows, highs = zip(*[each for each in found if each != (0, -1)] or [(0, -1)], strict=True)
    return min(lows), max(highs)
