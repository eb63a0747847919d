"""Reads the batches of CIFAR-10 and CIFAR-100: records of bytes, or pickles for Python.

Both hold the planes of red, green and blue of each image, row by row.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from engine.data import pickled_arrays
from engine.data.cifar import CifarSource, records_in
from engine.data.images import Labelled, check_labels
from engine.data.stored_files import contents
from engine.errors import InputError


def read(paths: list[Path], source: CifarSource, label: int) -> Labelled:
    """Returns the samples of these batches with one of their labels.

    Raises InputError for a damaged file.
    """
    held = [samples(contents(path, source), path, source, label) for path in paths]
    return Labelled(
        np.concatenate([batch.x for batch in held]), np.concatenate([batch.y for batch in held])
    )


def samples(content: bytearray, path: Path, source: CifarSource, label: int) -> Labelled:
    """Returns the samples of one batch. Raises InputError for a damaged or other file."""
    is_pickle = path.suffix not in (".bin", ".gz")
    found = (_of_pickle if is_pickle else _of_records)(content, path, source, label)
    check_labels(found.y, path, source, source.labels[label][1])
    return found


def _of_records(content: bytearray, path: Path, source: CifarSource, label: int) -> Labelled:
    """Returns the samples of records, each of labels and pixels."""
    count = records_in(len(content), path, source)
    held = np.frombuffer(content, np.uint8).reshape(count, source.record)
    pixels = held[:, len(source.labels) :].reshape(count, *source.shape)
    return Labelled(pixels, held[:, label].astype(np.int64))


def _of_pickle(content: bytearray, path: Path, source: CifarSource, label: int) -> Labelled:
    """Returns the samples of a dictionary of pixels and labels. No code in it is run."""
    name = source.labels[label][0]
    try:
        held = pickled_arrays.read(content)
        x, y = held["data"], np.asarray(held[name], np.int64)
        if not isinstance(x, np.ndarray) or x.dtype != np.uint8 or not len(x):
            raise ValueError("data is no array of bytes")
        if x.shape != (len(y), prod(source.shape)):
            raise ValueError(f"data is {x.shape} for {len(y)} labels")
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise InputError(
            f"is no batch of {source.title} ({type(error).__name__}: {error}); {source.again()}",
            file=path,
        ) from None
    return Labelled(x.reshape(len(x), *source.shape), y)
