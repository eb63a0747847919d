"""The data set that a function of the user's own returns."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.data.base import Content, DataKeys, Dataset, Targets
from engine.part import FunctionName


class CustomData(DataKeys):
    """The data set that a function of the user's own returns."""

    kind: Literal["custom"]
    factory: FunctionName
    """The function, as package.module:function or file.py:function."""
    args: dict[str, Any] = Field(default={})
    """The function's keyword arguments."""
    inputs: Content | None = None
    """What x holds: values; pixels, which are bytes and are divided by 255; or tokens, which are
    whole numbers. Null takes bytes for pixels, other whole numbers for tokens, and the rest for
    values."""
    targets: Targets | None = None
    """What y holds: the numbers of classes or tokens, or values. Null takes whole numbers for
    classes."""

    quick: ClassVar[bool] = False

    def read(self) -> Dataset:
        """Calls the function and returns its data.

        It may return (x, y), (x, y, x_test, y_test), a torch Dataset, an IterableDataset of known
        length, a DataLoader, or two of them (train, held out), whose items are read once, in order.
        x may be a dictionary or a tuple of several inputs. Many samples are mapped from a file.
        Raises InputError for anything else, and where the function fails.
        """
        from engine.data.own_samples import samples_of

        return samples_of(self)
