"""A user's own samples in an .npz file. Nothing in the file is ever executed."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import NonNegativeInt

from engine.data.base import DataKeys, Dataset
from engine.data.files import candidates, locate
from engine.errors import InputError
from engine.part import Fraction, PathName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KEY = "problem.data.path"


class ArraysData(DataKeys):
    """A user's .npz with x and y, and optionally x_test and y_test."""

    kind: Literal["arrays"]
    path: PathName
    """The .npz file."""
    held_out: Fraction = 0.2
    """The share of samples that is held out where the file has no x_test."""
    seed: NonNegativeInt = 0
    """The seed by which the samples held out are drawn."""

    def read(self) -> Dataset:
        """Returns x (sample, …) flattened to features, and y.

        Integers y (sample,) are classes; other y are values. Raises InputError for a file that is
        missing, is no .npz, or whose arrays do not fit.
        """
        path = _locate(self.path)
        arrays = _read(path)
        x, y = _samples(arrays, "x", "y", path)
        if {"x_test", "y_test"} & arrays.keys():
            x_held_out, y_held_out = _samples(arrays, "x_test", "y_test", path)
            _same_kind(x, y, x_held_out, y_held_out, path)
        else:
            x, y, x_held_out, y_held_out = _split(x, y, self, path)
        classes = None
        if y.ndim == 1:
            classes = int(max(y.max(), y_held_out.max())) + 1
        return Dataset(x, y, x_held_out, y_held_out, classes)

    def files(self) -> list[Path]:
        """Returns the file, or nothing where it is missing."""
        found = locate(self.path)
        return [found] if found else []


def _locate(path: str) -> Path:
    """Returns the file's full path. Raises InputError where there is none."""
    found = locate(path)
    if found is None:
        looked = " nor ".join(map(str, candidates(path)))
        raise InputError(f"no such file: {looked}; correct {KEY}", file=path)
    return found


def _read(path: Path) -> dict[str, NDArray[Any]]:
    """Returns the arrays of an archive by their names.

    Raises InputError for a file that is no whole archive, or that holds anything but plain arrays.
    """
    import numpy as np

    unreadable = InputError("is not a readable .npz archive; save it with numpy.savez", file=path)
    if not zipfile.is_zipfile(path):
        raise unreadable
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
    except Exception as error:  # a damaged archive has many ways to say so
        if "allow_pickle" not in str(error):
            raise unreadable from None
        raise InputError(
            "holds Python objects, which are never loaded; save plain number arrays", file=path
        ) from None
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise unreadable
    return arrays


def _samples(
    arrays: dict[str, NDArray[Any]], x_name: str, y_name: str, path: Path
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Returns inputs (sample, feature) float32, and classes (sample,) or values (sample, output).

    Raises InputError where an array is missing, holds no numbers, or does not fit the other.
    """
    import numpy as np

    for name in (x_name, y_name):
        if name not in arrays:
            raise InputError(f"has no array {name!r}; it holds {sorted(arrays)}", file=path)
        array = arrays[name]
        if array.dtype.kind not in "fiub":
            raise InputError(f"{name} has type {array.dtype}; numbers are needed", file=path)
        if array.ndim == 0 or array.shape[0] == 0:
            raise InputError(f"{name} has shape {array.shape}; samples are needed", file=path)
        with np.errstate(over="ignore"):
            finite = np.isfinite(array.astype(np.float32)).all()
        if not finite:
            raise InputError(
                f"{name} holds values that are not finite in float32; remove them", file=path
            )
    x, y = arrays[x_name], arrays[y_name]
    if len(x) != len(y):
        raise InputError(
            f"{x_name} has {len(x)} samples but {y_name} has {len(y)}; they must agree", file=path
        )
    x = x.reshape(len(x), -1).astype(np.float32)
    if y.dtype.kind in "iub" and y.ndim == 1:
        if y.min() < 0:
            raise InputError(f"{y_name} holds class {y.min()}; number classes from 0", file=path)
        return x, y.astype(np.int64)
    return x, y.reshape(len(y), -1).astype(np.float32)


def _same_kind(
    x: NDArray[Any], y: NDArray[Any], x_test: NDArray[Any], y_test: NDArray[Any], path: Path
) -> None:
    """Raises InputError where training and test samples differ in shape or type."""
    one, other = (
        (x.shape[1:], y.shape[1:], y.dtype),
        (x_test.shape[1:], y_test.shape[1:], y_test.dtype),
    )
    if one != other:
        raise InputError(
            f"x, y are {x.shape[1:]}, {y.shape[1:]} {y.dtype} a sample but x_test, y_test are "
            f"{x_test.shape[1:]}, {y_test.shape[1:]} {y_test.dtype}; they must agree",
            file=path,
        )


def _split(
    x: NDArray[np.float32], y: NDArray[Any], spec: ArraysData, path: Path
) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[np.float32], NDArray[Any]]:
    """Returns x and y to train on, then x and y held out, which are drawn at random.

    Raises InputError where either part would be empty.
    """
    import numpy as np

    order = np.random.Generator(np.random.Philox(spec.seed)).permutation(len(x))
    count = round(len(x) * spec.held_out)
    if not 0 < count < len(x):
        raise InputError(
            f"{len(x)} samples leave none to train on or none to hold out; add x_test and y_test",
            file=path,
        )
    held_out, train = order[:count], np.sort(order[count:])
    return x[train], y[train], x[held_out], y[held_out]
