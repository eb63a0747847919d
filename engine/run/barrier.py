"""The barrier between two models: loss and error along the straight line from one to the other.

Nothing is trained and no level is needed. The barrier is told as the literature defines it: the
peak less the mean of the two ends (Ainsworth et al. 2023, *Git Re-Basin*), and the highest rise
above the straight line between the ends' values (Frankle et al. 2020, *Linear Mode Connectivity*).
The peak itself is no barrier: it is high as well where the ends are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike

import numpy as np
import torch

from engine.path.segments import (
    GOLDEN_STEPS,
    REFINED,
    Along,
    Climb,
    above_chord,
    measure,
    search_grid,
)
from engine.record.geometry import BeadString
from engine.run import mirror
from engine.run.ends import Named, both_ends
from engine.run.line_proofs import with_proofs
from engine.run.lines import Line, OnSplit, measures_of, on_split
from engine.run.telling import BETWEEN, Telling
from engine.run.two_models import TwoModels, described, relabelling, two_models
from engine.run.verify import check_points, dtype_for
from engine.spec.keys import Spec
from engine.spec.level import LevelOn
from engine.spec.problem import ProblemSpec
from engine.spec.training import AlignedBy
from engine.told import StageTold, Told, untold_stage

#: Points of the straight line where nothing else is asked for.
POINTS = 33
#: Points beside those that are measured at most, to refine peaks and the rise above the chord.
CLIMBED = (REFINED + 1) * (2 + GOLDEN_STEPS)


@dataclass(frozen=True)
class Barrier:
    """What lies between two models on the straight line from the first to the second."""

    names: tuple[str, str]
    """What the two models are called."""
    t: tuple[float, ...]
    """The places along the line, from 0 to 1, (point,)."""
    train: OnSplit
    """The training samples."""
    held_out: OnSplit | None
    """The samples held out; None where there are none."""
    aligned: AlignedBy | None
    """What the second model's hidden units were matched by before; None for models as they are."""
    repaired: bool
    """Whether the models between the two are repaired, and so are not on the straight line."""
    distance: float
    """The Euclidean distance of the two models' weights."""
    precision: str
    """The precision of the measurement: float64, or float32 where that would take very long."""
    normalized_by: str
    """The statistics by which models were normalized, in words; empty without such layers."""
    remarks: tuple[str, ...]
    """What is to be said of the models besides, in clauses."""

    @property
    def lines(self) -> tuple[Line, ...]:
        """All that was measured, the training samples first."""
        return self.train.lines + (() if self.held_out is None else self.held_out.lines)


