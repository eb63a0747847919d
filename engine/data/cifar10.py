"""Reads CIFAR-10 from its binary batches: records of a label and the planes of red, green, blue."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.data.images import (
    Images,
    ImageSource,
    Labelled,
    check_labels,
    contents,
    counted,
    find_files,
    survey_images,
    uncompressed_size,
)
from engine.data.survey import Files, Survey
from engine.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SOURCE = ImageSource(
    "CIFAR-10",
    (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"),
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    folders=("cifar10", "cifar-10-batches-bin"),
    shape=(3, 32, 32),
    train=50000,
)
#: Bytes of a record: a label, and the pixels of an image.
RECORD = 1 + prod(SOURCE.shape)
TEST = "test_batch"
#: The batch, what tells its file from the official one, and the ending.
NAME = re.compile(r"(test_batch|data_batch_(?:\d+|[^.\d][^.]*))(.*?)\.bin(\.gz)?")


class Cifar10Data(Images):
    """CIFAR-10, images (3, 32, 32), from its binary batches, gzip or plain."""

    kind: Literal["cifar10"]

    @property
    def source(self) -> ImageSource:
        """The published data set that the kind stands for."""
        return SOURCE

    def files(self) -> list[Path]:
        """Returns the files of all batches. Raises InputError where the batches are not there."""
        train, test = needed_files(self)
        return [*train, *([test] if test else [])]

    def stored(self) -> tuple[int, int | None]:
        """Returns the number of training and test samples, from the sizes of the files.

        The second is None where no test set is asked for. Raises InputError where a file is
        missing, or of a size that no records have.
        """
        train, test = needed_files(self)

        def count(path: Path) -> int:
            return _records(uncompressed_size(path, RECORD, SOURCE), path)

        return sum(map(count, train)), None if test is None else count(test)

    def labelled(self) -> tuple[Labelled, Labelled | None]:
        """Returns all training and test samples, the second None where none are asked for.

        Raises InputError where a file is missing or damaged.
        """
        train, test = needed_files(self)
        return _read(train), None if test is None else _read([test])

    @classmethod
    def surveys(cls) -> Mapping[str, Callable[[], Survey]]:
        """Returns, for CIFAR-10, a function that says what of it is on this machine."""
        return {"cifar10": _survey}


def needed_files(spec: Cifar10Data) -> tuple[list[Path], Path | None]:
    """Returns the training batches in order, and the test batch, or None where none is asked for.

    Raises InputError where one is missing.
    """
    files = find_files(SOURCE, spec.path, files_in)
    check_complete(files, test=spec.held_out is None)
    return training(files), files[TEST] if spec.held_out is None else None


def training(files: Files) -> list[Path]:
    """Returns the files of the training batches, in order."""
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
    """Returns the file of each batch, by the batch's name, such as data_batch_1 or test_batch.

    A file may have a longer name, such as data_batch_1.first4000.bin. The official name is
    preferred to others, and a plain file to .gz. Raises InputError where two files with other names
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
    """Returns bytes (sample, 3073), a label first. Raises InputError for those of another file."""
    import numpy as np

    count = _records(len(content), path)
    held = np.frombuffer(content, np.uint8).reshape(count, RECORD)
    check_labels(held[:, 0], path, SOURCE)
    return held


def _records(size: int, path: Path) -> int:
    """Returns how many records so many bytes are. Raises InputError where they are not whole."""
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
    """Returns the samples of these batches. Raises InputError for a damaged file."""
    import numpy as np

    held = [records(contents(path, SOURCE), path) for path in paths]
    x = np.concatenate([batch[:, 1:] for batch in held]).reshape(-1, *SOURCE.shape)
    return Labelled(x, np.concatenate([batch[:, 0] for batch in held]).astype(np.int64))


# ---------------------------------------------------------------- surveys


def _survey() -> Survey:
    """Returns what of CIFAR-10 is on this machine. All its files are read."""
    return survey_images("cifar10", SOURCE, files_in, _look, _total)


def _look(name: str, path: Path) -> tuple[bytearray, dict[str, int]]:
    """Returns a batch's content and what it holds. Raises InputError for a damaged file."""
    content = contents(path, SOURCE)
    return content, counted(len(records(content, path)), SOURCE)


def _total(holds: dict[str, dict[str, int]], paths: Files) -> tuple[int, int]:
    """Returns the number of training and test samples. Raises InputError for a missing file."""
    check_complete(paths, test=True)
    count = {name: held.get("images", 0) for name, held in holds.items()}
    test = count.pop(TEST)
    return sum(count.values()), test
