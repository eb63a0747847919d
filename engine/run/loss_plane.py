"""The loss plane through three beads of a search or of a string file: `engine.measure_plane`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, nan

import torch

from engine.path import loss_plane
from engine.path.loss_plane import POINTS
from engine.record.loss_plane import LossPlane, Triple
from engine.record.string_file import StringFile
from engine.run.verify import dtype_for, measuring, problem_of
from engine.shapes import Weights
from engine.workers.pool import Workers


def plane_through(
    pool: Workers,
    beads: Triple,
    weights: Mapping[int, Weights],
    order: Sequence[int],
    *,
    level: tuple[float, float],
    elapsed_s: float,
) -> LossPlane:
    """Returns the objective of a pool's problem in the plane through three beads.

    Args:
        pool: The workers that compute it, in float64 (in float32 where that would take very long).
        beads: The ids of the beads a, b and c.
        weights: The weights of the beads that there are, by id, (param,) each.
        order: The ids of the beads of the string from end to end.
        level: The level and its tolerance.
        elapsed_s: Running time of the run in seconds.

    Raises:
        InputError: A bead does not exist, or the three span no plane.
    """
    problem = pool.backend.problem
    dtype = dtype_for(problem, POINTS**2)
    samples = problem.objective_samples
    found = loss_plane.measure_plane(pool, beads, weights, order, samples=samples, dtype=dtype)
    return LossPlane(
        beads=beads,
        level_on=problem.objective,
        level=level[0],
        tolerance=level[1],
        time=elapsed_s,
        precision="float64" if dtype is torch.float64 else "float32",
        x=tuple(found.x.tolist()),
        y=tuple(found.y.tolist()),
        losses=tuple(
            tuple(v if isfinite(v) else nan for v in row) for row in found.losses.tolist()
        ),
        corners=found.corners,
        string=found.string,
    )


def measure_plane(file: StringFile, beads: Triple, *, run_factories: bool = False) -> LossPlane:
    """Returns the objective in the plane through three beads of a string (Garipov et al. 2018).

    The objective is what the string's level is held against, over all samples. The grid has 21 × 21
    points, which leave a margin around the triangle, and all beads of the string are projected into
    the plane.

    Args:
        file: What `read_string` returns.
        beads: The ids of three beads a, b and c, as the file's header lists them in `bead_ids`. In
            a file without ids, beads are numbered from 1 along the string.
        run_factories: Whether functions of a user's own, which the file names, may be run.

    Raises:
        InputError: A bead does not exist, the three span no plane, or the string cannot be
            measured, as `verify` says.
    """
    ids = bead_ids(file)
    weights = dict(zip(ids, torch.from_numpy(file.string.beads), strict=True))
    for bead in beads:  # before the data are read
        loss_plane.found(bead, weights)
    problem = problem_of(file, run_factories=run_factories)
    header = file.header
    with measuring(header.problem, problem) as pool:
        return plane_through(
            pool,
            beads,
            weights,
            ids,
            level=(header.level, header.tolerance),
            elapsed_s=header.elapsed_s,
        )


def bead_ids(file: StringFile) -> tuple[int, ...]:
    """Returns the ids of a string's beads, or their places from 1 where the file has no ids."""
    ids, count = file.header.bead_ids, len(file.string.beads)
    whole = len(ids) == len(set(ids)) == count and min(ids) >= 0
    return ids if whole else tuple(range(1, count + 1))
