"""The mirror, which compares the engine's measurements of a user's own code with plain torch.

The engine lends weights to one copy of a network, cuts samples into pieces, and replaces batch
normalization. A user who takes a model off the path does none of this (`plain_torch`). Where the
two find different losses, the engine has measured something else than the user's models. A hook may
hold the module that it was made with, forward may change what it computes with, or samples may see
each other. The mirror need not know which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from math import inf, isfinite

import numpy as np
import torch

from engine.errors import InputError
from engine.part import functions_in
from engine.problem.problem import TRAINING_LOSS, Problem
from engine.record.geometry import BeadString
from engine.run.plain_torch import FRESH_SEED, PlainTorch, PlainTorchError, users_code
from engine.run.suspects import suspects
from engine.shapes import Beads, PerBead, Weights
from engine.spec.level import LevelOn
from engine.spec.problem import ProblemSpec
from engine.workers.pool import cores

#: The difference of a loss from the engine's that is allowed: this share of it, or this much where
#: it is tiny. Float32 keeps seven digits. Sums in another order cost one or two, and cross-entropy
#: of confident outputs keeps about 1e-6.
RELATIVE, ABSOLUTE = 2e-5, 1e-6
#: Deep and normalized networks amplify rounding. So a loss may also be this many times as far off
#: as it moves when plain torch takes it in double precision, but by no more than this share of it.
ROUNDINGS, AT_MOST = 8, 1e-3
#: The number of samples whose class rounding may turn, where the objective is an error rate.
TURNED = 2.5
#: The largest number of beads of a string that are compared, and of segments, at one point each.
PLACES = 10
#: The number of training samples that are compared in one batch and in two, and the number up to
#: which that is done whatever memory they take.
TOGETHER, SURELY_TOGETHER = 1024, 64
#: The distance that the second random model is moved, so that weights that are zero at first count.
MOVED = 0.1

Values = Callable[[Beads, LevelOn], PerBead]
"""The engine's measurement of a metric on a split for some weight vectors."""
Task = Callable[[], "Comparison"]
"""A function that makes one comparison."""


# ---------------------------------------------------------------- reports


@dataclass(frozen=True)
class Comparison:
    """A number as the engine measured it, and as plain torch does."""

    what: str
    """The metric and the model, in words."""
    engine: float
    torch: float
    tolerance: float
    """The difference of the two that is allowed."""
    sources: tuple[str, str] = ("by the engine", "by plain torch")
    """The sources of the two, in words."""
    fault: str = "a fresh module does not do what was measured"
    """The fault where the two differ, in words."""

    @property
    def off(self) -> float:
        """The difference as a multiple of the tolerance; infinite where only one is finite."""
        if isfinite(self.engine) and isfinite(self.torch):
            return abs(self.engine - self.torch) / self.tolerance
        return 0.0 if isfinite(self.engine) == isfinite(self.torch) else inf

    @property
    def words(self) -> str:
        """Both numbers with their sources, in words."""
        first, second = self.sources
        return f"{self.what} is {self.engine:.6g} {first} and {self.torch:.6g} {second}"


@dataclass(frozen=True)
class Report:
    """The comparisons that the mirror made."""

    comparisons: tuple[Comparison, ...]
    failure: str = ""
    """The error that the user's own code raised; empty where it raised none."""
    advice: str = ""
    """The places to check where something differs, in words."""

    @property
    def agrees(self) -> bool:
        """Whether the engine measured what plain torch does, up to rounding."""
        return not self.failure and all(each.off <= 1 for each in self.comparisons)

    @property
    def words(self) -> str:
        """The worst difference, with both numbers, and the places to check; empty without one."""
        if self.agrees:
            return ""
        worst = max(self.comparisons, key=lambda each: each.off, default=None)
        if worst is None or worst.off <= 1:
            return f"it fails when it is measured ({self.failure}); look at {self.advice}"
        return f"{worst.fault}: {worst.words}; look at {self.advice}"


# ---------------------------------------------------------------- comparisons


def is_own(spec: ProblemSpec) -> bool:
    """Returns whether the network, the data or the loss is a user's own."""
    return any(functions_in(spec))


def refusal(spec: ProblemSpec, report: Report) -> InputError:
    """Returns the error of a report, at the first part of the problem that is a user's own."""
    named = [key for key in ("network", "data") if any(functions_in(getattr(spec, key)))]
    told = replace(report, advice=report.advice or suspects(spec))
    return InputError(told.words, key=f"problem.{(*named, 'loss')[0]}")


