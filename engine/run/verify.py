"""Verifies a string file, of which nothing is trusted but the weights.

Data and network are made anew from the file's description. Every segment is measured from scratch
in float64, and the numbers in the file are compared with the measured ones.
"""

from __future__ import annotations

import glob
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product, zip_longest
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from engine.data import Dataset, fields, load_data
from engine.data.own_samples import class_count
from engine.errors import InputError
from engine.methods.given import with_state_of
from engine.path.segments import Along, Pair, along, measure, search_grid
from engine.problem.baseline import by_frequencies
from engine.problem.copies import Parameter
from engine.problem.problem import Problem, Split, build_problem
from engine.record.geometry import normalized_length, turning_angles
from engine.record.string_file import StringFile
from engine.run import mirror
from engine.run.choosing import backend_to_verify
from engine.run.mirror import Report
from engine.run.telling import BETWEEN, Telling
from engine.spec.keys import check_device
from engine.spec.level import LevelOn, bound
from engine.spec.problem import ProblemSpec
from engine.spec.trust import check_string
from engine.told import Told, untold
from engine.workers.devices import TWICE, float64_cost, resolved
from engine.workers.pool import Pool, Workers, cores

SPLITS = get_args(Split)

#: The difference that is allowed between losses in the file and measured ones, relative to the
#: largest of both and the level, where rounding takes no more.
TOLERANCE = {"float64": 1e-5, "float32": 1e-4}
#: How many times as far as torch's float32 is from float64 may another float32 be from it. Losses
#: far below 1 are small differences of outputs, so that rounding is a large share of them.
ROUNDINGS = 8

#: The default and the smallest number of points on each segment.
POINTS, FEWEST = 1001, 5
#: The number of points on each segment at which metrics other than the objective are measured.
COARSE = 5
#: The multiplications up to which a measurement is made in float64. Above, it is made in float32.
PRECISE = 10**12


@dataclass(frozen=True)
class Check:
    """What the check of a string file has measured."""

    level: float
    level_tolerance: float
    """A segment holds up to (1 + level_tolerance) × level."""
    level_on: LevelOn
    """The objective, which is held against the level."""
    beads: int
    """Number of beads."""
    points: int
    """Number of points on each segment, without the refinement of peaks."""
    peaks: tuple[float, ...]
    """The highest value of the objective on each segment."""
    t_stars: tuple[float, ...]
    """The place of each peak, from 0 at the segment's left bead to 1 at its right one."""
    normalized_length: float
    """The string's length divided by the distance of its ends."""
    turning_angle: tuple[float, float] | None
    """Mean and largest angle between consecutive segments, in degrees; None for two beads."""
    disagreement: float
    """The largest difference between the file's values and measured ones, relative as TOLERANCE."""
    tolerance: float
    """The disagreement that is allowed."""
    precision: str
    """The precision of the measurement: float64, or float32 where that would take very long."""
    by_frequencies: float | None
    """The objective of a model that knows only how often each class occurs, where there are any."""
    batch_norm: str
    """The statistics by which models were normalized, in words; empty without such layers."""
    along: tuple[tuple[LevelOn, float, float], ...]
    """The lowest and the highest value of each metric on each split."""
    remarks: tuple[str, ...] = ()
    """What is to be said of the models besides, in clauses."""
    mirror: Report | None = None
    """The results of plain torch, where the network, the data or the loss is a user's own."""
    along_points: int = COARSE
    """Number of points on each segment for the values of `along`."""

    @property
    def worst(self) -> int:
        """The number of the segment with the highest peak, from 0."""
        return int(np.argmax(self.peaks))

    @property
    def bound(self) -> float:
        """The highest value that a segment may have."""
        return bound(self.level, self.level_tolerance)

    @property
    def holds(self) -> bool:
        """Whether the path is below its level, and the file and plain torch agree with it."""
        return self.below_level and self.agrees and self.mirrored

    @property
    def below_level(self) -> bool:
        """Whether no segment's peak exceeds `bound`."""
        return max(self.peaks) <= self.bound

    @property
    def agrees(self) -> bool:
        """Whether the file's losses and profiles are those measured, up to `tolerance`."""
        return self.disagreement <= self.tolerance

    @property
    def mirrored(self) -> bool:
        """Whether plain torch finds what the engine does; True where it was not asked."""
        return self.mirror is None or self.mirror.agrees


