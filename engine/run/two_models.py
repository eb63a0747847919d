"""Two models that a user names, and the problem that they are models of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import torch

from engine.alignment.align import Aligned, align
from engine.alignment.stored import applied
from engine.backends.backend import Backend
from engine.errors import InputError
from engine.path.segments import Pair
from engine.problem.checkpoints.endpoints import with_state_of_both
from engine.problem.problem import TRAINING_LOSS, Problem, build_problem
from engine.run.choosing import backend_to_verify
from engine.run.ends import Bead, End
from engine.run.repair import RepairBackend
from engine.run.verify import problem_of
from engine.shapes import Weights
from engine.spec.keys import Spec
from engine.spec.level import LevelOn
from engine.spec.problem import ProblemSpec
from engine.spec.training import AlignedBy
from engine.told import Told, untold
from engine.workers.pool import Pool, cores

Relabel = Callable[[Weights, Weights, Problem], Aligned]
"""Takes two models (param,) of a problem, and returns the second one with its hidden units in the
first one's order, its function unchanged."""


@dataclass(frozen=True, eq=False)
class Described:
    """What models are of: data, network and loss."""

    spec: ProblemSpec
    """The keys of the data, the network and the loss."""
    problem: Problem
    """What they make, with the training loss as its objective."""
    own_data: bool = True
    """Whether the data are those that the keys name, and not those that a string holds."""

    def pool(self, on: LevelOn, *, repair: bool = False) -> Pool:
        """Returns a pool on every core that measures a metric over all samples of its split."""
        problem = self.problem.with_objective(on, len(self.problem.samples(on.split)))
        backend: Backend = backend_to_verify(self.spec, problem)
        if repair:
            backend = RepairBackend(problem)
        return Pool(backend, [torch.device("cpu")] * cores())


def described(
    spec: Spec | ProblemSpec | None, ends: tuple[End, End], *, run_factories: bool
) -> Described:
    """Returns what a preset describes, or the first string among two models where there is none.

    Raises InputError where neither is there, where data are missing, and where a string names
    functions that would have to be run and `run_factories` is false.
    """
    if isinstance(spec, Spec):
        own = spec.of_a_new_run().problem
        return Described(own, build_problem(own, path_parameters=spec.moving))
    if spec is not None:
        return Described(spec, build_problem(spec))
    for end in ends:
        if isinstance(end, Bead):
            problem = _problem_of(end, run_factories=run_factories)
            problem = replace(problem, objective=TRAINING_LOSS)
            return Described(end.held.header.problem, problem, own_data=end.held.data is None)
    raise InputError(
        "the two models do not say what they are of; give a preset, or network, data and loss"
    )


def _problem_of(end: Bead, *, run_factories: bool) -> Problem:
    """Returns the problem that the string of a bead describes. Raises InputError with its name."""
    try:
        return problem_of(end.held, run_factories=run_factories)
    except InputError as error:
        if error.file is not None:
            raise
        file, _, _ = end.words.rpartition("#")
        raise InputError(error.what, file=file, key=error.key) from None


@dataclass(frozen=True, eq=False)
class TwoModels:
    """Two models, and what they are of, with what does not move as they hold it."""

    of: Described
    pair: Pair
    """The weights (param,) of the first and of the second."""
    aligned: AlignedBy | None = None
    """What the second one's hidden units were matched by before; None for models as they are."""

    @property
    def problem(self) -> Problem:
        """The problem that they are models of."""
        return self.of.problem

    def relabelled(self, relabel: Relabel) -> TwoModels:
        """Returns both with the second one relabelled.

        Buffers that differ between the two are carried to where the second one lies then.
        """
        problem, found = self.problem, relabel(*self.pair, self.problem)
        if problem.carried is not None:
            problem = problem.with_carried(self.pair[0], found.theta, problem.carried.buffers)
        of = replace(self.of, problem=problem)
        return TwoModels(of, (self.pair[0], found.theta), found.by)


def two_models(
    of: Described, ends: tuple[End, End], key: str | None, prefix: str | None
) -> TwoModels:
    """Returns two models, and what they are of with what does not move as both hold it.

    Raises InputError where one does not fit the network, where they differ in what does not move,
    and where both are the same.
    """
    one, other = (end.model(of.problem, key, prefix) for end in ends)
    if torch.equal(one.theta.double(), other.theta.double()):
        raise InputError(
            f"is the same model as {ends[0].words}, so that nothing lies between them; give "
            "another",
            file=ends[1].words,
        )
    problem = with_state_of_both(of.problem, one, other, (ends[0].words, ends[1].words))
    return TwoModels(replace(of, problem=problem), (one.theta, other.theta))


def relabelling(
    by: AlignedBy | None, permutation: PathLike[str] | str | None, told: Told = untold
) -> Relabel | None:
    """Returns how the second model is relabelled: by a comparison, as a file says, or not at all.

    `told` is called with the share of that which is done. Raises InputError where both are asked
    for.
    """
    if by is not None and permutation is not None:
        raise InputError("takes an order that was found before; leave align out", key="permutation")
    if permutation is not None:
        return lambda first, second, problem: applied(problem, second, Path(permutation), told)
    if by is not None:
        return lambda first, second, problem: align(problem, first, second, by, told)
    return None
