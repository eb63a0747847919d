"""The barrier between two models: loss and error along the straight line from one to the other.

Nothing is trained and no level is needed. The barrier is told as the literature defines it: the
peak less the mean of the two ends (Ainsworth et al. 2023, *Git Re-Basin*), and the highest rise
above the straight line between the ends' values (Frankle et al. 2020, *Linear Mode Connectivity*).
The peak itself is no barrier: it is high as well where the ends are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from os import PathLike
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch

from engine.alignment.align import Aligned
from engine.alignment.align import align as align_models
from engine.alignment.stored import applied
from engine.backends.backend import Backend
from engine.errors import InputError
from engine.path.certificate.proof import EFFORT
from engine.path.certificate.proving import PASSES, allowed, disagreement, provable_or_why
from engine.path.segments import Pair, above_chord, measure, search_grid
from engine.problem.checkpoints.endpoints import with_state_of_both
from engine.problem.problem import TRAINING_LOSS, Problem, Split, build_problem
from engine.record.geometry import BeadString
from engine.run import mirror
from engine.run.certify import lowest
from engine.run.choose_backend import backend_to_verify
from engine.run.ends import Bead, End, Named, both_ends
from engine.run.repair import RepairBackend
from engine.run.verify import check_points, dtype_for, problem_of
from engine.shapes import Weights
from engine.spec.keys import Spec
from engine.spec.level import LevelOn
from engine.spec.problem import ProblemSpec
from engine.spec.training import AlignedBy
from engine.workers.pool import Pool, cores

#: Points of the straight line where nothing else is asked for.
POINTS = 33
#: Multiplications that the proof of one peak may cost: some ten seconds on one core.
WORTH = 5e10
#: Cells below which a proof is not begun, because the peak would hardly be decided.
LEAST_EFFORT = 16

Relabel = Callable[[Weights, Weights, Problem], Aligned]
"""Takes two models (param,) of a problem, and returns the second one with its hidden units in the
first one's order, its function unchanged."""


@dataclass(frozen=True)
class Line:
    """One metric over one split along the straight line between two models."""

    measure: LevelOn
    """The metric and the split."""
    values: tuple[float, ...]
    """The metric at each t of the barrier, (point,); of an error the share of samples."""
    peak: float
    """The highest value found, also between the points; NaN where one is not finite."""
    t_peak: float
    """The place of the peak, from 0 at the first model to 1 at the second."""
    over_interpolation: float
    """max over t of γ(t) − (1 − t)·γ(0) − t·γ(1), at least 0 (linear mode connectivity)."""
    proven: float | None = None
    """What the metric is proven not to exceed for any t; None where nothing is proven."""

    @property
    def ends(self) -> tuple[float, float]:
        """The metric of the two models."""
        return self.values[0], self.values[-1]

    @property
    def over_mean(self) -> float:
        """The peak less the mean of the two ends (Git Re-Basin)."""
        return self.peak - sum(self.ends) / 2

    @property
    def proven_over_mean(self) -> float | None:
        """What the peak less the mean of the ends is proven not to exceed, if anything is."""
        return None if self.proven is None else self.proven - sum(self.ends) / 2


