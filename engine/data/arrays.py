"""A user's own samples in an .npz file. Nothing in the file is ever executed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from engine.data.base import Content, DataKeys, Dataset, Targets
from engine.data.files import locate
from engine.part import Fraction, PathName, SeedInt

NOTE = "note"
"""The name of the text in an archive that must be said of results."""


class ArraysData(DataKeys):
    """A user's .npz with x and y, and optionally x_test and y_test.

    It may also hold classes, the number of classes; mean and std, which are taken out of pixels
    channel by channel; and note, a sentence that must be said of results.
    """

    kind: Literal["arrays"]
    path: PathName
    """The .npz file. Large arrays that are not compressed are mapped from it."""
    inputs: Content | None = None
    """What x holds: values; pixels, which are bytes and are divided by 255; or tokens, which are
    whole numbers. Null takes all numbers for values, and flattens each sample."""
    targets: Targets | None = None
    """What y holds: the numbers of classes or tokens, or values. Null takes whole numbers, one for
    a sample, for classes, and flattens anything else."""
    held_out: Fraction = 0.2
    """The share of samples that is held out where the file has no x_test."""
    seed: SeedInt = 0
    """The seed by which the samples held out are drawn."""

    def read(self) -> Dataset:
        """Returns the data set of the file.

        Raises InputError for a file that is missing, is no .npz, or whose arrays do not fit.
        """
        from engine.data.array_samples import samples_of

        return samples_of(self)

    def files(self) -> list[Path]:
        """Returns the file, or nothing where it is missing."""
        found = locate(self.path)
        return [found] if found else []

    def caveat(self) -> str | None:
        """Returns the file's note, such as that it holds a subset, or None.

        Raises InputError where the file is damaged.
        """
        found = locate(self.path)
        if found is None:
            return None
        from engine.data import archives

        note = archives.read(found, NOTE).get(NOTE)
        return None if note is None or note.dtype.kind != "U" else str(note)
