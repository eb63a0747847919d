"""The sizes of a data set, and its conversion into an archive that is mapped into memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data import archives, load_data
from engine.data.arrays import NOTE
from engine.data.base import ByImage, Content, DataKeys, Dataset, Targets
from engine.data.room import is_mapped
from engine.errors import InputError

ENDING = ".npz"


@dataclass(frozen=True)
class Part:
    """One of the arrays x and y."""

    dtype: str
    """The type of its values, such as uint8."""
    shape: tuple[int, ...]
    """The shape of a sample."""


@dataclass(frozen=True)
class Sizes:
    """The samples of a data set, and the bytes that they take once they are read."""

    train: int
    """Number of training samples."""
    held_out: int
    """Number of samples held out."""
    x: Part
    y: Part
    memory_bytes: int
    """Bytes in main memory."""
    mapped_bytes: int
    """Bytes that are mapped from files, which take no memory that others need."""
    disk_bytes: int
    """Bytes of the files that the data are read from; 0 where a function makes them."""


def sizes(spec: DataKeys) -> Sizes:
    """Returns the sizes of the data set of these keys, which is read.

    Raises InputError where the files do not hold one.
    """
    data = load_data(spec)
    every = [array for _, array in _arrays(data)]
    mapped = sum(array.nbytes for array in every if is_mapped(array))
    return Sizes(
        train=len(data.x),
        held_out=len(data.x_held_out),
        x=_part(data.x),
        y=_part(data.y),
        memory_bytes=sum(array.nbytes for array in every) - mapped,
        mapped_bytes=mapped,
        disk_bytes=sum(path.stat().st_size for path in spec.files()),
    )


def convert(spec: DataKeys, path: Path) -> dict[str, Any]:
    """Writes a data set into an archive without compression, and returns the keys that read it.

    Such an archive is mapped into memory, so that samples take none that others need. Raises
    InputError where the data cannot be read or the file has another ending, and SaveError where it
    cannot be written.
    """
    if path.suffix != ENDING:
        raise InputError(f"ends in {path.suffix!r}; give a file that ends in {ENDING}", file=path)
    data = load_data(spec)
    _check_kept(data)
    arrays: dict[str, NDArray[Any]] = dict(_arrays(data))
    if data.classes is not None:
        arrays["classes"] = np.array(data.classes)
    if data.scaling is not None:
        arrays |= {name: np.array(getattr(data.scaling, name)) for name in ("mean", "std")}
    if note := spec.caveat():
        arrays[NOTE] = np.array(note)
    archives.write(path, arrays)
    inputs: Content = data.reads
    targets: Targets = "values" if data.classes is None else "classes"
    return {"kind": "arrays", "path": str(path), "inputs": inputs, "targets": targets}


def _check_kept(data: Dataset) -> None:
    """Raises InputError where an archive would lose something of the data."""
    lost = [
        name
        for name, is_lost in (
            ("several inputs", data.x.dtype.names is not None),
            ("crop", data.crop is not None),
            ("standardize: image", isinstance(data.scaling, ByImage)),
        )
        if is_lost
    ]
    if lost:
        raise InputError(
            f"has {lost[0]}, which an archive does not hold; leave the data where they are",
            key="problem.data",
        )


def _arrays(data: Dataset) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yields the arrays of a data set with their names in an archive."""
    yield "x", data.x
    yield "y", data.y
    yield "x_test", data.x_held_out
    yield "y_test", data.y_held_out


def _part(array: NDArray[Any]) -> Part:
    """Returns the type and shape of an array's samples."""
    return Part(str(array.dtype), array.shape[1:])
