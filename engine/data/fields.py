"""Several inputs of a sample in one array, so that data sets stay one x and one y.

Such an x is a structured array (sample,) whose fields are the inputs. It is cut, counted and
mapped from a file like any other array. Inputs that forward takes by place have their places as
names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def named(inputs: Mapping[str, Any] | tuple[Any, ...] | list[Any]) -> dict[str, Any]:
    """Returns inputs by name; those of a tuple or list are named "0", "1" and so on."""
    if isinstance(inputs, Mapping):
        return dict(inputs)
    return {str(place): part for place, part in enumerate(inputs)}


def joined(inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Returns inputs (sample, …) by name as one array (sample,).

    Raises ValueError where they are of different numbers of samples.
    """
    from engine.data.room import room

    counts = {name: len(part) for name, part in inputs.items()}
    if len(set(counts.values())) > 1:
        told = " and ".join(f"{count} of {name}" for name, count in counts.items())
        raise ValueError(f"as many samples of each input; there are {told}")
    kinds = {name: (part.dtype, part.shape[1:]) for name, part in inputs.items()}
    array = room((next(iter(counts.values())),), record(kinds))
    for name, part in inputs.items():
        array[name] = part
    return array


def record(kinds: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]) -> np.dtype[Any]:
    """Returns the type of a sample whose inputs have these types and shapes.

    Each input is aligned, because torch takes views of such arrays only then.
    """
    import numpy as np

    return np.dtype([(name, *kind) for name, kind in kinds.items()], align=True)


def parts(x: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Returns views of the inputs of an array by name; an array of one input is called x."""
    if x.dtype.names is None:
        return {"x": x}
    return {name: x[name] for name in x.dtype.names}


def each(function: Callable[[NDArray[Any]], NDArray[Any]], x: NDArray[Any]) -> NDArray[Any]:
    """Returns what a function of one input gives for each input of an array, as one array."""
    if x.dtype.names is None:
        return function(x)
    return joined({name: function(part) for name, part in parts(x).items()})
