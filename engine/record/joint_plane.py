"""Puts the strings of two runs into one plane, without reading either whole. No torch here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from engine.errors import InputError
from engine.record.arc import Place
from engine.record.geometry import principal
from engine.record.reading import Damaged, check_regular
from engine.record.rundir import RunDir
from engine.record.string_file import Header, header_of
from engine.record.tensor_reading import TensorFile, opened

#: The number of weights, of all beads together, that are read at a time.
PIECE = 2**21

#: The largest number of beads of both strings together. Their products take 8 bytes each squared.
LARGEST = 4000


class Unwanted(Exception):
    """Raised where nobody wants the result any more."""


@dataclass(frozen=True)
class JointPlane:
    """Two strings in the plane of the first two principal components of all their beads."""

    strings: tuple[tuple[Place, ...], tuple[Place, ...]]
    """The place of each bead of each string, in the units of the weights."""
    shares: tuple[float, float]
    """The shares of the beads' variance that the two components hold."""


def joint_plane(runs: tuple[RunDir, RunDir], wanted: Callable[[], bool]) -> JointPlane:
    """Returns the strings of two runs in one plane, by principal components of all beads together.

    The products of beads are added up over pieces of their weights, so that only a few MiB of the
    files are held at a time. The first bead of the first string is left of its last one.

    Args:
        runs: The two runs, whose newest string files are read.
        wanted: Returns whether the result is still wanted; asked before each piece.

    Raises:
        InputError: A string file is missing or damaged, the parameters of the two do not agree in
            names and shapes, or there are too many beads.
        Unwanted: `wanted` returned false.
    """
    with ExitStack() as stack:
        first, second = (stack.enter_context(_opened(run)) for run in runs)
        if first.header.parameters != second.header.parameters:
            raise InputError("the two networks have different parameters, so no plane holds both")
        count = first.beads + second.beads
        if count > LARGEST:
            raise InputError(f"the strings have {count} beads together; at most {LARGEST} fit")
        products = np.zeros((count, count))
        width = max(1, PIECE // count)
        for start in range(0, first.parameters, width):
            if not wanted():
                raise Unwanted
            stop = min(start + width, first.parameters)
            pieces = (each.piece(start, stop) for each in (first, second))
            weights = np.concatenate(list(pieces)).astype(np.float64)
            weights -= weights.mean(axis=0)
            products += weights @ weights.T
    # Only the two largest values and their vectors are computed.
    values, vectors = scipy.linalg.eigh(products, subset_by_index=[count - 2, count - 1])
    total = float(np.trace(products))
    found, (one, other) = principal(values, vectors, total, last=first.beads - 1, axes=2)
    places = tuple((x, y) for x, y in found.tolist())
    return JointPlane((places[: first.beads], places[first.beads :]), (float(one), float(other)))


@dataclass(frozen=True)
class _Opened:
    """An open string file, of which pieces can be read."""

    run: RunDir
    header: Header
    beads: int
    parameters: int
    file: TensorFile
    """The file, whose tensor `beads` (bead, param) holds the weights."""

    def piece(self, start: int, stop: int) -> NDArray[np.float32]:
        """Returns the weights from `start` up to `stop` of all beads, (bead, param).

        Raises InputError where one is not finite, or the file is cut.
        """
        try:
            piece: NDArray[np.float32] = self.file.columns("beads", start, stop)
        except Damaged as damaged:
            raise _broken(damaged) from None
        if not np.isfinite(piece).all():
            raise InputError("beads holds values that are not finite numbers", file=self.run.string)
        return piece


@contextmanager
def _opened(run: RunDir) -> Iterator[_Opened]:
    """Opens the newest string file of a run. Raises InputError where there is none that fits."""
    path = run.string
    if not check_regular(path):
        raise InputError("has no string yet", file=run.name)
    try:
        with opened(path) as file:
            header = header_of(file.metadata.get("dss"), path)
            weights, count = file.entry("beads"), sum(prod(shape) for _, shape in header.parameters)
            table = len(weights.shape) == 2 and weights.shape[0] >= 2 and weights.shape[1] == count
            if not table or weights.dtype != np.float32:
                raise InputError("beads is no table of the beads' weights", file=path)
            yield _Opened(run, header, weights.shape[0], count, file)
    except Damaged as damaged:
        raise _broken(damaged) from None


def _broken(damaged: Damaged) -> InputError:
    """Returns the error for a string file that is not whole, from what its reader said."""
    return InputError(f"is not a whole string file ({damaged.why})", file=damaged.path)
