"""Makes a data set of what a function of the user's own returns."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data import fields
from engine.data.base import Dataset
from engine.data.custom import CustomData
from engine.data.returned import KEY, Pair, Stream, kept_type, returned, stacked, wrong
from engine.data.room import all_finite, changed, ends, ends_of_classes
from engine.errors import InputError

log = logging.getLogger("engine")

#: The most channels that bytes (sample, channel, height, width) have where they are surely pixels.
CHANNELS = 4


def samples_of(spec: CustomData) -> Dataset:
    """Returns the data set of these keys. Raises InputError where the function returns none."""
    x, y, *rest = _arrays(spec)
    x, y = _inputs(x, spec), _targets(y, spec)
    held = (_inputs(rest[0], spec), _targets(rest[1], spec)) if rest else (x[:0], y[:0])
    train, held = _alike((x, y), held)
    _check_fit(train, held, spec)
    _tell_of_bytes(train[0], spec)
    return Dataset(*train, *held, class_count(train[1], held[1]), inputs=spec.inputs)


def _arrays(spec: CustomData) -> list[NDArray[Any]]:
    """Returns x, y and, if there are any, those held out, as numbers of any type."""
    parts: list[NDArray[Any]] = []
    for part in returned(spec.factory, spec.args):
        parts.extend(stacked(part) if isinstance(part, Stream) else (part,))
    return parts


def _inputs(x: NDArray[Any], spec: CustomData) -> NDArray[Any]:
    """Returns x in a type that is kept, (sample, …). Raises InputError where it does not fit.

    Several inputs stay in the shapes in which they were returned, and masks stay masks.
    """
    if x.dtype.names is not None:
        if spec.inputs is not None:
            raise InputError(
                f"is {spec.inputs}, but {spec.factory} returned several inputs, whose types say "
                "what they hold; leave it out",
                key=f"{KEY}.inputs",
            )
        return fields.each(
            lambda one: one if one.dtype.kind == "b" else _inputs(one, spec).reshape(one.shape), x
        )
    if x.ndim < 1:
        raise wrong(spec.factory, f"x of type {x.dtype} and shape {x.shape}")
    _check_type(x, spec)
    if x.dtype.kind in "iu":
        return changed(x, _whole_type(x))
    x = _values(x, "x", spec)
    return x[:, None] if x.ndim == 1 else x


def _check_type(x: NDArray[Any], spec: CustomData) -> None:
    """Raises InputError where x is not of the type that the keys say."""
    needed = {"pixels": "uint8", "tokens": "whole numbers"}.get(spec.inputs or "")
    fits = x.dtype == np.uint8 if spec.inputs == "pixels" else x.dtype.kind in "iu"
    if needed is not None and not fits:
        raise InputError(
            f"is {spec.inputs}, but {spec.factory} returned x of {x.dtype}; return {needed}, or "
            "choose values",
            key=f"{KEY}.inputs",
        )


def _targets(y: NDArray[Any], spec: CustomData) -> NDArray[Any]:
    """Returns y as whole numbers, which are classes or tokens, or as values, (sample, …).

    Raises InputError where it does not fit.
    """
    if y.ndim < 1:
        raise wrong(spec.factory, f"y of type {y.dtype} and shape {y.shape}")
    whole = y.dtype.kind in "iub"
    if spec.targets == "classes" and not whole:
        raise InputError(
            f"is classes, but {spec.factory} returned y of {y.dtype}; return whole numbers, or "
            "choose values",
            key=f"{KEY}.targets",
        )
    if whole and spec.targets != "values":
        return changed(y, kept_type(y))
    return _values(y, "y", spec)


def _values(array: NDArray[Any], name: str, spec: CustomData) -> NDArray[Any]:
    """Returns values in float16 or float32. Raises InputError where some are not finite."""
    if not all_finite(array):
        raise wrong(spec.factory, f"{name} with values that are not finite in float32")
    kept = kept_type(array) if array.dtype.kind == "f" else np.dtype(np.float32)
    return changed(array, kept)


def _whole_type(x: NDArray[Any]) -> np.dtype[Any]:
    """Returns the type in which whole numbers are kept: int32, but int64 for larger ones."""
    if x.dtype == np.uint8 or x.dtype.itemsize < 4:
        return kept_type(x)
    low, high = ends(x)
    limits = np.iinfo(np.int32)
    return np.dtype(np.int32 if limits.min <= low and high <= limits.max else np.int64)


def class_count(*targets: NDArray[Any]) -> int | None:
    """Returns the number of classes in some targets, of which some may be IGNORED.

    Returns None for values, for other numbers below 0, and where nothing but IGNORED is left.
    """
    if any(y.dtype.kind not in "iub" for y in targets):
        return None
    lows, highs = zip(*map(ends_of_classes, targets), strict=True)
    return None if min(lows) < 0 or max(highs) < 0 else max(highs) + 1


# ---------------------------------------------------------------- checks


def _alike(train: Pair, held: Pair) -> tuple[Pair, Pair]:
    """Returns both parts, with whole numbers of different size in the larger type of the two."""
    pairs: list[Pair] = []
    for one, other in zip(train, held, strict=True):
        both_whole = one.dtype.kind == other.dtype.kind == "i"
        wide = np.promote_types(one.dtype, other.dtype)
        pairs.append((changed(one, wide), changed(other, wide)) if both_whole else (one, other))
    (x, x_held), (y, y_held) = pairs
    return (x, y), (x_held, y_held)


def _check_fit(train: Pair, held: Pair, spec: CustomData) -> None:
    """Raises InputError where x and y, or the two parts, do not belong together."""
    for (x, y), what in ((train, "training"), (held, "held-out")):
        if len(x) != len(y):
            raise wrong(spec.factory, f"{len(x)} x and {len(y)} y as {what} samples")
    if not len(train[0]):
        raise wrong(spec.factory, "no training samples")
    for one, other, what in zip(train, held, ("x", "y"), strict=True):
        if (one.shape[1:], one.dtype) != (other.shape[1:], other.dtype):
            raise wrong(spec.factory, f"training and held-out {what} of different shape or type")


def _tell_of_bytes(x: NDArray[Any], spec: CustomData) -> None:
    """Warns where bytes are taken for pixels although they do not look like images."""
    images = x.ndim == 4 and x.shape[1] <= CHANNELS
    if spec.inputs is None and x.dtype == np.uint8 and not images:
        log.warning(
            "x of %s are bytes of shape %s and are divided by 255 as pixels; say %s.inputs: values "
            "or tokens where they are none, or pixels where they are",
            spec.factory,
            x.shape[1:],
            KEY,
        )
