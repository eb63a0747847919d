"""The base of all data sets: their arrays, and what the engine asks of each kind."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from engine.data import fields
from engine.data.survey import Survey
from engine.part import Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike, NDArray

Content = Literal["values", "pixels", "tokens"]
"""What inputs hold: values, bytes that are pixels, or whole numbers that are tokens."""
Targets = Literal["classes", "values"]
"""What targets hold: numbers of classes or tokens, or values."""
IGNORED = -100
"""The class of samples and tokens that a cross-entropy passes over, as torch's `ignore_index`."""


def held_in(x: NDArray[Any]) -> Content:
    """Returns what inputs of this type hold where no key says it."""
    if x.dtype == "uint8":
        return "pixels"
    return "tokens" if x.dtype.kind in "iu" else "values"


@dataclass(frozen=True)
class Scaling:
    """The scaling of pixels: a byte from 0 to 255 becomes (byte / 255 − mean) / std by channel."""

    mean: tuple[float, ...]
    """The mean of pixels / 255 for each channel."""
    std: tuple[float, ...]
    """The standard deviation of pixels / 255 for each channel."""


@dataclass(frozen=True)
class ByImage:
    """The scaling by which each image has mean 0 and standard deviation 1 by itself.

    An image that is nearly all of one colour is divided by 1/√values at least, in units of a byte,
    as TensorFlow's per_image_standardization does.
    """


@dataclass(frozen=True)
class Dataset:
    """The samples to train on, and those held out. x keeps the compact type of its files."""

    x: NDArray[Any]
    """The inputs to train on, (sample, …): float16 or float32 values, uint8 pixels (sample,
    channel, height, width), or whole numbers."""
    y: NDArray[Any]
    """The targets to train on: (sample, …) float16 or float32 values, (sample,) numbers of classes,
    or (sample, time) numbers of the tokens after those of x."""
    x_held_out: NDArray[Any]
    """The inputs held out, of the same shape and type as x but for the number of samples."""
    y_held_out: NDArray[Any]
    """The targets held out, of the same shape and type as y but for the number of samples."""
    classes: int | None
    """The number of classes in y, or None where y holds values. Entries of y may be IGNORED."""
    scaling: Scaling | ByImage | None = None
    """The scaling of uint8 pixels. With None they are divided by 255."""
    crop: int | None = None
    """The side in pixels of the square in the middle of each image that networks take; None: they
    take whole images."""
    inputs: Content | None = None
    """What x holds. None means pixels for uint8, tokens for other whole numbers, else values."""

    @property
    def reads(self) -> Content:
        """What x holds, where `inputs` leaves it to the type."""
        return self.inputs or held_in(self.x)

    @property
    def features(self) -> int:
        """Number of values in the input of one sample."""
        if self.crop is not None:
            return int(self.x.shape[1]) * self.crop**2
        return prod(self.x.shape[1:])

    @property
    def outputs(self) -> int:
        """Number of values that a network has to return for one sample, or for one token."""
        return prod(self.y.shape[1:]) if self.classes is None else self.classes

    @property
    def ignores(self) -> bool:
        """Whether some samples or tokens have no class, but IGNORED in its place."""
        if self.classes is None or self.y.dtype.kind != "i":
            return False
        from engine.data.room import ends

        return any(ends(y)[0] < 0 for y in (self.y, self.y_held_out))

    def checksum(self) -> str:
        """Returns the SHA-256, in hexadecimal digits, of the training samples and their scaling.

        It does not depend on the types in which values and whole numbers are kept, nor on the axes
        of a value's targets.
        """
        digest = hashlib.sha256()
        inputs = fields.parts(self.x)
        for name, x in inputs.items():
            if len(inputs) > 1:
                digest.update(name.encode())
            _update(digest, x, *self._seen_x(x))
        _update(digest, self.y, *self._seen_y())
        if self.scaling is not None:
            digest.update(repr(self.scaling).encode())
        if self.crop is not None:
            digest.update(f"crop {self.crop}".encode())
        return digest.hexdigest()

    def _seen_x(self, x: NDArray[Any]) -> tuple[str, tuple[int, ...]]:
        """Returns the type and the shape of an input that the checksum goes by."""
        reads = held_in(x) if self.inputs is None else self.inputs
        if reads != "tokens":
            return "uint8" if reads == "pixels" else "float32", x.shape
        from engine.data.room import ends

        low, high = ends(x)
        return "int32" if low >= -(2**31) and high < 2**31 else "int64", x.shape

    def _seen_y(self) -> tuple[str, tuple[int, ...]]:
        """Returns the type and the shape of y that the checksum goes by."""
        if self.y.dtype.kind in "iub":
            return "int64", self.y.shape
        return "float32", (len(self.y), prod(self.y.shape[1:]))


def _update(digest: hashlib._Hash, array: NDArray[Any], dtype: str, shape: tuple[int, ...]) -> None:
    """Adds an array, seen in that type and shape, to a checksum."""
    digest.update(f"{dtype} {shape}".encode())
    for piece in _pieces(array, dtype):
        digest.update(piece.data)


def _pieces(array: NDArray[Any], dtype: DTypeLike) -> Iterator[NDArray[Any]]:
    """Yields the samples of an array in order, some at a time, contiguous and of that type."""
    import numpy as np

    from engine.data.room import pieces

    for part in pieces(array):
        yield np.ascontiguousarray(array[part], dtype)


class DataKeys(Part):
    """The keys of one kind of data set, and what the engine asks of that kind.

    Each kind is a subclass in a file of its own, listed in `engine.data.KINDS`.
    """

    if TYPE_CHECKING:
        # Each kind declares its own, a Literal, in the place where run.yaml is to show it.
        kind: str

    quick: ClassVar[bool] = True
    """Whether `read` takes only a moment and runs no code of the user's own, so that a menu may
    call it."""
    fetched: ClassVar[bool] = False
    """Whether the data are published elsewhere, so that the user has to fetch them first."""

    @abstractmethod
    def read(self) -> Dataset:
        """Returns the data set, read or made anew.

        Raises InputError where the keys or the files that they name do not hold one.
        """

    def files(self) -> list[Path]:
        """Returns the files that `read` reads. Raises InputError where one is missing."""
        return []

    def stored_counts(self) -> tuple[int, int] | None:
        """Returns how many samples are trained on and how many held out, without reading them.

        Returns None where only reading tells. Raises InputError where a file is missing or damaged.
        """
        return None

    def caveat(self) -> str | None:
        """Returns what must be said of results on these data: that the files hold only a subset.

        Returns None where there is nothing to say; a subset that the keys themselves ask for is not
        counted. Raises InputError where a file is missing or damaged.
        """
        return None

    @classmethod
    def surveys(cls) -> Mapping[str, Callable[[], Survey]]:
        """Returns, for each data set that has a name, a function that says what of it is here.

        These are the data sets that `dss-tui data` lists; the functions read all their files.
        """
        return {}
