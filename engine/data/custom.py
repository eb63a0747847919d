"""The data set that a function of the user's own returns."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from engine.data import fields
from engine.data.base import DataKeys, Dataset
from engine.errors import InputError
from engine.factories import call_factory
from engine.part import FunctionName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KEY = "problem.data"


class CustomData(DataKeys):
    """The data set that a function of the user's own returns."""

    kind: Literal["custom"]
    factory: FunctionName
    """The function, as package.module:function or file.py:function."""
    args: dict[str, Any] = Field(default={})
    """The function's keyword arguments."""

    quick: ClassVar[bool] = False

    def read(self) -> Dataset:
        """Calls the function and returns its data.

        It may return (x, y), (x, y, x_test, y_test), a torch Dataset, or two of them (train, held
        out). x may be floating-point values, uint8 pixels (sample, channel, height, width) or token
        numbers, or a dictionary or tuple of such inputs; y whole numbers (classes or tokens) or
        values (sample, output). Raises InputError for anything else, and where the function fails.
        """
        x, y, *rest = returned_arrays(self)
        x, y = _inputs(x, self), _targets(y, self)
        held = (_inputs(rest[0], self), _targets(rest[1], self)) if rest else (x[:0], y[:0])
        _check_fit((x, y), held, self)
        highest = max(part.max(initial=-1) for part in (y, held[1]))
        return Dataset(x, y, *held, int(highest) + 1 if _counts(y) else None)


def _check_fit(
    train: tuple[NDArray[Any], NDArray[Any]],
    held: tuple[NDArray[Any], NDArray[Any]],
    spec: CustomData,
) -> None:
    """Raises InputError where x and y, or the two parts, do not belong together."""
    for (x, y), what in ((train, "training"), (held, "held-out")):
        if len(x) != len(y):
            raise _wrong(spec, f"{len(x)} x and {len(y)} y as {what} samples")
    if not len(train[0]):
        raise _wrong(spec, "no training samples")
    for one, other, what in zip(train, held, ("x", "y"), strict=True):
        if (one.shape[1:], one.dtype) != (other.shape[1:], other.dtype):
            raise _wrong(spec, f"training and held-out {what} of different shape or type")


def returned_arrays(spec: CustomData) -> Sequence[Any]:
    """Returns x and y of the training samples, then of those held out if any, as they are returned.

    They are arrays or tensors of whatever type; items of Datasets are stacked. Raises InputError.
    """
    returned = call_factory(spec.factory, spec.args, KEY)
    if isinstance(returned, tuple | list) and len(returned) in (2, 4):
        if all(map(_is_inputs, returned[::2])) and all(map(_is_array, returned[1::2])):
            return returned
        if len(returned) == 2 and all(_is_dataset(part) for part in returned):
            return [*_stacked(returned[0], spec), *_stacked(returned[1], spec)]
    if _is_dataset(returned):
        return _stacked(returned, spec)
    raise _wrong(spec, type(returned).__name__)


def _is_array(part: Any) -> bool:
    """Returns whether it is an array or a tensor."""
    return hasattr(part, "__array__") and hasattr(part, "shape")


def _is_inputs(part: Any) -> bool:
    """Returns whether it is an array or a tensor, or a dictionary, tuple or list of several."""
    if isinstance(part, Mapping | tuple | list):
        inputs = fields.named(part)
        return bool(inputs) and all(map(_is_array, inputs.values()))
    return _is_array(part)


def _is_dataset(part: Any) -> bool:
    """Returns whether it is a map-style torch Dataset: it has a length and items."""
    sized = hasattr(part, "__getitem__") and hasattr(part, "__len__")
    return sized and not isinstance(part, tuple | list | dict | str) and not _is_array(part)


def _stacked(samples: Any, spec: CustomData) -> tuple[Any, NDArray[Any]]:
    """Returns all items of a Dataset, each (x, y), as one x and one y. Raises InputError."""
    items = [samples[number] for number in range(len(samples))]
    if not items or not all(isinstance(item, tuple | list) and len(item) == 2 for item in items):
        raise _wrong(spec, "a Dataset whose items are not (x, y)")
    try:
        return _together([x for x, _ in items]), _together([y for _, y in items])
    except (ValueError, KeyError) as error:
        raise _wrong(spec, f"a Dataset whose items differ in shape ({error})") from None


def _together(parts: Sequence[Any]) -> Any:
    """Returns the inputs, or the targets, of all items: an array, or several by name.

    Raises ValueError or KeyError where the items differ.
    """
    import numpy as np

    if not isinstance(parts[0], Mapping | tuple | list):
        return np.stack([_array(part) for part in parts])
    named = [fields.named(part) for part in parts]
    return {name: np.stack([_array(each[name]) for each in named]) for name in named[0]}


def _array(part: Any) -> NDArray[Any]:
    """Returns an array or tensor as an array in main memory."""
    import numpy as np

    torch = sys.modules.get("torch")
    if torch is not None and isinstance(part, torch.Tensor):
        part = part.detach().cpu().numpy()
    return np.asarray(part)


def _inputs(part: Any, spec: CustomData) -> NDArray[Any]:
    """Returns x as uint8, int32 or float32, (sample, …). Raises InputError for other types.

    Several inputs are one structured array, in which masks stay masks.
    """
    import numpy as np

    if isinstance(part, Mapping | tuple | list):
        inputs = {name: _several(each, spec) for name, each in fields.named(part).items()}
        try:
            return fields.joined(inputs)
        except ValueError as error:
            raise _wrong(spec, f"several inputs, but not {error}") from None
    x = _array(part)
    if x.ndim < 1 or x.dtype.kind not in "fiub":
        raise _wrong(spec, f"x of type {x.dtype} and shape {x.shape}")
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind in "iu":
        return x.astype(np.int32)
    return _finite(x[:, None] if x.ndim == 1 else x, "x", spec)


def _several(part: Any, spec: CustomData) -> NDArray[Any]:
    """Returns one of several inputs, in the shape in which it was returned."""
    array = _array(part)
    return array if array.dtype.kind == "b" else _inputs(part, spec).reshape(array.shape)


def _targets(part: Any, spec: CustomData) -> NDArray[Any]:
    """Returns y as int64 (sample, …) or float32 (sample, output). Raises InputError for others."""
    import numpy as np

    y = _array(part)
    if y.ndim < 1 or y.dtype.kind not in "fiub":
        raise _wrong(spec, f"y of type {y.dtype} and shape {y.shape}")
    if _counts(y):
        return y.astype(np.int64)
    y = _finite(y, "y", spec)
    return y.reshape(len(y), prod(y.shape[1:]))


def _counts(y: NDArray[Any]) -> bool:
    """Returns whether y holds whole numbers, which are classes or tokens."""
    return y.dtype.kind in "iub"


def _finite(array: NDArray[Any], name: str, spec: CustomData) -> NDArray[np.float32]:
    """Returns the values in float32. Raises InputError where some are not finite."""
    import numpy as np

    with np.errstate(over="ignore"):
        values = array.astype(np.float32)
    if not np.isfinite(values).all():
        raise _wrong(spec, f"{name} with values that are not finite in float32")
    return values


def _wrong(spec: CustomData, what: str) -> InputError:
    """Returns the error that says what the function returned and what it has to return."""
    return InputError(
        f"{spec.factory} returned {what}; it must return (x, y) or (x, y, x_test, y_test) as "
        "arrays or tensors, a torch Dataset of (x, y), or two of them",
        key=f"{KEY}.factory",
    )
