"""MNIST and Fashion-MNIST from their IDX files: a header of big-endian numbers, then bytes."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.data.base import Dataset
from engine.data.catalogue import (
    IDX_FILES,
    IMAGES,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    ImageSource,
)
from engine.data.images import (
    Files,
    Labelled,
    as_dataset,
    beginning,
    check_labels,
    contents,
    find_files,
)
from engine.errors import InputError
from engine.spec.keys import IdxData

#: Before the number of axes: two zeros, and 8 for unsigned bytes.
MAGIC = 0x0800
LABEL_AXES, IMAGE_AXES = 1, 3


def load_idx(spec: IdxData) -> Dataset:
    """Pixels (sample, 1, 28, 28). Raises InputError for files that are missing or damaged."""
    source, files = IMAGES[spec.kind], needed_files(spec)

    def pair(images: str, labels: str) -> Labelled:
        return read_pair(files[images], files[labels], source)

    test = None if spec.held_out is not None else pair(TEST_IMAGES, TEST_LABELS)
    return as_dataset(spec, pair(TRAIN_IMAGES, TRAIN_LABELS), test)


def stored(spec: IdxData) -> tuple[int, int | None]:
    """Training and test samples in the files, from their headers; None: no test set is asked for.

    Raises InputError for files that are missing, or whose headers are wrong.
    """
    source, files = IMAGES[spec.kind], needed_files(spec)

    def count(name: str) -> int:
        head = beginning(files[name], _header_size(IMAGE_AXES), source)
        return _shape(head, IMAGE_AXES, files[name], source)[0]

    return count(TRAIN_IMAGES), None if spec.held_out is not None else count(TEST_IMAGES)


def needed_files(spec: IdxData) -> Files:
    """Raises InputError where one is missing."""
    files = find_files(spec.kind, spec.path, files_in)
    needed = IDX_FILES if spec.held_out is None else (TRAIN_IMAGES, TRAIN_LABELS)
    check_complete(files, needed, IMAGES[spec.kind])
    return {name: files[name] for name in needed}


def check_complete(files: Files, needed: Iterable[str], source: ImageSource) -> None:
    """Raises InputError where one of the needed is missing."""
    for name in needed:
        if name not in files:
            folder = next(iter(files.values())).parent
            raise InputError(
                f"has no {name}, plain or .gz; download it from {source.mirror or source.address}",
                file=folder,
            )


def files_in(folder: Path) -> Files:
    """Those of the four that a folder holds, plain or .gz, also with a dot: train-images.idx3-…"""
    found: Files = {}
    for name in IDX_FILES:
        for spelled in (name, name.replace("-idx", ".idx")):
            for path in (folder / spelled, folder / f"{spelled}.gz"):
                if path.is_file():
                    found.setdefault(name, path)
    return found


def read_pair(images: Path, labels: Path, source: ImageSource) -> Labelled:
    """Raises InputError for files that are damaged or do not belong together."""
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
    """Pixels (sample, 1, 28, 28). Raises InputError."""
    pixels = _array(content, IMAGE_AXES, path, source)
    return pixels.reshape(len(pixels), *source.shape)


def read_labels(content: bytearray, path: Path, source: ImageSource) -> NDArray[np.int64]:
    """Class numbers (sample,). Raises InputError."""
    labels = _array(content, LABEL_AXES, path, source)
    check_labels(labels, path, source)
    return labels.astype(np.int64)


def _array(content: bytearray, axes: int, path: Path, source: ImageSource) -> NDArray[np.uint8]:
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
    return 4 + 4 * axes


def _shape(
    content: bytes | bytearray, axes: int, path: Path, source: ImageSource
) -> tuple[int, ...]:
    """From the header. Raises InputError for that of another file."""
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