@dataclass(frozen=True)
class OnSplit:
    """What was measured over the samples of one split."""

    loss: Line
    error: Line | None
    """The share of samples, or tokens, whose class is missed; None where there are no classes."""

    @property
    def lines(self) -> tuple[Line, ...]:
        """All that was measured over the split."""
        return (self.loss,) if self.error is None else (self.loss, self.error)


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
    unproven: str
    """A clause that says why the peak of the training loss is not proven; empty where it is, or
    where that was not asked for."""

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
        certify: Whether the peak of the loss is proven where that takes some ten seconds at most.
        key: The key under which checkpoints hold the tensors, as `endpoints.key`.
        prefix: The text before the tensors' names in checkpoints, as `endpoints.prefix`.
        run_factories: Whether functions of a user's own, which a string names, may be run. Those
            of a `spec` are run in any case.

    Raises:
        InputError: A model cannot be read or does not fit the network; both are the same; data are
            missing, or `spec` is; or the network's hidden units cannot be found, to be aligned.
    """
    check_points(points)
    relabel = _relabelling(align, permutation)
    ends = both_ends(first, last)
    if isinstance(spec, Spec):
        key, prefix = key or spec.endpoints.key, prefix or spec.endpoints.prefix
    task, pair = _of_both(_task(spec, ends, run_factories=run_factories), ends, key, prefix)
    aligned = None
    if relabel is not None:
        task, pair, aligned = _relabelled(relabel, task, pair)
    pair = (pair[0].double(), pair[1].double())
    dtype = dtype_for(task.problem, points)
    lines = [_line(task, pair, on, points, dtype, repair=repair) for on in _measures(task.problem)]
    _check_mirrored(task, pair, lines[0], repaired=repair)
    unproven = "repaired models are not on the segment" if repair else ""
    if certify and not repair:
        lines, unproven = _with_proofs(task, pair, lines)
    train = _on_split(lines, "train")
    assert train is not None
    return Barrier(
        names=(ends[0].words, ends[1].words),
        t=tuple(search_grid(points).tolist()),
        train=train,
        held_out=_on_split(lines, "held_out"),
        aligned=aligned,
        repaired=repair,
        distance=float(torch.linalg.vector_norm(pair[1] - pair[0])),
        precision=str(dtype).removeprefix("torch."),
        normalized_by=task.problem.normalized_by,
        remarks=task.problem.remarks,
        unproven=unproven,
    )


# ---------------------------------------------------------------- what is measured


@dataclass(frozen=True)
class _Task:
    """What is to be measured of models."""

    described: ProblemSpec
    """The keys of the data, the network and the loss."""
    problem: Problem
    """What they make, with the training loss as its objective."""
    own_data: bool = True
    """Whether the data are those that the keys name, and not those that a string holds."""

    def backend(self, on: LevelOn, *, repair: bool = False) -> Backend:
        """Returns a backend of torch that measures a metric over all samples of its split."""
        problem = self.problem.with_objective(on, len(self.problem.samples(on.split)))
        return RepairBackend(problem) if repair else backend_to_verify(self.described, problem)


def _task(spec: Spec | ProblemSpec | None, ends: tuple[End, End], *, run_factories: bool) -> _Task:
    """Returns what is measured: that of a preset, or of the first string. Raises InputError."""
    if isinstance(spec, Spec):
        described = spec.of_a_new_run().problem
        return _Task(described, build_problem(described, path_parameters=spec.moving))
    if spec is not None:
        return _Task(spec, build_problem(spec))
    for end in ends:
        if isinstance(end, Bead):
            problem = problem_of(end.held, run_factories=run_factories)
            problem = replace(problem, objective=TRAINING_LOSS)
            return _Task(end.held.header.problem, problem, own_data=end.held.data is None)
    raise InputError(
        "the two models do not say what they are of; give a preset, or network, data and loss"
    )


def _of_both(
    task: _Task, ends: tuple[End, End], key: str | None, prefix: str | None
) -> tuple[_Task, Pair]:
    """Returns the two models, and the task with what does not move as they hold it.

    Raises InputError where one does not fit the network, or both are the same.
    """
    one, other = (end.model(task.problem, key, prefix) for end in ends)
    names = (ends[0].words, ends[1].words)
    if torch.equal(one.theta.double(), other.theta.double()):
        raise InputError(
            f"is the same model as {names[0]}, so that nothing lies between them; give another",
            file=names[1],
        )
    problem = with_state_of_both(task.problem, one, other, names)
    return replace(task, problem=problem), (one.theta, other.theta)


def _measures(problem: Problem) -> list[LevelOn]:
    """Returns what is measured: the loss, and the error where there are classes, on each split."""
    metrics: list[Literal["loss", "error_rate"]] = ["loss"]
    if problem.classes is not None:
        metrics.append("error_rate")
    splits: list[Split] = [split for split in get_args(Split) if len(problem.samples(split))]
    return [LevelOn(metric=metric, split=split) for split, metric in product(splits, metrics)]


def _on_split(lines: Sequence[Line], split: Split) -> OnSplit | None:
    """Returns what was measured over a split; None where nothing was."""
    by_metric = {line.measure.metric: line for line in lines if line.measure.split == split}
    if not by_metric:
        return None
    return OnSplit(by_metric["loss"], by_metric.get("error_rate"))


def _line(
    task: _Task, pair: Pair, on: LevelOn, points: int, dtype: torch.dtype, *, repair: bool
) -> Line:
    """Returns one metric along the line between two models."""
    with _pool(task.backend(on, repair=repair)) as pool:
        samples = len(task.problem.samples(on.split))
        (found,) = measure(pool, [pair], search_grid(points), samples, dtype=dtype)
        rise = above_chord(pool, pair, found, samples, dtype=dtype)
    return Line(on, tuple(found.losses.tolist()), found.peak, found.t_star, rise)


def _pool(backend: Backend) -> Pool:
    """Returns a pool on every core."""
    return Pool(backend, [torch.device("cpu")] * cores())


def _relabelling(by: AlignedBy | None, permutation: PathLike[str] | str | None) -> Relabel | None:
    """Returns how the second model is relabelled: by a comparison, as a file says, or not at all.

    Raises InputError where both are asked for.
    """
    if by is not None and permutation is not None:
        raise InputError("takes an order that was found before; leave align out", key="permutation")
    if permutation is not None:
        return lambda first, second, problem: applied(problem, second, Path(permutation))
    if by is not None:
        return lambda first, second, problem: align_models(problem, first, second, by)
    return None


def _relabelled(relabel: Relabel, task: _Task, pair: Pair) -> tuple[_Task, Pair, AlignedBy]:
    """Returns the task and two models, the second one relabelled, and what it was matched by.

    Buffers that differ between the two are carried to where the second one lies then.
    """
    problem, found = task.problem, relabel(*pair, task.problem)
    if problem.carried is not None:
        problem = problem.with_carried(pair[0], found.theta, problem.carried.buffers)
    return replace(task, problem=problem), (pair[0], found.theta), found.by


def _check_mirrored(task: _Task, pair: Pair, loss: Line, *, repaired: bool) -> None:
    """Raises InputError where plain torch finds other losses for a user's own code.

    They are compared at the two models and half-way, where the latter is on the line.
    """
    if not mirror.is_own(task.described):
        return
    places = [0, -1] if repaired else [0, len(loss.values) // 2, -1]
    grid = search_grid(len(loss.values))
    profile = np.array([loss.values[place] for place in places])
    string = BeadString(torch.stack(pair).numpy(), np.array(loss.ends), grid[places], profile[None])
    report = mirror.of_string(task.described, task.problem, string, own_data=task.own_data)
    if not report.agrees:
        raise mirror.refusal(task.described, report)


# ---------------------------------------------------------------- proofs


def _with_proofs(task: _Task, pair: Pair, lines: Sequence[Line]) -> tuple[list[Line], str]:
    """Returns the lines with the peaks of the loss proven as far as that is in proportion.

    The clause says why that of the training loss is not; it is empty where it is.
    """
    found = [_proven(task, pair, line) for line in lines]
    return [line for line, _ in found], found[0][1]


def _proven(task: _Task, pair: Pair, line: Line) -> tuple[Line, str]:
    """Returns a line with its peak proven, or as it is with a clause that says why not."""
    if line.measure.metric != "loss":
        return line, "an error moves by whole samples"
    backend = task.backend(line.measure)
    net = provable_or_why(backend.problem)
    if isinstance(net, str):
        return line, f"there is no proof for this network: {net}"
    effort = min(EFFORT, int(WORTH / (PASSES * len(net.samples) * backend.problem.cost.products)))
    if effort < LEAST_EFFORT:
        return line, "a proof would take too long"
    with _pool(backend) as pool:
        level, (timed,) = lowest(pool, net, list(pair), effort)
    if not timed.proof.proven:
        return line, f"it could not be decided in {timed.proof.bounds} cells"
    if disagreement(timed.proof, line.ends, level) > allowed(net, level):
        return line, "the formula that is proven has other values at the two models"
    return replace(line, proven=timed.proof.bound), ""