def of_random_models(spec: ProblemSpec, problem: Problem, values: Values, models: int) -> Report:
    """Compares two random models, before anything is trained.

    The engine measures `models` of them at once, two or more, as it will when it trains. A sample's
    loss must be the same in whatever batch it comes, or it has no loss of its own. That is not
    checked where batches are normalized by their own statistics.
    """
    theta = torch.stack([problem.initial(seed) for seed in range(models)])
    moved = torch.randn(theta[1:].shape, generator=torch.Generator().manual_seed(FRESH_SEED))
    theta[1:] += MOVED * moved.to(theta)
    names = ("random weights", "random weights, moved a little,")

    def comparisons(user: PlainTorch) -> Iterator[Task]:
        for measure in dict.fromkeys([TRAINING_LOSS, problem.objective]):
            with users_code():
                found = values(theta, measure).tolist()
            for name, row, engine in zip(names, theta, found, strict=False):
                yield partial(_compared, user, row, measure, f"of {name}", engine)
        if not (problem.normalizes and problem.batch_norm.statistics == "batch"):
            yield partial(_in_two_batches, user, theta[1])

    return _report(spec, problem, comparisons)


def of_string(
    spec: ProblemSpec, problem: Problem, string: BeadString, *, own_data: bool = True
) -> Report:
    """Compares up to ten beads of a string, its ends among them, and as many segments at a point.

    `string` holds the objective as the engine measured it. Where `own_data` is false, the data are
    not the factory's but those of the problem.
    """
    count = len(string.beads)
    point = len(string.t) // 2
    t = float(string.t[point])
    measure = problem.objective

    def weights(bead: int) -> Weights:
        return torch.from_numpy(string.beads[bead]).to(problem.device)

    def comparisons(user: PlainTorch) -> Iterator[Task]:
        for bead in _spread(count):
            where = f"of bead {bead + 1} of {count}"
            yield partial(
                _compared, user, weights(bead), measure, where, float(string.losses[bead])
            )
        for left in _spread(count - 1):
            between = torch.lerp(weights(left).double(), weights(left + 1).double(), t)
            where = f"at t = {t:.3g} between beads {left + 1} and {left + 2} of {count}"
            engine = float(string.profiles[left, point])
            yield partial(_compared, user, between, measure, where, engine)

    return _report(spec, problem, comparisons, own_data=own_data)


def _report(
    spec: ProblemSpec,
    problem: Problem,
    comparisons: Callable[[PlainTorch], Iterator[Task]],
    *,
    own_data: bool = True,
) -> Report:
    """Returns the comparisons up to the first that plain torch cannot take.

    As in the engine, each is taken in one thread of its own, several at a time on the CPU.
    """
    taken: list[Comparison] = []
    failure = ""
    threads = cores() if problem.device.type == "cpu" else 1
    with ThreadPoolExecutor(threads, "mirror", torch.set_num_threads, (1,)) as pool:
        try:
            user = pool.submit(PlainTorch, spec, problem, own_data=own_data).result()
            tasks = pool.submit(lambda: list(comparisons(user))).result()
            taken.extend(pool.map(lambda task: task(), tasks))
        except PlainTorchError as error:
            failure = str(error)
    found = Report(tuple(taken), failure)
    return found if found.agrees else replace(found, advice=suspects(spec))


def _compared(
    user: PlainTorch, theta: Weights, measure: LevelOn, where: str, engine: float
) -> Comparison:
    """Returns the comparison of one model (param,), for which the engine found `engine`."""
    found = user.value(theta, measure)
    size = max(abs(engine), abs(found))
    tolerance = max(ABSOLUTE, RELATIVE * size)
    if measure.metric == "error_rate":
        tolerance = max(tolerance, TURNED / user.samples(measure.split))
    if not abs(engine - found) <= tolerance:
        rounding = ROUNDINGS * user.rounding(theta, measure)
        tolerance = max(tolerance, min(rounding, AT_MOST * size))
    return Comparison(f"the {measure.words} {where}", engine, found, tolerance)


def _in_two_batches(user: PlainTorch, theta: Weights) -> Comparison:
    """Returns the worst comparison of a sample's loss in one batch with its loss in two.

    Losses are taken in double precision where the module runs in that, so that rounding hides
    nothing.
    """
    user = user.precise()
    samples = min(user.samples("train"), TOGETHER, max(SURELY_TOGETHER, user.fits))
    cut = samples // 3
    one = user.losses(theta, [slice(0, samples)])
    two = user.losses(theta, [slice(0, cut), slice(cut, samples)] if cut else [slice(0, samples)])
    worst = int((one - two).abs().argmax())
    what = f"with random weights the training loss of sample {worst + 1}"
    tolerance = max(ABSOLUTE, RELATIVE * float(one.abs().max()))
    found = Comparison(what, float(one[worst]), float(two[worst]), tolerance)
    return replace(found, sources=("in one batch", "in two"), fault="samples see each other")


def _spread(count: int) -> list[int]:
    """Returns up to PLACES evenly spread numbers from 0 to count − 1, both included."""
    places = np.linspace(0, count - 1, min(count, PLACES)).round()
    return [int(place) for place in places]
