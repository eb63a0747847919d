"""What the image data sets share: their files, which samples are used, how pixels are scaled."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from engine.data.base import Dataset, Scaling
from engine.data.catalogue import CLASSES, IMAGES, ImageSource
from engine.data.files import FOLDERS, ImageKind, image_folders
from engine.errors import InputError
from engine.spec.keys import Images

KEY = "problem.data.path"
GZIP = b"\x1f\x8b"
#: A file's size over its size in gzip, at least and at most.
GZIP_RATIOS = 0.99, 1032
#: Bytes read, and samples counted, at a time.
PIECE, COUNTED = 2**20, 2**12

Files = dict[str, Path]
"""The files found, by their published names."""


@dataclass(frozen=True)
class Labelled:
    x: NDArray[np.uint8]
    """(sample, channel, height, width)"""
    y: NDArray[np.int64]
    """(sample,) class numbers."""

    def __len__(self) -> int:
        return len(self.x)

    def part(self, start: int, stop: int) -> Labelled:
        """A copy, so that the rest can be freed; itself where that is all."""
        if (start, stop) == (0, len(self)):
            return self
        return Labelled(self.x[start:stop].copy(), self.y[start:stop].copy())


# ---------------------------------------------------------------- files


def find_files(kind: ImageKind, path: str | None, files_in: Callable[[Path], Files]) -> Files:
    """What the first folder that holds any holds. Raises InputError where none does."""
    source, places = IMAGES[kind], image_folders(kind, path)
    if found := first_files(places, source, files_in):
        return found
    if not places:
        raise InputError(
            f"is null, but $DSS_TUI_DATA is not set; {source.where()} into a folder "
            f"{FOLDERS[kind][0]}, and set DSS_TUI_DATA to the folder around it",
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
    """As `find_files`; nothing where there is nothing."""
    for place in places:
        with _faults_said(place, source):
            if found := files_in(place):
                return found
    return {}


def contents(path: Path, source: ImageSource) -> bytearray:
    """A file's bytes, uncompressed. Raises InputError for one that cannot be read."""
    held = bytearray()
    with _faults_said(path, source), _opened(path) as file:
        while piece := file.read(PIECE):
            held += piece
    return held


def beginning(path: Path, size: int, source: ImageSource) -> bytes:
    """The first uncompressed bytes of a file. Raises InputError for one that cannot be read."""
    with _faults_said(path, source), _opened(path) as file:
        return file.read(size)


def uncompressed_size(path: Path, unit: int, source: ImageSource) -> int:
    """Bytes of a file, uncompressed, from what its end says. Raises InputError as `contents`.

    Where that cannot be, or is no multiple of `unit`, the file is read: what ends too early ends
    with any bytes, and what was joined of several parts with the size of the last.
    """
    with _faults_said(path, source):
        packed = path.stat().st_size
        if not _is_gzip(path):
            return packed
        with open(path, "rb") as file:
            file.seek(max(0, packed - 4))
            size = int.from_bytes(file.read(), "little")
    low, high = GZIP_RATIOS
    if low * packed - 64 < size < high * packed and size % unit == 0:
        return size
    return len(contents(path, source))


def _is_gzip(path: Path) -> bool:
    """Seen from the content: browsers unpack some files and leave them their name."""
    with open(path, "rb") as file:
        return file.read(len(GZIP)) == GZIP


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if _is_gzip(path) else open(path, "rb")


@contextmanager
def _faults_said(path: Path, source: ImageSource) -> Iterator[None]:
    try:
        yield
    except EOFError:
        raise InputError(f"its gzip data end too early; {source.again()}", file=path) from None
    except (gzip.BadGzipFile, zlib.error):
        raise InputError(f"its gzip data are damaged; {source.again()}", file=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None


def check_labels(labels: NDArray[np.uint8], path: Path, source: ImageSource) -> None:
    """Raises InputError for a label that is not one of the ten."""
    if labels.max() >= CLASSES:
        at = int(np.argmax(labels >= CLASSES))
        raise InputError(
            f"the label of sample {at} is {labels[at]}, but {source.title} has labels from 0 to "
            f"{CLASSES - 1}; {source.again()}",
            file=path,
        )


# ---------------------------------------------------------------- which samples are used


def sizes(spec: Images, train: int, test: int | None) -> tuple[int, int]:
    """Training and held-out samples that are used of those in the files; test: None, not read.

    Raises InputError where `held_out` leaves none.
    """
    after = train - _kept(spec, train) if test is None else test
    kept = train - after if test is None else train
    return min(kept, spec.limit or kept), min(after, spec.held_out_limit or after)


def as_dataset(spec: Images, train: Labelled, test: Labelled | None) -> Dataset:
    """The samples that are used. Without a test set the last of `train` are held out."""
    used, held_out = sizes(spec, len(train), None if test is None else len(test))
    start = 0
    if test is None:
        test, start = train, _kept(spec, len(train))
    test, train = test.part(start, start + held_out), train.part(0, used)
    return Dataset(train.x, train.y, test.x, test.y, CLASSES, _scaling(spec, train.x))


def _kept(spec: Images, train: int) -> int:
    """Training samples before those that `held_out` asks for. Raises InputError for none."""
    share = spec.held_out or 0.0
    kept = train - round(train * share)
    if not 0 < kept < train:
        raise InputError(
            f"is {share:g}, which leaves none of {train} samples to hold out or none to train on; "
            "choose another share, or null for the test set",
            key="problem.data.held_out",
        )
    return kept


def caveat(kind: ImageKind, train: int, test: int | None) -> str | None:
    """A sentence on files that do not hold the published number of samples; None: they do."""
    source = IMAGES[kind]
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


def _scaling(spec: Images, x: NDArray[np.uint8]) -> Scaling:
    channels = range(x.shape[1])
    if not spec.standardize:
        return Scaling(mean=tuple(0.0 for _ in channels), std=tuple(1.0 for _ in channels))
    moments = [_moments(x[:, channel]) for channel in channels]
    return Scaling(mean=tuple(mean for mean, _ in moments), std=tuple(std for _, std in moments))


def _moments(pixels: NDArray[np.uint8]) -> tuple[float, float]:
    """Mean and standard deviation of pixels / 255, from exact counts of the 256 bytes.

    The standard deviation of pixels that are all the same is given as 1, to divide by.
    """
    counts = np.zeros(256, np.int64)
    for start in range(0, len(pixels), COUNTED):
        counts += np.bincount(pixels[start : start + COUNTED].ravel(), minlength=256)
    count, total, squares = (
        sum(number * value**power for value, number in enumerate(counts.tolist()))
        for power in (0, 1, 2)
    )
    deviation = (count * squares - total**2) ** 0.5 / count / 255
    return total / count / 255, deviation or 1.0
