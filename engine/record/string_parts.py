"""What a string file holds besides its string: samples, and what of the network is no weight."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data import fields
from engine.data.room import pieces
from engine.errors import InputError

#: What stands before the name of each of several inputs.
SEVERAL = "data.x."

Arrays = dict[str, NDArray[Any]]


def prefixed(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Returns arrays by their names with a prefix."""
    return {f"{prefix}{name}": array for name, array in arrays.items()}


def under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Returns the arrays whose names begin with a prefix, by the rest of their names."""
    return {
        name.removeprefix(prefix): each for name, each in arrays.items() if name.startswith(prefix)
    }


def of_data(x: NDArray[Any], y: NDArray[Any]) -> Arrays:
    """Returns samples by the names that they have in a file, each of several inputs by its own."""
    several = x.dtype.names
    named = {"data.x": x} if several is None else {f"{SEVERAL}{name}": x[name] for name in several}
    return named | {"data.y": y}


def data_in(arrays: Arrays, path: Path) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Returns the samples x and y of a file, or None without any.

    Raises InputError where they are no samples.
    """
    several = under(SEVERAL, arrays)
    if "data.y" not in arrays or not ("data.x" in arrays or several):
        return None
    inputs, y = several or {"": arrays["data.x"]}, arrays["data.y"]
    samples = {array.shape[:1] for array in (*inputs.values(), y)}
    if (
        len(samples) != 1
        or samples <= {(), (0,)}
        or not all(_are_numbers(part, "fiub") for part in inputs.values())
        or not _are_numbers(y, "fiub")
    ):
        raise InputError("its data.x and data.y are not samples; export it again", file=path)
    return (fields.joined(several) if several else arrays["data.x"]), y


def _are_numbers(array: NDArray[Any], kinds: str) -> bool:
    """Returns whether an array is of one of these kinds, and finite."""
    return array.dtype.kind in kinds and all(
        np.isfinite(array[part]).all() for part in pieces(array)
    )
