"""Quantities along a path: the library's `engine.measure_along`, and `dss-tui measure --what`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike

from engine.errors import InputError
from engine.problem.problem import TRAINING_LOSS, Problem
from engine.quantities import QUANTITIES, quantity
from engine.quantities.base import Each, Kind, Measurement
from engine.quantities.models import OneByOne
from engine.quantities.path import Path, path_of
from engine.record.geometry import BeadString
from engine.record.quantity import Quantity
from engine.record.string_file import StringFile
from engine.run import mirror
from engine.run.loss_plane import bead_ids
from engine.run.measure import subject
from engine.run.telling import BETWEEN, Telling
from engine.run.verify import devices_of, dtype_for
from engine.shapes import Weights
from engine.spec.keys import Spec
from engine.spec.problem import ProblemSpec
from engine.told import Told, untold
from engine.workers.pool import Pool

#: The word for all quantities that the network allows.
ALL = "all"


@dataclass(frozen=True)
class Along:
    """What was measured along a path."""

    quantities: dict[str, Quantity]
    """The quantities by name, in the order in which they were measured."""
    left_out: dict[str, str]
    """The quantities that the network does not allow, each with a clause that says why."""


def measure_along(
    path: StringFile | ArrayLike,
    what: str | Iterable[str] = ALL,
    spec: Spec | None = None,
    *,
    between: int = 0,
    seed: int = 0,
    run_factories: bool = False,
    told: Told = untold,
) -> Along:
    """Measures quantities along a path of weight vectors, as `dss-tui measure --what` does.

    They are measured at every bead, over all samples of both splits, in float64 (in float32 where
    that would take very long). Each model has statistics of batch normalization of its own
    (`problem.batch_norm`). `docs/along.md` says what each number is.

    Args:
        path: A string, as `read_string` and `Search.string` return it; or (bead, param) weights,
            two or more, each the parameters of the network in its order, flattened row-major.
        what: The names of quantities, which `engine.quantities.QUANTITIES` lists, one or several;
            or all, for those that the network allows.
        spec: The preset whose data, network and loss are measured. It may be left out for a string,
            which names them itself.
        between: The number of evenly spaced points between two beads at which quantities are
            measured too; an ensemble consists of beads alone.
        seed: The seed of the random vectors of the trace, and of the samples that represent.
        run_factories: Whether functions of a user's own, which a string names, may be run. Those
            of a `spec` are run in any case.
        told: A function that is called with the share of the work that is done, from 0 to 1, every
            second or so where it takes long.

    Raises:
        InputError: A quantity does not exist, or the network does not allow one that is named; the
            path cannot be measured, as `measure` says; or plain torch finds other losses for a
            user's own code.
    """
    asked = [what] if isinstance(what, str) else list(what)
    named = _named(asked)
    beads, problem, described = subject(path, spec, run_factories=run_factories)
    problem = problem.with_objective(TRAINING_LOSS, len(problem.train))
    string = path if isinstance(path, StringFile) else None
    ids = None if string is None else bead_ids(string)
    there = path_of(beads, ids, problem.parameter_count, between)
    kinds, left_out = _allowed(named, problem, refuse=asked != [ALL])
    own_data = spec is not None or string is None or string.data is None
    _check_mirrored(described, problem, there, own_data=own_data)
    found = _measured(kinds, problem, there, seed, told)
    time = 0.0 if string is None else string.header.elapsed_s
    return Along({each.name: replace(each, time=time) for each in found}, left_out)


def _named(asked: Sequence[str]) -> list[str]:
    """Returns the names of quantities in the order of `QUANTITIES`. Raises InputError."""
    names = list(QUANTITIES) if asked == [ALL] else asked
    for name in names:
        if name not in QUANTITIES:
            raise InputError(
                f"is {name!r}; choose from {', '.join(QUANTITIES)}, or {ALL} alone", key="what"
            )
    if not names:
        raise InputError(f"names no quantity; choose from {', '.join(QUANTITIES)}", key="what")
    return [name for name in QUANTITIES if name in names]


def _allowed(
    names: Sequence[str], problem: Problem, *, refuse: bool
) -> tuple[dict[str, Kind], dict[str, str]]:
    """Returns the quantities that a problem allows, and why it does not allow the others.

    Raises InputError for the first of the latter where they are to be refused.
    """
    kinds = {name: quantity(name) for name in names}
    reasons = {name: kind.refusal(problem) for name, kind in kinds.items()}
    left_out = {name: reason for name, reason in reasons.items() if reason is not None}
    if left_out and refuse:
        name, reason = next(iter(left_out.items()))
        raise InputError(f"{name} cannot be measured here: {reason}; leave it out", key="what")
    return {name: kind for name, kind in kinds.items() if name not in left_out}, left_out


def _check_mirrored(
    described: ProblemSpec, problem: Problem, path: Path, *, own_data: bool
) -> None:
    """Raises InputError where plain torch finds other losses for a user's own code.

    They are compared at both ends of the path, and half-way on the straight line between them.
    """
    if not mirror.is_own(described):
        return
    dtype = dtype_for(problem, 3)
    first, last = (path.weights(place) for place in (path.places[0], path.places[-1]))

    def loss(backend: OneByOne, theta: Weights) -> float:
        return backend.of_split(theta, "train")[0]

    with Pool(OneByOne(problem), devices_of("cpu")) as pool:
        models = [first, torch.lerp(first, last, 0.5), last]
        losses = np.array(pool.run(Each(loss, len(problem.train), dtype), models))
    grid = np.array([0.0, 0.5, 1.0])
    beads = torch.stack([first, last]).numpy()
    string = BeadString(beads, losses[[0, -1]], grid, losses[None])
    report = mirror.of_string(described, problem, string, own_data=own_data)
    if not report.agrees:
        raise mirror.refusal(described, report)


def _measured(
    kinds: dict[str, Kind], problem: Problem, path: Path, seed: int, told: Told
) -> Iterator[Quantity]:
    """Yields the quantities one after another."""
    samples = {name: kind.samples(path, problem) for name, kind in kinds.items()}
    per_part = BETWEEN / problem.cost.products
    with Pool(OneByOne(problem), devices_of("cpu")) as pool:
        telling = Telling(pool, sum(samples.values()), told, (Each,), per_part)
        for name, kind in kinds.items():
            dtype = dtype_for(problem, samples[name] // max(1, len(problem.train)))
            found = kind.measured(Measurement(path, telling, dtype, seed))
            yield Quantity(
                name=name,
                title=kind.title,
                time=0.0,
                precision="float64" if dtype is torch.float64 else "float32",
                beads=tuple(place.bead for place in path.places),
                arc=tuple(place.arc for place in path.places),
                series=found.series,
                table=found.table,
                notes=found.notes,
            )