def barrier(
    first: Named,
    last: Named | None = None,
    spec: Spec | ProblemSpec | None = None,
    points: int = POINTS,
    *,
    repair: bool = False,
    align: AlignedBy | None = None,
    permutation: str | PathLike[str] | None = None,
    certify: bool = True,
    key: str | None = None,
    prefix: str | None = None,
    run_factories: bool = False,
    told: StageTold = untold_stage,
) -> Barrier:
    """Measures loss and error along the straight line between two models, as `dss-tui barrier`.

    Batch normalization gets statistics of its own at each point (`problem.batch_norm`).

    Args:
        first: A checkpoint's path, as `endpoints` of kind files accept it; a bead of a string file
            or a run, as STRING#first, STRING#last or STRING#17, by its id; weights (param,); or a
            whole string, whose two ends are measured where `last` is left out.
        last: The second model.
        spec: The preset, or its `problem` alone, whose data, network and loss are measured. It may
            be left out where one of the two is of a string, which names them itself.
        points: The number of points on the line, five or more; peaks are refined between them.
        repair: Whether each model between the two has the means and deviations of its hidden units
            set to those between the two models' (REPAIR, Jordan et al. 2022). Such a model is not
            on the straight line.
        align: What the second model's hidden units are matched by, to be brought into the first
            one's order before; its function stays the same (`engine.align`).
        permutation: A file of `dss-tui align` whose order they are brought into instead.
        certify: Whether it is proven what loss and error do not exceed on the line, where there is
            a proof; each takes some ten seconds at most.
        key: The key under which checkpoints hold the tensors, as `endpoints.key`.
        prefix: The text before the tensors' names in checkpoints, as `endpoints.prefix`.
        run_factories: Whether functions of a user's own, which a string names, may be run. Those
            of a `spec` are run in any case.
        told: A function that is called with what is being done, *aligned*, *measured* or *proven*,
            and the share of it that is done.

    Raises:
        InputError: A model cannot be read or does not fit the network; both are the same; data are
            missing, or `spec` is; or the network's hidden units cannot be found, to be aligned.
    """
    check_points(points)
    relabel = relabelling(align, permutation, partial(told, "aligned"))
    ends = both_ends(first, last)
    if isinstance(spec, Spec):
        key, prefix = key or spec.endpoints.key, prefix or spec.endpoints.prefix
    of = described(spec, ends, run_factories=run_factories)
    models = two_models(of, ends, key, prefix)
    if relabel is not None:
        models = models.relabelled(relabel)
    models = replace(models, pair=(models.pair[0].double(), models.pair[1].double()))
    problem, pair = models.problem, models.pair
    dtype = dtype_for(problem, points)
    lines = _measured(models, points, dtype, partial(told, "measured"), repair=repair)
    _check_mirrored(models, lines[0], repaired=repair)
    if repair:
        lines = [replace(line, unproven="repaired models are not on the line") for line in lines]
    elif certify:
        lines = with_proofs(models, lines, partial(told, "proven"))
    train = on_split(lines, "train")
    assert train is not None
    return Barrier(
        names=(ends[0].words, ends[1].words),
        t=tuple(search_grid(points).tolist()),
        train=train,
        held_out=on_split(lines, "held_out"),
        aligned=models.aligned,
        repaired=repair,
        distance=float(torch.linalg.vector_norm(pair[1] - pair[0])),
        precision=str(dtype).removeprefix("torch."),
        normalized_by=problem.normalized_by,
        remarks=problem.remarks,
    )


def _measured(
    models: TwoModels, points: int, dtype: torch.dtype, told: Told, *, repair: bool
) -> list[Line]:
    """Returns each metric on each split along the line between two models."""
    problem = models.problem
    measures = measures_of(problem)
    sizes = [len(problem.samples(on.split)) * (points + CLIMBED) for on in measures]
    found, before = [], 0
    for on, size in zip(measures, sizes, strict=True):
        share = partial(_within, told, before / sum(sizes), size / sum(sizes))
        found.append(_line(models, on, points, dtype, share, repair=repair))
        before += size
    return found


def _within(told: Told, before: float, part: float, share: float) -> None:
    """Tells the share of all that is done, by that of a `part` of it which comes after others."""
    told(before + part * share)


def _line(
    models: TwoModels, on: LevelOn, points: int, dtype: torch.dtype, told: Told, *, repair: bool
) -> Line:
    """Returns one metric along the line between two models."""
    samples = len(models.problem.samples(on.split))
    between = max(1.0, BETWEEN / models.problem.cost.products)
    with models.of.pool(on, repair=repair) as pool:
        size = samples * (points + CLIMBED)
        telling = Telling(pool, size, told, (Along, Climb), per_part=between)
        grid, cut = search_grid(points), math.ceil(points * samples / between)
        (found,) = measure(telling, [models.pair], grid, samples, dtype=dtype, cut=cut)
        rise = above_chord(telling, models.pair, found, samples, dtype=dtype)
    return Line(on, tuple(found.losses.tolist()), found.peak, found.t_star, rise)


def _check_mirrored(models: TwoModels, loss: Line, *, repaired: bool) -> None:
    """Raises InputError where plain torch finds other losses for a user's own code.

    They are compared at the two models and half-way, where the latter is on the line.
    """
    of = models.of
    if not mirror.is_own(of.spec):
        return
    places = [0, -1] if repaired else [0, len(loss.values) // 2, -1]
    grid = search_grid(len(loss.values))
    profile = np.array([loss.values[place] for place in places])
    beads = torch.stack(models.pair).numpy()
    string = BeadString(beads, np.array(loss.ends), grid[places], profile[None])
    report = mirror.of_string(of.spec, of.problem, string, own_data=of.own_data)
    if not report.agrees:
        raise mirror.refusal(of.spec, report)