def verify(
    file: StringFile,
    points: int = POINTS,
    *,
    run_factories: bool = False,
    device: str = "cpu",
    told: Told = untold,
) -> Check:
    """Measures a whole string from scratch, as `dss-tui verify` does.

    Data and network are made anew from the file's description, and nothing of the file is trusted
    but its weights.

    Args:
        file: What `read_string` returns.
        points: The number of points on each segment, five or more; peaks are refined between them.
        run_factories: Whether functions of a user's own, which the file names, may be run.
        device: What measures, as the key `device` of a preset names it: cpu, cuda for all GPUs, or
            a list such as cuda:0,cuda:1. With auto it is the GPUs where torch sees any.
        told: A function that is called with the share of the work that is done, from 0 to 1, every
            second or so where it takes long.

    Raises:
        InputError: The path cannot be measured: torch does not see that device, data are missing
            or others than those of the run, the file's parameters are not those of its network, or
            it names functions that would have to be run and `run_factories` is false.
    """
    check_points(points)
    check_level(file)
    devices = devices_of(device)
    problem = problem_of(file, run_factories=run_factories)
    pairs = list(pairwise(map(torch.from_numpy, file.string.beads)))
    samples = problem.objective_samples
    dtype = dtype_for(problem, points * len(pairs), devices[0])
    single = file.header.audit.get("precision", "float32") != "float64"
    again = single and dtype == torch.float64
    stated = len(file.string.t)
    with measuring(file.header.problem, problem, devices) as pool:
        each = samples * (points + stated * (2 if again else 1)) + _samples_of_ranges(problem)
        telling = counted(pool, problem, told, each * len(pairs))
        cut = math.ceil(points * samples / telling.per_part)
        grid = np.linspace(0.0, 1.0, points)
        measured = measure(telling, pairs, grid, samples, dtype=dtype, cut=cut)
        profiles = np.stack(along(telling, pairs, file.string.t, samples, dtype=dtype, cut=cut))
        rough = profiles
        if again:
            rough = np.stack(along(telling, pairs, file.string.t, samples, cut=cut))
        ranges = _ranges(telling, problem, pairs)
    losses = np.array([*profiles[:, 0], profiles[-1, -1]])
    level = file.header.level
    return Check(
        level=level,
        level_tolerance=file.header.tolerance,
        level_on=file.header.level_on,
        beads=len(file.string.beads),
        points=points,
        peaks=tuple(segment.peak for segment in measured),
        t_stars=tuple(segment.t_star for segment in measured),
        normalized_length=normalized_length(file.string.beads),
        turning_angle=_turning(file.string.beads),
        disagreement=max(
            _difference(file.string.losses, losses, level),
            _difference(file.string.profiles, profiles, level),
        ),
        tolerance=max(
            _tolerance(problem, level, single=single or dtype == torch.float32),
            ROUNDINGS * _difference(rough, profiles, level),
        ),
        precision=str(dtype).removeprefix("torch."),
        by_frequencies=by_frequencies(problem, problem.objective),
        batch_norm=problem.normalized_by,
        remarks=problem.remarks,
        along=ranges,
        mirror=mirrored(file, problem, losses, profiles),
    )


def mirrored(
    file: StringFile, problem: Problem, losses: NDArray[np.float64], profiles: NDArray[np.float64]
) -> Report | None:
    """Returns the results of plain torch, or None where nothing of the problem is a user's own."""
    if not mirror.is_own(file.header.problem):
        return None
    measured = replace(file.string, losses=losses, profiles=profiles)
    return mirror.of_string(file.header.problem, problem, measured, own_data=file.data is None)


