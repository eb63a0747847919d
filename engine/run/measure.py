"""The loss along straight lines between weight vectors: the library's `engine.measure`."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import ArrayLike

from engine.errors import InputError
from engine.methods.given import as_given
from engine.path import segments
from engine.path.segments import Measured, search_grid
from engine.problem.problem import Problem, build_problem
from engine.record.string_file import StringFile
from engine.run.verify import check_points, dtype_for, measuring, problem_of
from engine.shapes import Beads
from engine.spec.checks import check_level_on
from engine.spec.keys import Spec
from engine.spec.problem import ProblemSpec

#: Points on each segment where nothing else is asked for.
POINTS = 101


def measure(
    path: StringFile | ArrayLike,
    spec: Spec | None = None,
    points: int = POINTS,
    *,
    run_factories: bool = False,
) -> list[Measured]:
    """Returns the objective along each segment of a path of weight vectors, left to right.

    The objective is what a level is held against, the mean training loss F_e unless
    `search.level_on` says otherwise: γ(t) = F_e((1−t)·left + t·right). It is taken over all
    samples, in float64 (in float32 where that would take very long), and the highest peaks of each
    segment are refined between the points by golden-section search.

    Args:
        path: A string, as `read_string` and `Search.string` return it; or (bead, param) weights,
            two or more, each the parameters of the network in its order, flattened row-major.
        spec: The preset whose data, network, loss and `search.level_on` are measured. It may be
            left out for a string, which names them itself.
        points: The number of points on each segment, both ends included; five or more.
        run_factories: Whether functions of a user's own, which a string names, may be run. Those
            of a `spec` are run in any case.

    Returns:
        One profile for each segment: `t` and `losses`, (point,) each, the `peak`, and the place
        `t_star` where that is.

    Raises:
        InputError: The path cannot be measured: weights that are not (bead, param) finite numbers
            of this network, data that are missing, or too few points; or `spec` is missing.
    """
    check_points(points)
    weights, problem, described = subject(path, spec, run_factories=run_factories)
    pairs = list(pairwise(_beads(weights, problem)))
    dtype = dtype_for(problem, points * len(pairs))
    with measuring(described, problem) as pool:
        grid, samples = search_grid(points), problem.objective_samples
        return segments.measure(pool, pairs, grid, samples, dtype=dtype)


def subject(
    path: StringFile | ArrayLike, spec: Spec | None, *, run_factories: bool
) -> tuple[ArrayLike, Problem, ProblemSpec]:
    """Returns the weights of a path, the problem that they are measured with, and its keys.

    Raises InputError as `measure` does, but where the weights do not fit the problem.
    """
    if isinstance(path, StringFile):
        problem = problem_of(path, run_factories=run_factories) if spec is None else _of(spec)
        described = path.header.problem if spec is None else spec.problem
        return path.string.beads, problem, described
    if spec is None:
        raise InputError("weights alone do not say what they are of; give a preset", key="spec")
    return path, _of(spec), spec.problem


def _of(spec: Spec) -> Problem:
    """Returns the problem of a preset. Raises InputError where its parts do not fit."""
    problem = build_problem(
        spec.of_a_new_run().problem, objective=spec.search.level_on, path_parameters=spec.moving
    )
    check_level_on(spec, problem.classes, len(problem.held_out))
    return as_given(spec, problem) if problem.fixed else problem


def _beads(weights: ArrayLike, problem: Problem) -> Beads:
    """Returns weights as (bead, param) float64. Raises InputError where they are not."""
    found = np.asarray(weights)
    needed = problem.parameter_count
    if found.ndim != 2 or found.shape[1] != needed or len(found) < 2:
        raise InputError(
            f"the weights have shape {found.shape}; give (bead, {needed}), two beads or more"
        )
    if found.dtype.kind != "f" or not np.isfinite(found).all():
        raise InputError("the weights are not finite floating-point numbers")
    return torch.from_numpy(found.astype(np.float64))
