"""CIFAR-10 from its binary batches: records of a label and the planes of red, green and blue."""

from __future__ import annotations

import re
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.data.base import Dataset
from engine.data.catalogue import IMAGES
from engine.data.images import (
    Files,
    Labelled,
    as_dataset,
    check_labels,
    contents,
    find_files,
    uncompressed_size,
)
from engine.errors import InputError
from engine.spec.keys import Cifar10Data

SOURCE = IMAGES["cifar10"]
RECORD = 1 + prod(SOURCE.shape)
TEST = "test_batch"
#: The batch, what tells its file from the official one, and the ending.
NAME = re.compile(r"(test_batch|data_batch_(?:\d+|[^.\d][^.]*))(.*?)\.bin(\.gz)?")


def load_cifar10(spec: Cifar10Data) -> Dataset:
    """Pixels (sample, 3, 32, 32). Raises InputError for files that are missing or damaged."""
    train, test = needed_files(spec)
    return as_dataset(spec, _read(train), None if test is None else _read([test]))


def stored(spec: Cifar10Data) -> tuple[int, int | None]:
    """Training and test samples in the files, from their sizes; None: no test set is asked for.

    Raises InputError for files that are missing, or of a size that no records have.
    """
    train, test = needed_files(spec)

    def count(path: Path) -> int:
        return _records(uncompressed_size(path, RECORD, SOURCE), path)

    return sum(map(count, train)), None if test is None else count(test)


def needed_files(spec: Cifar10Data) -> tuple[list[Path], Path | None]:
    """The training batches in order, and that of the test. Raises InputError where none is."""
    files = find_files(spec.kind, spec.path, files_in)
    check_complete(files, test=spec.held_out is None)
    return training(files), files[TEST] if spec.held_out is None else None


def training(files: Files) -> list[Path]:
    return [path for name, path in files.items() if name != TEST]


def check_complete(files: Files, *, test: bool) -> None:
    """Raises InputError where there is no training batch, or no test batch although needed."""
    lacking = [] if training(files) else ["data_batch_*.bin"]
    lacking += [f"{TEST}*.bin"] if test and TEST not in files else []
    if lacking:
        folder = next(iter(files.values())).parent
        raise InputError(
            f"has no {' and no '.join(lacking)}, plain or .gz; {SOURCE.where()}", file=folder
        )


def files_in(folder: Path) -> Files:
    """A file for each batch: data_batch_1.bin, data_batch_1.first4000.bin, test_batch.bin, …

    The official name goes before others, and plain before .gz. Raises InputError where two others
    could be meant.
    """
    batches: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.glob("*_batch*.bin*")):  # x.bin comes before x.bin.gz
        if (named := NAME.fullmatch(path.name)) and path.is_file():
            batches.setdefault(named[1], {}).setdefault(named[2], path)
    found: Files = {}
    # Batch 10 comes after batch 2, and the test batch last.
    for name in sorted(batches, key=lambda name: (name == TEST, len(name), name)):
        choices = batches[name]
        if "" not in choices and len(choices) > 1:
            names = " and ".join(path.name for path in choices.values())
            raise InputError(
                f"holds {names}, which may share samples; leave one of them there", file=folder
            )
        found[name] = choices.get("") or next(iter(choices.values()))
    return found


def records(content: bytearray, path: Path) -> NDArray[np.uint8]:
    """Bytes (sample, 3073), a label first. Raises InputError for those of another file."""
    count = _records(len(content), path)
    held = np.frombuffer(content, np.uint8).reshape(count, RECORD)
    check_labels(held[:, 0], path, SOURCE)
    return held


def _records(size: int, path: Path) -> int:
    count, rest = divmod(size, RECORD)
    if rest:
        raise InputError(
            f"holds {size} bytes, which is no multiple of the {RECORD} of a record; "
            f"{SOURCE.again()}",
            file=path,
        )
    if not count:
        raise InputError(f"holds no records; {SOURCE.again()}", file=path)
    return count


def _read(paths: list[Path]) -> Labelled:
    held = [records(contents(path, SOURCE), path) for path in paths]
    x = np.concatenate([batch[:, 1:] for batch in held]).reshape(-1, *SOURCE.shape)
    return Labelled(x, np.concatenate([batch[:, 0] for batch in held]).astype(np.int64))
