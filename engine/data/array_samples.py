"""Makes a data set of the arrays in a user's .npz file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data import archives
from engine.data.arrays import ArraysData
from engine.data.base import IGNORED, Dataset, Scaling
from engine.data.files import locate, looked_in
from engine.data.room import all_finite, changed, ends, ends_of_classes
from engine.errors import InputError

KEY = "problem.data"
#: Whole numbers up to this are told apart by float32.
EXACT = 2**24

Arrays = dict[str, NDArray[Any]]


def samples_of(spec: ArraysData) -> Dataset:
    """Returns the data set of these keys. Raises InputError where the file does not hold one."""
    path = locate(spec.path)
    if path is None:
        looked = looked_in(spec.path)
        raise InputError(f"no such file: {looked}; correct {KEY}.path", file=spec.path)
    arrays = archives.read(path)
    x, y = _samples(arrays, "x", "y", spec, path)
    if {"x_test", "y_test"} & arrays.keys():
        x_held_out, y_held_out = _samples(arrays, "x_test", "y_test", spec, path)
        _same_kind(x, y, x_held_out, y_held_out, path)
    else:
        x, y, x_held_out, y_held_out = _split(x, y, spec, path)
    classes = _classes(arrays, y, y_held_out, path)
    scaling = _scaling(arrays, x, path) if spec.inputs == "pixels" else None
    inputs = spec.inputs or "values"
    return Dataset(x, y, x_held_out, y_held_out, classes, scaling, inputs=inputs)


def _samples(
    arrays: Arrays, x_name: str, y_name: str, spec: ArraysData, path: Path
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns inputs and targets of one split, as the keys take them.

    Raises InputError where an array is missing, holds no numbers, or does not fit the other.
    """
    for name in (x_name, y_name):
        if name not in arrays:
            raise InputError(f"has no array {name!r}; it holds {sorted(arrays)}", file=path)
        _check(name, arrays[name], path)
    x, y = arrays[x_name], arrays[y_name]
    if len(x) != len(y):
        raise InputError(
            f"{x_name} has {len(x)} samples but {y_name} has {len(y)}; they must agree", file=path
        )
    return _inputs(x_name, x, spec, path), _targets(y_name, y, spec, path)


def _check(name: str, array: NDArray[Any], path: Path) -> None:
    """Raises InputError where an array holds no finite numbers. Nothing need be held out."""
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} has type {array.dtype}; numbers are needed", file=path)
    if array.ndim == 0 or (not len(array) and not name.endswith("_test")):
        raise InputError(f"{name} has shape {array.shape}; samples are needed", file=path)
    if not all_finite(array):
        raise InputError(
            f"{name} holds values that are not finite in float32; remove them", file=path
        )


def _inputs(name: str, x: NDArray[Any], spec: ArraysData, path: Path) -> NDArray[Any]:
    """Returns x as the keys take it. Raises InputError where it is of another type."""
    if spec.inputs == "tokens":
        if x.dtype.kind not in "iu":
            raise _other_type("inputs", "tokens", f"{name} of {x.dtype}", "whole numbers", path)
        return changed(x, np.int64 if x.dtype.kind == "u" and x.dtype.itemsize > 1 else x.dtype)
    if spec.inputs == "pixels":
        if x.dtype != np.uint8:
            raise _other_type("inputs", "pixels", f"{name} of {x.dtype}", "uint8", path)
        return x
    return changed(_as_values(name, x, spec, path), np.float32)


def _as_values(name: str, x: NDArray[Any], spec: ArraysData, path: Path) -> NDArray[Any]:
    """Returns x as it is taken for values: flat, unless the keys say that it is values.

    Raises InputError for whole numbers that float32 would change, unless the keys say so.
    """
    if spec.inputs is not None:
        return x
    if x.dtype.kind in "iu" and _inexact(x):
        raise InputError(
            f"{name} holds whole numbers beyond {EXACT}, which float32 does not tell apart; set "
            f"{KEY}.inputs: tokens where they are numbers of things, or values",
            file=path,
        )
    return x.reshape(len(x), -1) if len(x) else x


def _targets(name: str, y: NDArray[Any], spec: ArraysData, path: Path) -> NDArray[Any]:
    """Returns y as the keys take it. Raises InputError where it is of another type."""
    whole = y.dtype.kind in "iub"
    if spec.targets == "classes" and not whole:
        raise _other_type("targets", "classes", f"{name} of {y.dtype}", "whole numbers", path)
    if spec.targets == "classes" or (spec.targets is None and whole and y.ndim == 1):
        low, _ = ends_of_classes(y)
        if low < 0:
            raise InputError(
                f"{name} holds class {low}; number classes from 0; {IGNORED} stands for none",
                file=path,
            )
        return changed(y, np.int64)
    y = y.reshape(len(y), -1) if spec.targets is None and len(y) else y
    return changed(y, np.float32)


def _inexact(x: NDArray[Any]) -> bool:
    """Returns whether whole numbers are too large for float32 to tell apart."""
    low, high = ends(x)
    return max(-low, high) > EXACT


def _other_type(key: str, said: str, found: str, needed: str, path: Path) -> InputError:
    """Returns the error of an array that is not what a key says."""
    return InputError(
        f"is {said}, but {path} holds {found}; save {needed}, or choose values", key=f"{KEY}.{key}"
    )


def _classes(arrays: Arrays, y: NDArray[Any], other: NDArray[Any], path: Path) -> int | None:
    """Returns the number of classes, or None for values. Raises InputError where it is wrong."""
    if y.dtype.kind not in "iub":
        return None
    highest = max(ends(y)[1], ends(other)[1])
    told = arrays.get("classes")
    if told is None:
        return highest + 1
    if told.shape != () or told.dtype.kind not in "iu" or not highest < int(told):
        raise InputError(
            f"classes is {told}, but y holds class {highest}; save the number of classes, or leave "
            "it out",
            file=path,
        )
    return int(told)


def _scaling(arrays: Arrays, x: NDArray[Any], path: Path) -> Scaling | None:
    """Returns how pixels are scaled, None where they are only divided by 255.

    Raises InputError where mean and std are not numbers for each channel.
    """
    if not {"mean", "std"} & arrays.keys():
        return None
    parts = [arrays.get(name, np.zeros(0)) for name in ("mean", "std")]
    fits = all(part.shape == x.shape[1:2] and part.dtype.kind in "fiu" for part in parts)
    if not fits or not all(np.isfinite(part).all() for part in parts) or not (parts[1] > 0).all():
        raise InputError(
            "mean and std must both hold a finite number for each channel of x, and std one above "
            "0; correct them or leave them out",
            file=path,
        )
    mean, std = (tuple(map(float, part.tolist())) for part in parts)
    return Scaling(mean, std)


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
    x: NDArray[Any], y: NDArray[Any], spec: ArraysData, path: Path
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Returns x and y to train on, then x and y held out, which are drawn at random.

    Raises InputError where either part would be empty.
    """
    order = np.random.Generator(np.random.Philox(spec.seed)).permutation(len(x))
    count = round(len(x) * spec.held_out)
    if not 0 < count < len(x):
        raise InputError(
            f"{len(x)} samples leave none to train on or none to hold out; add x_test and y_test",
            file=path,
        )
    held_out, train = order[:count], np.sort(order[count:])
    return (
        changed(x, x.dtype, train),
        changed(y, y.dtype, train),
        changed(x, x.dtype, held_out),
        changed(y, y.dtype, held_out),
    )
