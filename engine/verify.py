"""The check of a string file by somebody who trusts nothing in it but its weights.

Data and network are made anew from the file's description, every segment is measured from
scratch in float64, and the numbers in the file are held against what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from engine.bead_string import normalized_length, turning_angles
from engine.data import Dataset, load_data
from engine.errors import InputError
from engine.pool import Pool
from engine.problem import Parameter, Problem, build_problem
from engine.segments import measure
from engine.string_file import StringFile

#: How far losses in the file may be from those measured, relative to the larger of both and 1.
TOLERANCE = {"float64": 1e-5, "float32": 1e-4}


@dataclass(frozen=True)
class Check:
    """What was measured. Losses are means over all training samples."""

    level: float
    beads: int
    points: int
    """On each segment, refinement of the peaks not counted."""
    peaks: tuple[float, ...]
    """The highest loss on each segment."""
    t_stars: tuple[float, ...]
    normalized_length: float
    turning_angle: tuple[float, float] | None
    """Mean and largest angle between consecutive segments, in degrees; None for two beads."""
    disagreement: float
    """The largest difference between the file's losses and those measured, as for TOLERANCE."""
    tolerance: float
    bead_loss: tuple[float, float]
    """The lowest and the highest loss of a bead, in training data."""
    held_out_loss: tuple[float, float] | None
    accuracy: tuple[float, float] | None
    held_out_accuracy: tuple[float, float] | None

    @property
    def worst(self) -> int:
        """The segment with the highest peak."""
        return int(np.argmax(self.peaks))

    @property
    def below_level(self) -> bool:
        return max(self.peaks) <= self.level

    @property
    def agrees(self) -> bool:
        return self.disagreement <= self.tolerance


def verify(file: StringFile, points: int) -> Check:
    """Measures the whole string on that many points a segment. Raises InputError where it can't."""
    problem = _problem(file).to(dtype=torch.float64)
    beads = torch.from_numpy(file.string.beads).double()
    pairs = list(pairwise(beads))
    samples = len(problem.train)
    with Pool(problem, [torch.device("cpu")]) as pool:
        grid = np.linspace(0.0, 1.0, points)
        measured = measure(pool, pairs, grid, samples, dtype=torch.float64)
        again = measure(pool, pairs, file.string.t, samples, dtype=torch.float64)
    losses = problem.losses(beads)
    profiles = np.stack([segment.losses for segment in again])
    precision = str(file.header.audit.get("precision", "float32"))
    return Check(
        level=file.header.level,
        beads=len(beads),
        points=points,
        peaks=tuple(segment.peak for segment in measured),
        t_stars=tuple(segment.t_star for segment in measured),
        normalized_length=normalized_length(file.string.beads),
        turning_angle=_turning(file.string.beads),
        disagreement=max(
            _difference(file.string.losses, losses.numpy()),
            _difference(file.string.profiles, profiles),
        ),
        tolerance=TOLERANCE.get(precision, TOLERANCE["float32"]),
        bead_loss=_range(losses),
        held_out_loss=_range(problem.losses(beads, "held_out")) if len(problem.held_out) else None,
        accuracy=_accuracy(problem, beads, held_out=False),
        held_out_accuracy=_accuracy(problem, beads, held_out=True),
    )


def _problem(file: StringFile) -> Problem:
    header = file.header
    if file.data is None:
        data = load_data(header.problem.data)
        if header.data_sha256 and data.checksum() != header.data_sha256:
            raise InputError(
                "the training data found now are not those of the run; export the string with "
                "--with-data",
                key="dss.problem.data",
            )
    else:
        x, y = file.data
        x = x.reshape(len(x), -1).astype(np.float32)
        y = y.astype(np.int64 if y.dtype.kind in "iu" else np.float32)
        classes = header.problem.network.sizes[-1] if y.ndim == 1 else None
        data = Dataset(x, y, x[:0], y[:0], classes)
    problem = build_problem(header.problem, data)
    if problem.parameters != tuple(Parameter(name, shape) for name, shape in header.parameters):
        raise InputError(
            "the parameters listed are not those of the network described", key="dss.parameters"
        )
    return problem


def _turning(beads: NDArray[np.float32]) -> tuple[float, float] | None:
    if len(beads) < 3:
        return None
    degrees = np.degrees(turning_angles(beads))
    return float(degrees.mean()), float(degrees.max())


def _accuracy(problem: Problem, beads: torch.Tensor, held_out: bool) -> tuple[float, float] | None:
    if held_out and not len(problem.held_out):
        return None
    accuracies = problem.accuracies(beads, "held_out" if held_out else "train")
    return None if accuracies is None else _range(accuracies)


def _range(values: torch.Tensor) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _difference(file: NDArray[np.float64], measured: NDArray[np.float64]) -> float:
    scale = np.maximum(1.0, np.maximum(abs(file), abs(measured)))
    return float((abs(file - measured) / scale).max())
