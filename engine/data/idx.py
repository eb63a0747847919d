"""Reads MNIST and Fashion-MNIST from their IDX files: a header of big-endian numbers, and bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.data.images import (
    Images,
    ImageSource,
    Labelled,
    check_labels,
    counted,
    find_files,
    survey_images,
)
from engine.data.stored_files import beginning, contents
from engine.data.survey import Files, Survey
from engine.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
IDX_FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)

SOURCES = {
    "mnist": ImageSource(
        "MNIST",
        IDX_FILES,
        "http://yann.lecun.com/exdb/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            TRAIN_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            TRAIN_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        folders=("mnist",),
    ),
    "fashion_mnist": ImageSource(
        "Fashion-MNIST",
        IDX_FILES,
        "https://github.com/zalandoresearch/fashion-mnist",
        folders=("fashion_mnist", "fashion-mnist"),
    ),
}

#: What stands before the number of axes: two zeros, and 8 for unsigned bytes.
MAGIC = 0x0800
LABEL_AXES, IMAGE_AXES = 1, 3


class IdxData(Images):
    """MNIST or Fashion-MNIST, images (1, 28, 28), from its IDX files, gzip or plain."""

    kind: Literal["mnist", "fashion_mnist"]

    @property
    def source(self) -> ImageSource:
        """The published data set that the kind stands for."""
        return SOURCES[self.kind]

    def files(self) -> list[Path]:
        """Returns the files of images and labels. Raises InputError where one is missing."""
        return list(needed_files(self).values())

    def stored(self) -> tuple[int, int | None]:
        """Returns the number of training and test samples, from the headers of the files.

        The second is None where no test set is asked for. Raises InputError where a file is
        missing or has a wrong header.
        """
        source, files = self.source, needed_files(self)

        def count(name: str) -> int:
            head = beginning(files[name], _header_size(IMAGE_AXES), source)
            return _shape(head, IMAGE_AXES, files[name], source)[0]

        return count(TRAIN_IMAGES), None if self.held_out is not None else count(TEST_IMAGES)

    def labelled(self) -> tuple[Labelled, Labelled | None]:
        """Returns all training and test samples, the second None where none are asked for.

        Raises InputError where a file is missing or damaged.
        """
        files = needed_files(self)

        def pair(images: str, labels: str) -> Labelled:
            return read_pair(files[images], files[labels], self.source)

        test = None if self.held_out is not None else pair(TEST_IMAGES, TEST_LABELS)
        return pair(TRAIN_IMAGES, TRAIN_LABELS), test

    @classmethod
    def surveys(cls) -> Mapping[str, Callable[[], Survey]]:
        """Returns, for MNIST and for Fashion-MNIST, a function that says what of it is here."""
        return {kind: partial(_survey, kind) for kind in SOURCES}


def needed_files(spec: IdxData) -> Files:
    """Returns the files that the keys ask for. Raises InputError where one is missing."""
    files = find_files(spec.source, spec.path, files_in)
    needed = IDX_FILES if spec.held_out is None else (TRAIN_IMAGES, TRAIN_LABELS)
    check_complete(files, needed, spec.source)
    return {name: files[name] for name in needed}


def check_complete(files: Files, needed: Iterable[str], source: ImageSource) -> None:
    """Raises InputError where one of the needed files is missing."""
    for name in needed:
        if name not in files:
            folder = next(iter(files.values())).parent
            raise InputError(
                f"has no {name}, plain or .gz; download it from {source.mirror or source.address}",
                file=folder,
            )


def files_in(folder: Path) -> Files:
    """Returns those of the four files that a folder holds, by their published names.

    Files may end with .gz, and may be spelled with a dot, as train-images.idx3-ubyte.
    """
    found: Files = {}
    for name in IDX_FILES:
        for spelled in (name, name.replace("-idx", ".idx")):
            for path in (folder / spelled, folder / f"{spelled}.gz"):
                if path.is_file():
                    found.setdefault(name, path)
    return found


def read_pair(images: Path, labels: Path, source: ImageSource) -> Labelled:
    """Returns the samples of a file of images and a file of labels.

    Raises InputError for files that are damaged or do not belong together.
    """
    x = read_images(contents(images, source), images, source)
    y = read_labels(contents(labels, source), labels, source)
    check_pair(len(x), len(y), images, labels)
    return Labelled(x, y)


def check_pair(x: int, y: int, images: Path, labels: Path) -> None:
    """Raises InputError where there is not a label for each image."""
    if x != y:
        raise InputError(
            f"holds {x} images, but {labels.name} beside it holds {y} labels; take both from the "
            "same data set",
            file=images,
        )


def read_images(content: bytearray, path: Path, source: ImageSource) -> NDArray[np.uint8]:
    """Returns pixels (sample, 1, 28, 28). Raises InputError for a damaged or other file."""
    pixels = _array(content, IMAGE_AXES, path, source)
    return pixels.reshape(len(pixels), *source.shape)


def read_labels(content: bytearray, path: Path, source: ImageSource) -> NDArray[np.int64]:
    """Returns class numbers (sample,). Raises InputError for a damaged or other file."""
    import numpy as np

    labels = _array(content, LABEL_AXES, path, source)
    check_labels(labels, path, source)
    return labels.astype(np.int64)


def _array(content: bytearray, axes: int, path: Path, source: ImageSource) -> NDArray[np.uint8]:
    """Returns the array that a file holds. Raises InputError where its length is not right."""
    import numpy as np

    shape = _shape(content, axes, path, source)
    size = _header_size(axes) + prod(shape)
    if len(content) != size:
        raise InputError(
            f"holds {len(content)} bytes, but its header promises {shape[0]} samples in {size} "
            f"bytes; {source.again()}",
            file=path,
        )
    return np.frombuffer(content, np.uint8, offset=_header_size(axes)).reshape(shape)


def _header_size(axes: int) -> int:
    """Returns the bytes of the header of an array with so many axes."""
    return 4 + 4 * axes


def _shape(
    content: bytes | bytearray, axes: int, path: Path, source: ImageSource
) -> tuple[int, ...]:
    """Returns the array's shape, from the header. Raises InputError for that of another file."""
    head = content[: _header_size(axes)]
    if len(head) < _header_size(axes):
        raise InputError(
            f"holds {len(head)} bytes, less than the header of an IDX file; {source.again()}",
            file=path,
        )
    magic, *shape = (int.from_bytes(head[at : at + 4], "big") for at in range(0, len(head), 4))
    if magic != MAGIC + axes:
        what = "images" if axes == IMAGE_AXES else "labels"
        raise InputError(
            f"begins with 0x{magic:08x}, but an IDX file of {what} with 0x{MAGIC + axes:08x}; "
            f"{source.again()}",
            file=path,
        )
    if shape[1:] and tuple(shape[1:]) != source.shape[1:]:
        raise InputError(
            f"holds images of {shape[1]} × {shape[2]} pixels, but those of {source.title} have "
            f"{source.shape[1]} × {source.shape[2]}; {source.again()}",
            file=path,
        )
    if shape[0] == 0:
        raise InputError(f"holds no samples; {source.again()}", file=path)
    return tuple(shape)


# ---------------------------------------------------------------- surveys


def _survey(kind: str) -> Survey:
    """Returns what of one of the two data sets is on this machine. All its files are read."""
    source = SOURCES[kind]

    def look(name: str, path: Path) -> tuple[bytearray, dict[str, int]]:
        content = contents(path, source)
        if name in (TRAIN_IMAGES, TEST_IMAGES):
            return content, counted(len(read_images(content, path, source)), source)
        return content, {"labels": len(read_labels(content, path, source))}

    return survey_images(kind, source, files_in, look, partial(_total, source=source))


def _total(holds: dict[str, dict[str, int]], paths: Files, source: ImageSource) -> tuple[int, int]:
    """Returns the number of training and test samples, 0 for those of a damaged file.

    Raises InputError where a file is missing, or one of images and its labels differ in number.
    """
    check_complete(paths, IDX_FILES, source)
    totals = []
    for images, labels in ((TRAIN_IMAGES, TRAIN_LABELS), (TEST_IMAGES, TEST_LABELS)):
        count, other = holds[images].get("images"), holds[labels].get("labels")
        if count and other:
            check_pair(count, other, paths[images], paths[labels])
        totals.append(count or 0)
    return totals[0], totals[1]
