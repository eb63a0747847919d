"""The base of the image data sets: their keys and files, the used samples, the scaled pixels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from engine.data.base import ByImage, DataKeys, Dataset, Scaling
from engine.data.files import candidates, data_folder
from engine.data.stored_files import faults_said
from engine.data.survey import (
    Files,
    Source,
    State,
    Survey,
    absent,
    compared,
    damaged,
    looked_at,
)
from engine.errors import InputError
from engine.part import Fraction, Names, PositiveInt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KEY = "problem.data.path"
#: Bytes of the number of a class in memory.
LABEL_BYTES = 8
#: Samples that are counted at a time.
COUNTED = 2**12


@dataclass(frozen=True)
class ImageSource(Source):
    """A published data set of images."""

    folders: tuple[str, ...] = ()
    """The folders under $DSS_TUI_DATA that may hold it."""
    shape: tuple[int, int, int] = (1, 28, 28)
    """The shape of an image: (channel, height, width)."""
    train: int = 60000
    """Number of training images."""
    test: int = 10000
    """Number of test images."""
    classes: int = 10
    """Number of classes."""


@dataclass(frozen=True)
class Labelled:
    """Images with their classes."""

    x: NDArray[np.uint8]
    """Pixels, (sample, channel, height, width)."""
    y: NDArray[np.int64]
    """Class numbers, (sample,)."""

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self.x)

    def part(self, start: int, stop: int) -> Labelled:
        """Returns a copy of a range of samples, so that the rest can be freed.

        Returns the object itself where the range holds all samples.
        """
        if (start, stop) == (0, len(self)):
            return self
        return Labelled(self.x[start:stop].copy(), self.y[start:stop].copy())


class Images(DataKeys):
    """The keys that image data sets have in common. Pixels are scaled to [0, 1]."""

    path: Annotated[str | None, Names.PATH] = None
    """The folder that holds the files; null looks for it under $DSS_TUI_DATA."""
    limit: PositiveInt | None = None
    """The number of training samples that are used, the first ones; null uses all."""
    held_out: Fraction | None = None
    """The share of the training samples, the last ones, that is held out in place of the test set;
    null holds out the test set."""
    held_out_limit: PositiveInt | None = None
    """The number of samples held out that are used, the first ones; null uses all."""
    standardize: bool | Literal["image"] = False
    """Whether each channel is scaled to mean 0 and standard deviation 1 over training samples. With
    image, each image is scaled to them by itself."""
    crop: PositiveInt | None = None
    """The side in pixels of the square in the middle of each image that the network takes; null:
    it takes whole images. Steps that crop at random (augment) take other squares of that size."""

    quick: ClassVar[bool] = False
    fetched: ClassVar[bool] = True

    @property
    @abstractmethod
    def source(self) -> ImageSource:
        """The published data set that the kind stands for."""

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.source.classes

    @abstractmethod
    def stored(self) -> tuple[int, int | None]:
        """Returns the number of training and test samples in the files, without decoding images.

        The second is None where no test set is asked for. Raises InputError where a file is missing
        or cannot be what it should be.
        """

    @abstractmethod
    def labelled(self) -> tuple[Labelled, Labelled | None]:
        """Returns all training and test samples in the files, the second as for `stored`.

        Raises InputError where a file is missing or damaged.
        """

    def read(self) -> Dataset:
        """Returns pixels (sample, channel, height, width) and class numbers.

        Raises InputError where a file is missing or damaged, or `held_out` leaves no samples.
        """
        return as_dataset(self, *self.labelled())

    def stored_counts(self) -> tuple[int, int]:
        """Returns how many samples are trained on and how many held out, from the files' headers.

        Raises InputError where a file is missing or damaged.
        """
        return sizes(self, *self.stored())

    def caveat(self) -> str | None:
        """Returns a sentence on files that do not hold the published number of samples, or None.

        Raises InputError where a file is missing or damaged.
        """
        return caveat(self.source, *self.stored())


# ---------------------------------------------------------------- files


def image_folders(source: ImageSource, path: str | None) -> list[Path]:
    """Returns the folders where a data set may lie: none without path and $DSS_TUI_DATA."""
    if path is not None:
        return candidates(path)
    data = data_folder()
    return [data / name for name in source.folders] if data else []


def find_files(source: ImageSource, path: str | None, files_in: Callable[[Path], Files]) -> Files:
    """Returns the files in the first folder that holds any, as `files_in` finds them there.

    Raises InputError where no folder does.
    """
    places = image_folders(source, path)
    if found := first_files(places, source, files_in):
        return found
    if not places:
        raise InputError(
            f"is null, but $DSS_TUI_DATA is not set; {source.where()} into a folder "
            f"{source.folders[0]}, and set DSS_TUI_DATA to the folder around it",
            key=KEY,
        )
    looked, there = " nor in ".join(map(str, places)), "one of them" if places[1:] else "it"
    raise InputError(
        f"no file of {source.title} is in {looked}; {source.where()} into {there}"
        + ("" if path is None else f", or correct {KEY}"),
        key=KEY,
    )


def first_files(
    places: list[Path], source: ImageSource, files_in: Callable[[Path], Files]
) -> Files:
    """Returns the files in the first of these folders that holds any, or none."""
    for place in places:
        with faults_said(place, source):
            if found := files_in(place):
                return found
    return {}


def check_labels(
    labels: NDArray[Any], path: Path, source: ImageSource, classes: int | None = None
) -> None:
    """Raises InputError for a label that is not the number of a class, of which there are some."""
    import numpy as np

    classes = classes or source.classes
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise InputError(
            f"the label of sample {at} is {labels[at]}, but {source.title} has labels from 0 to "
            f"{classes - 1}; {source.again()}",
            file=path,
        )


# ---------------------------------------------------------------- which samples are used


def sizes(spec: Images, train: int, test: int | None) -> tuple[int, int]:
    """Returns how many samples are trained on and how many held out, of those in the files.

    `test` is None where no test set is asked for. Raises InputError where `held_out` leaves no
    samples.
    """
    after = train - _kept(spec, train) if test is None else test
    kept = train - after if test is None else train
    return min(kept, spec.limit or kept), min(after, spec.held_out_limit or after)


def as_dataset(spec: Images, train: Labelled, test: Labelled | None) -> Dataset:
    """Returns the samples that the keys ask for.

    Without a test set the last ones of `train` are held out. Raises InputError where `held_out`
    leaves no samples.
    """
    used, held_out = sizes(spec, len(train), None if test is None else len(test))
    start = 0
    if test is None:
        test, start = train, _kept(spec, len(train))
    test, train = test.part(start, start + held_out), train.part(0, used)
    _check_crop(spec)
    return Dataset(
        train.x,
        train.y,
        test.x,
        test.y,
        spec.classes,
        pixel_scaling(train.x, standardize=spec.standardize),
        spec.crop,
    )


def _check_crop(spec: Images) -> None:
    """Raises InputError where the square that networks are to take is larger than the images."""
    side = min(spec.source.shape[1:])
    if spec.crop is not None and spec.crop > side:
        raise InputError(
            f"is {spec.crop}, but the images have {side} pixels a side; make it {side} or less",
            key="problem.data.crop",
        )


def _kept(spec: Images, train: int) -> int:
    """Returns how many training samples come before those that `held_out` asks for.

    Raises InputError where that leaves none to train on or none to hold out.
    """
    share = spec.held_out or 0.0
    kept = train - round(train * share)
    if not 0 < kept < train:
        raise InputError(
            f"is {share:g}, which leaves none of {train} samples to hold out or none to train on; "
            "choose another share, or null for the test set",
            key="problem.data.held_out",
        )
    return kept


def caveat(source: ImageSource, train: int, test: int | None) -> str | None:
    """Returns a sentence on files that do not hold the published number of samples, else None."""
    parts = [(train, source.train, "training")]
    if test is not None:
        parts.append((test, source.test, "test"))
    if all(held == published for held, published, _ in parts):
        return None
    fewer = all(held <= published for held, published, _ in parts)
    counts = " and ".join(f"{held} of {published} {part}" for held, published, part in parts)
    return (
        f"{'a subset of' if fewer else 'not the published'} {source.title}, {counts} images: "
        "results are not comparable with the whole set's"
    )


# ---------------------------------------------------------------- pixels


def pixel_scaling(
    x: NDArray[np.uint8], *, standardize: bool | Literal["image"]
) -> Scaling | ByImage:
    """Returns how pixels are scaled, where asked for by those to train on, (sample, channel, …)."""
    if standardize == "image":
        return ByImage()
    channels = range(x.shape[1])
    if not standardize:
        return Scaling(mean=tuple(0.0 for _ in channels), std=tuple(1.0 for _ in channels))
    moments = [_moments(x[:, channel]) for channel in channels]
    return Scaling(mean=tuple(mean for mean, _ in moments), std=tuple(std for _, std in moments))


def _moments(pixels: NDArray[np.uint8]) -> tuple[float, float]:
    """Returns mean and standard deviation of pixels / 255, from exact counts of the 256 bytes.

    The standard deviation of pixels that are all the same is given as 1, because it divides.
    """
    import numpy as np

    counts = np.zeros(256, np.int64)
    for start in range(0, len(pixels), COUNTED):
        counts += np.bincount(pixels[start : start + COUNTED].ravel(), minlength=256)
    count, total, squares = (
        sum(number * value**power for value, number in enumerate(counts.tolist()))
        for power in (0, 1, 2)
    )
    deviation = (count * squares - total**2) ** 0.5 / count / 255
    return total / count / 255, deviation or 1.0


# ---------------------------------------------------------------- surveys

Look = Callable[[str, Path], tuple[bytearray, dict[str, int]]]
"""Takes a file's published name and its path. Returns its content and what that holds, in numbers
by what they count, or raises InputError for a damaged file."""
Total = Callable[[dict[str, dict[str, int]], Files], tuple[int, int]]
"""Takes what each file holds, and the files. Returns the number of training and test samples, or
raises InputError where files are missing or do not belong together."""


def survey_images(
    kind: str,
    source: ImageSource,
    files_in: Callable[[Path], Files],
    look: Look,
    total: Total,
) -> Survey:
    """Returns what of a data set of images is on this machine. All its files are read."""
    places = image_folders(source, None)
    found = absent(kind, kind, source, places)
    try:
        paths = first_files(places, source, files_in)
    except InputError as error:
        return damaged(found, str(error))
    if not paths:
        return found
    found = looked_at(found, paths, source, look)
    try:
        train, held_out = total({file.name: file.holds for file in found.files}, paths)
    except InputError as error:
        return damaged(found, str(error))
    if found.problems:
        return found
    remark = caveat(source, train, held_out)
    memory = (train + held_out) * (prod(source.shape) + LABEL_BYTES)
    found = replace(found, train=train, held_out=held_out, memory_bytes=memory)
    if remark:
        return replace(found, state=State.SUBSET, caveat=remark)
    return compared(found, source)


def counted(images: int, source: ImageSource) -> dict[str, int]:
    """Returns what a file with so many images holds, in numbers by what they count."""
    channels, rows, columns = source.shape
    return {"images": images, "channels": channels, "rows": rows, "columns": columns}