def _tolerance(problem: Problem, level: float, *, single: bool) -> float:
    """Returns the disagreement that is allowed in float32, if `single`, or in float64.

    An error rate moves by whole samples, and rounding may turn one or two of them.
    """
    tolerance = TOLERANCE["float32" if single else "float64"]
    if problem.objective.metric == "error_rate":
        return max(tolerance, 2.5 / (problem.objective_samples * level))
    return tolerance


def check_level(file: StringFile) -> None:
    """Raises InputError where the search has not set a level yet to hold the path against."""
    if not np.isfinite(file.header.level):
        raise InputError(
            "has no level yet, since its search sets one once both ends are there; export it "
            "again then",
            key="dss.level",
        )


def check_points(points: int) -> None:
    """Raises InputError where that many points a segment are too few to see a peak."""
    if points < FEWEST:
        raise InputError(f"is {points}, but must be at least {FEWEST}", key="points")


def devices_of(name: str) -> list[torch.device]:
    """Returns the devices that a name stands for, as in `verify`; the CPU once for each core.

    Raises InputError for a name of no device, or one that torch does not see.
    """
    name = "cuda" if name == "auto" and torch.cuda.is_available() else name
    try:
        device = resolved(check_device(name))
    except ValueError as error:
        raise InputError(str(error), key="device") from None
    if device == "cpu":
        return on_cores(cores())
    return [torch.device(each) for each in device.split(",")]


def on_cores(number: int) -> list[torch.device]:
    """Returns the CPU so many times."""
    return [torch.device("cpu")] * number


def dtype_for(problem: Problem, points: int, device: torch.device | None = None) -> torch.dtype:
    """Returns float64, or float32 where so many losses would take very long in that on a device.

    None stands for the CPU.
    """
    products = points * problem.objective_samples * problem.cost.products
    slower = 1.0 if device is None else float64_cost(device) / TWICE
    return torch.float64 if slower * products <= PRECISE else torch.float32


def measuring(
    spec: ProblemSpec, problem: Problem, devices: Sequence[torch.device] | None = None
) -> Pool:
    """Returns a pool on devices, or every core, that measures a problem by torch's operations."""
    return Pool(backend_to_verify(spec, problem), devices or devices_of("cpu"))


def counted(pool: Pool, problem: Problem, told: Told, total: float) -> Telling:
    """Returns a pool that tells how many of a `total` of samples are measured along segments."""
    return Telling(pool, total, told, (Along,), per_part=BETWEEN / problem.cost.products)


def _ranges(
    pool: Workers, problem: Problem, pairs: Sequence[Pair]
) -> tuple[tuple[LevelOn, float, float], ...]:
    """Returns the lowest and the highest value along the string of each metric on each split."""
    found = []
    for measure_on in _looked_at(problem):
        samples = len(problem.samples(measure_on.split))
        profiles = np.stack(along(pool, pairs, search_grid(COARSE), samples, objective=measure_on))
        found.append((measure_on, float(profiles.min()), float(profiles.max())))
    return tuple(found)


def _samples_of_ranges(problem: Problem) -> int:
    """Returns the number of samples that `_ranges` computes for a segment."""
    return sum(COARSE * len(problem.samples(each.split)) for each in _looked_at(problem))


def _looked_at(problem: Problem) -> list[LevelOn]:
    """Returns each metric on each split that has samples."""
    metrics: list[Literal["loss", "error_rate"]] = ["loss"]
    if problem.classes is not None:
        metrics.append("error_rate")
    splits: list[Split] = [split for split in SPLITS if len(problem.samples(split))]
    return [LevelOn(metric=metric, split=split) for metric, split in product(metrics, splits)]


