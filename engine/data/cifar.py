"""CIFAR-10 and CIFAR-100: their keys, and the files of their batches wherever they may lie.

Both are published in two forms, records of bytes and pickles for Python, each in a tar. All of them
are read as they were downloaded or unpacked.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Literal

from engine.data.images import (
    Images,
    ImageSource,
    Labelled,
    counted,
    find_files,
    survey_images,
)
from engine.data.stored_files import contents, faults_said, members, tar_of, uncompressed_size
from engine.data.survey import Files, Survey
from engine.errors import InputError


@dataclass(frozen=True)
class CifarSource(ImageSource):
    """One of the two published data sets."""

    labels: tuple[tuple[str, int], ...] = (("labels", 10),)
    """The label bytes of a record in order: the name in pickles, and the number of classes."""
    batches: str = r"data_batch_(?:\d+|[^.\d][^.]*)"
    """The names of training batches, as a regular expression."""
    test_batch: str = "test_batch"
    """The name of the test batch."""
    lacks: str = "data_batch_*.bin"
    """The files of training batches, in messages."""
    unpacked: tuple[str, ...] = ("cifar-10-batches-bin", "cifar-10-batches-py")
    """The folders that its tars hold."""
    tars: str = "cifar-10-*.tar*"
    """The names of its tars, as a pattern."""

    @property
    def record(self) -> int:
        """Bytes of a record: the labels, and the pixels of an image."""
        return len(self.labels) + prod(self.shape)


CIFAR10 = CifarSource(
    "CIFAR-10",
    (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"),
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    folders=("cifar10", "cifar-10-batches-bin", "cifar-10-batches-py", "."),
    shape=(3, 32, 32),
    train=50000,
)
CIFAR100 = CifarSource(
    "CIFAR-100",
    ("train.bin", "test.bin"),
    "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    folders=("cifar100", "cifar-100-binary", "cifar-100-python", "."),
    shape=(3, 32, 32),
    train=50000,
    classes=100,
    labels=(("coarse_labels", 20), ("fine_labels", 100)),
    batches="train",
    test_batch="test",
    lacks="train.bin",
    unpacked=("cifar-100-binary", "cifar-100-python"),
    tars="cifar-100-*.tar*",
)


class Cifar(Images):
    """The keys of both data sets, which are read from their batches."""

    @property
    @abstractmethod
    def source(self) -> CifarSource:
        """The published data set that the kind stands for."""

    @property
    def labels(self) -> int:
        """The place of the label that is read among those of a record."""
        return 0

    def files(self) -> list[Path]:
        """Returns the files of all batches, or the tar around them.

        Raises InputError where the batches are not there.
        """
        train, test = needed_files(self)
        needed = [*train, *([test] if test else [])]
        return list(dict.fromkeys(tar_of(path) or path for path in needed))

    def stored(self) -> tuple[int, int | None]:
        """Returns the number of training and test samples, from the sizes of the files.

        The second is None where no test set is asked for. Raises InputError where a file is
        missing, or of a size that no records have.
        """
        train, test = needed_files(self)
        count = partial(count_in, source=self.source)
        return sum(map(count, train)), None if test is None else count(test)

    def labelled(self) -> tuple[Labelled, Labelled | None]:
        """Returns all training and test samples, the second None where none are asked for.

        Raises InputError where a file is missing or damaged.
        """
        from engine.data.cifar_batches import read

        train, test = needed_files(self)
        source, label = self.source, self.labels
        return read(train, source, label), None if test is None else read([test], source, label)


class Cifar10Data(Cifar):
    """CIFAR-10, images (3, 32, 32), from its binary or Python batches, in whatever they lie."""

    kind: Literal["cifar10"]

    @property
    def source(self) -> CifarSource:
        """The published data set."""
        return CIFAR10

    @classmethod
    def surveys(cls) -> Mapping[str, Callable[[], Survey]]:
        """Returns, for CIFAR-10, a function that says what of it is on this machine."""
        return {"cifar10": partial(_survey, "cifar10", CIFAR10)}


class Cifar100Data(Cifar):
    """CIFAR-100, images (3, 32, 32), from its binary or Python batches, in whatever they lie."""

    kind: Literal["cifar100"]
    label: Literal["fine", "coarse"] = "fine"
    """The labels: the 100 classes, or the 20 that these are grouped into."""

    @property
    def source(self) -> CifarSource:
        """The published data set."""
        return CIFAR100

    @property
    def labels(self) -> int:
        """The place of the label that is read among those of a record."""
        return 1 if self.label == "fine" else 0

    @property
    def classes(self) -> int:
        """Number of classes."""
        return CIFAR100.labels[self.labels][1]

    @classmethod
    def surveys(cls) -> Mapping[str, Callable[[], Survey]]:
        """Returns, for CIFAR-100, a function that says what of it is on this machine."""
        return {"cifar100": partial(_survey, "cifar100", CIFAR100)}


# ---------------------------------------------------------------- files


def needed_files(spec: Cifar) -> tuple[list[Path], Path | None]:
    """Returns the training batches in order, and the test batch, or None where none is asked for.

    Raises InputError where one is missing.
    """
    source = spec.source
    files = find_files(source, spec.path, partial(files_in, source=source))
    check_complete(files, source, test=spec.held_out is None)
    return training(files, source), files[source.test_batch] if spec.held_out is None else None


def training(files: Files, source: CifarSource) -> list[Path]:
    """Returns the files of the training batches, in order."""
    return [path for name, path in files.items() if name != source.test_batch]


def check_complete(files: Files, source: CifarSource, *, test: bool) -> None:
    """Raises InputError where there is no training batch, or no test batch although needed."""
    lacking = [] if training(files, source) else [source.lacks]
    lacking += [f"{source.test_batch}*.bin"] if test and source.test_batch not in files else []
    if lacking:
        folder = next(iter(files.values())).parent
        raise InputError(
            f"has no {' and no '.join(lacking)}, plain or .gz; {source.where()}", file=folder
        )


def files_in(place: Path, source: CifarSource) -> Files:
    """Returns the file of each batch, by the batch's name, such as data_batch_1 or test_batch.

    `place` is a folder with batches, with a folder of them as it was unpacked, or with a tar; or a
    tar itself. Records are preferred to pickles. Raises InputError where two files with other names
    could be meant.
    """
    for folder in _folders(place, source):
        names = _names(folder)
        found = _records(folder, names, source) or _pickles(folder, names, source)
        if found:
            # Batch 10 comes after batch 2, and the test batch last.
            order = sorted(found, key=lambda name: (name == source.test_batch, len(name), name))
            return {name: found[name] for name in order}
    return {}


def _folders(place: Path, source: CifarSource) -> Iterator[Path]:
    """Yields the folders and tars that may hold the batches, the preferred one first."""
    if not place.is_file():
        yield place
        yield from (place / name for name in source.unpacked)
    tars = [place] if place.is_file() else sorted(place.glob(source.tars))
    for tar in tars:
        with faults_said(tar, source):
            folders = dict.fromkeys((tar / name).parent for name in members(tar))
        yield from folders


def _names(folder: Path) -> list[str]:
    """Returns the names of the files in a folder, or in a folder of a tar."""
    tar = folder if folder.is_file() else tar_of(folder)
    if tar is None:
        return sorted(path.name for path in folder.glob("*") if path.is_file())
    return sorted(Path(name).name for name in members(tar) if (tar / name).parent == folder)


def _records(folder: Path, names: list[str], source: CifarSource) -> Files:
    """Returns the batches of records, by the batch's name.

    A file may have a longer name, such as data_batch_1.first4000.bin. The official name is
    preferred to others, and a plain file to .gz. Raises InputError where two files with other names
    could be meant.
    """
    named = re.compile(rf"({source.test_batch}|{source.batches})(.*?)\.bin(\.gz)?")
    batches: dict[str, dict[str, Path]] = {}
    for name in names:  # x.bin comes before x.bin.gz
        if found := named.fullmatch(name):
            batches.setdefault(found[1], {}).setdefault(found[2], folder / name)
    for choices in batches.values():
        if "" not in choices and len(choices) > 1:
            several = " and ".join(path.name for path in choices.values())
            raise InputError(
                f"holds {several}, which may share samples; leave one of them there", file=folder
            )
    return {
        name: choices.get("") or next(iter(choices.values())) for name, choices in batches.items()
    }


def _pickles(folder: Path, names: list[str], source: CifarSource) -> Files:
    """Returns the batches that are pickles, by the batch's name."""
    named = re.compile(rf"{source.test_batch}|data_batch_\d+|train")
    ours = re.compile(rf"{source.test_batch}|{source.batches}")
    return {name: folder / name for name in names if named.fullmatch(name) and ours.fullmatch(name)}


