"""The one evaluator of a comparison: what a path is, measured on the string that a search left.

Nothing of the file is used but its weights and what it says that they are of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic

import numpy as np
import torch
from scipy.integrate import trapezoid

from engine.backends.backend import Backend
from engine.path.segments import Measured, measure, search_grid
from engine.record.compare_tables import Measurement
from engine.record.geometry import normalized_length, segment_lengths, turning_angles
from engine.record.string_file import StringFile
from engine.run.verify import dtype_for, measuring, on_cores, problem_of
from engine.spec.level import bound
from engine.workers.pool import Item, Result, Task, Workers

#: The parts into which each segment is cut, for any number of cores to share.
PARTS = 4


def evaluated(file: StringFile, points: int, cores: int | None = None) -> Measurement:
    """Returns the numbers of a string, on `points` places of each segment and at its peaks.

    So many `cores` of this machine measure it, all of them where it is None. Raises InputError
    where its data are missing or others than those of the run.
    """
    found, dtype = profiles(file, points, cores)
    beads = file.string.beads
    level, peak = file.header.level, max(segment.peak for segment in found)
    barrier, mean = over_arc(found, segment_lengths(beads))
    return Measurement(
        points=points,
        precision=str(dtype).removeprefix("torch."),
        level=level,
        holds=bool(peak <= bound(level, file.header.tolerance)),
        peak=peak,
        barrier=barrier,
        mean_loss=mean,
        normalized_length=normalized_length(beads),
        turning=float(np.degrees(turning_angles(beads)).sum()),
        beads=len(beads),
    )


def profiles(
    file: StringFile, points: int, cores: int | None = None
) -> tuple[list[Measured], torch.dtype]:
    """Returns the objective along each segment of a string, and the precision of that.

    So many `cores` of this machine measure it, all of them where it is None. Raises InputError
    where its data are missing or others than those of the run.
    """
    problem = problem_of(file, run_factories=True)
    pairs = list(pairwise(map(torch.from_numpy, file.string.beads)))
    samples, dtype = problem.objective_samples, dtype_for(problem, points * len(pairs))
    devices = None if cores is None else on_cores(cores)
    with measuring(file.header.problem, problem, devices) as pool:
        alone = OneByOne(pool)
        return measure(alone, pairs, search_grid(points), samples, dtype=dtype, cut=PARTS), dtype


@dataclass(frozen=True)
class OneByOne:
    """A pool whose workers compute each item by itself, so that any number of them finds the same.

    Products of matrices are rounded otherwise where more of them are computed in one call. Another
    kind of processor may still round otherwise.
    """

    pool: Workers

    @property
    def backend(self) -> Backend:
        """See `Workers`."""
        return self.pool.backend

    @property
    def devices(self) -> tuple[torch.device, ...]:
        """The first worker's device, as if it were alone: segments are cut alike for any number."""
        return self.pool.devices[:1]

    def run(self, task: Task[Item, Result], items: Sequence[Item]) -> list[Result]:
        """See `Workers`."""
        return self.pool.run(_Alone(task), items)


@dataclass(frozen=True)
class _Alone(Generic[Item, Result]):
    """A task that computes each of its items by itself."""

    task: Task[Item, Result]

    def size(self, item: Item) -> int:
        """See `Task`."""
        return self.task.size(item)

    def __call__(self, backend: Backend, items: Sequence[Item]) -> list[Result]:
        """See `Task`."""
        return [result for item in items for result in self.task(backend, [item])]


def over_arc(
    segments: list[Measured], lengths: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> tuple[float, float]:
    """Returns the barrier of a path and its mean loss, over arc length.

    The barrier is the greatest rise above the straight line between the values of the two ends, at
    points of the grid or at a refined peak (the rise over the interpolation of the ends, as linear
    mode connectivity has it, along the path instead of the line). `lengths` are those of the
    segments, (segment,).
    """
    first, last = segments[0].losses[0], segments[-1].losses[-1]
    whole, before, area, rise = float(lengths.sum()), 0.0, 0.0, 0.0
    for segment, length in zip(segments, lengths.tolist(), strict=True):
        at = np.append(segment.t, segment.t_star)
        share = (before + at * length) / whole if whole > 0 else at
        losses = np.append(segment.losses, segment.peak)
        rise = max(rise, float((losses - ((1 - share) * first + share * last)).max()))
        area += length * float(trapezoid(segment.losses, segment.t))
        before += length
    return rise, area / whole if whole > 0 else float(first)