def problem_of(file: StringFile, *, run_factories: bool = False) -> Problem:
    """Returns the problem that a string file describes, on the data that it holds or names.

    Raises InputError as `verify` does.
    """
    check_string(file.header.problem, run_factories=run_factories)
    header = file.header
    _check_size(file)
    if file.data is None:
        data = load_data(header.problem.data)
        if header.data_sha256 and data.checksum() != header.data_sha256:
            raise InputError(
                "the training data found now are not those of the run; export the string with "
                "--with-data",
                key="dss.problem.data",
            )
    else:
        data = _carried(file, *file.data)
    problem = _described(file, data)
    told = tuple(Parameter(name, shape) for name, shape in header.parameters)
    for theirs, own in zip_longest(told, problem.parameters):
        if theirs != own:
            raise _foreign(_words(theirs), f"where the network described has {_words(own)}")
    if header.level_on.metric == "error_rate" and problem.classes is None:
        raise InputError(
            "is error_rate, but the network gives no scores of classes; the file was changed",
            key="dss.level_on.metric",
        )
    if not problem.objective_samples:
        raise InputError(
            "the level is held against held-out samples, which the file does not carry; leave the "
            "data where the run found them",
            key="dss.level_on",
        )
    return problem


def _check_size(file: StringFile) -> None:
    """Raises InputError where the network described is larger than the file, before it is built.

    A file holds all parameters of its network, those that move and those that do not.
    """
    described = file.header.problem.network.parameter_count
    held = file.string.beads.shape[1] + sum(array.size for array in file.fixed.values())
    carried = sum(array[0].size for array in file.carried.values())
    if described is not None and described > held + carried:
        raise InputError(
            f"the network described has {described} parameters, but the file holds "
            f"{held + carried}; export the string again from its run",
            key="dss.parameters",
        )


def _described(file: StringFile, data: Dataset) -> Problem:
    """Returns the problem of a file, whose parameters are those that move. Raises InputError."""
    header = file.header
    moving = [glob.escape(name) for name, _ in header.parameters]
    try:
        problem = build_problem(header.problem, data, header.level_on, moving)
    except InputError as error:
        if error.key != "path_parameters":
            raise
        built = build_problem(header.problem, data, header.level_on, ["*"])
        known = {parameter.name for parameter in built.parameters}
        name = next(name for name, _ in header.parameters if name not in known)
        raise _foreign(name, "which the network described does not have") from None
    return with_state_of(file, problem)


def _foreign(listed: str, why: str) -> InputError:
    """Returns the error for a parameter that a file lists though its network is another one."""
    return InputError(
        f"lists {listed}, {why}; export the string again from its run", key="dss.parameters"
    )


def _words(parameter: Parameter | None) -> str:
    """Returns the name and shape of a parameter in words."""
    return "none" if parameter is None else f"{parameter.name} {parameter.shape}"


def _carried(file: StringFile, x: NDArray[Any], y: NDArray[Any]) -> Dataset:
    """Returns the training data that a file carries. Nothing is held out."""
    x = fields.each(_compact, x)
    counted = y.dtype.kind in "iub"
    if not counted and file.header.level_on.metric == "error_rate":
        y, counted = y.argmax(1), True  # one-hot rows, as mse and l1 see classes
    y = y if counted else y.astype(np.float32, copy=False)
    classes = class_count(y) if counted else None
    gives = file.header.problem.network.gives
    if classes is not None and gives is not None:
        classes = gives.size
    return Dataset(x, y, x[:0], y[:0], classes)


def _compact(x: NDArray[Any]) -> NDArray[Any]:
    """Returns inputs as data sets hold them: whole numbers, masks, or values."""
    return x if x.dtype.kind in "iub" else x.astype(np.float32, copy=False)


def _turning(beads: NDArray[np.float32]) -> tuple[float, float] | None:
    """Returns mean and largest angle between segments in degrees, or None for two beads."""
    if len(beads) < 3:
        return None
    degrees = np.degrees(turning_angles(beads))
    return float(degrees.mean()), float(degrees.max())


def _difference(one: NDArray[np.float64], other: NDArray[np.float64], level: float) -> float:
    """Returns the largest difference of two arrays, relative to the larger value or the level."""
    scale = np.maximum(level, np.maximum(abs(one), abs(other)))
    return float((abs(one - other) / scale).max())