def count_in(path: Path, source: CifarSource) -> int:
    """Returns how many samples a batch holds. Raises InputError where it is damaged."""
    if path.suffix not in (".bin", ".gz"):
        from engine.data.cifar_batches import read

        return len(read([path], source, 0))
    return records_in(uncompressed_size(path, source.record, source), path, source)


def records_in(size: int, path: Path, source: CifarSource) -> int:
    """Returns how many records so many bytes are. Raises InputError where they are not whole."""
    count, rest = divmod(size, source.record)
    if rest:
        raise InputError(
            f"holds {size} bytes, which is no multiple of the {source.record} of a record; "
            f"{source.again()}",
            file=path,
        )
    if not count:
        raise InputError(f"holds no records; {source.again()}", file=path)
    return count


# ---------------------------------------------------------------- surveys


def _survey(kind: str, source: CifarSource) -> Survey:
    """Returns what of one of the two is on this machine. All its files are read."""
    from engine.data.cifar_batches import samples

    def look(name: str, path: Path) -> tuple[bytearray, dict[str, int]]:
        content = contents(path, source)
        return content, counted(len(samples(content, path, source, 0)), source)

    def total(holds: dict[str, dict[str, int]], paths: Files) -> tuple[int, int]:
        check_complete(paths, source, test=True)
        count = {name: held.get("images", 0) for name, held in holds.items()}
        test = count.pop(source.test_batch)
        return sum(count.values()), test

    return survey_images(kind, source, partial(files_in, source=source), look, total)
