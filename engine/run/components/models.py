"""The models of components: trained two by two or given, measured, and their distances."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from engine.alignment.align import align
from engine.errors import InputError
from engine.path.segments import Along
from engine.problem.checkpoints.endpoints import Model, read_model, with_state_of_both
from engine.problem.problem import Problem
from engine.record.components_folder import MODELS_TOLD, ComponentsPlan
from engine.record.components_tables import ModelsTold, ModelTold
from engine.record.events import dump_json
from engine.record.reading import check_regular
from engine.record.writing import replace
from engine.run.ends import End, all_ends
from engine.run.tasks import Means
from engine.run.trained_ends import TrainEnds, check_whole, read_told, write_model
from engine.run.verify import dtype_for, measuring, on_cores
from engine.spec.keys import Spec
from engine.spec.problem import ProblemSpec
from engine.spec.training import AlignedBy


@dataclass(frozen=True)
class Given:
    """Models of a user's own, read."""

    ends: tuple[End, ...]
    models: tuple[Model, ...]


def given(plan: ComponentsPlan, problem: Problem) -> Given:
    """Returns the models that a plan names.

    Raises InputError where a name fits no model, a model not the network, where two are the same,
    and where two differ in what does not move along a path.
    """
    ends = all_ends(plan.given)
    endpoints = plan.spec.endpoints
    models = [end.model(problem, endpoints.key, endpoints.prefix) for end in ends]
    for (one, first), (other, second) in combinations(zip(ends, models, strict=True), 2):
        if torch.equal(first.theta.double(), second.theta.double()):
            raise InputError(
                f"is the same model as {one.words}, so that nothing lies between them; leave one "
                "out",
                file=other.words,
                key="--checkpoints",
            )
    for other, second in zip(ends[1:], models[1:], strict=True):
        with_state_of_both(problem, models[0], second, (ends[0].words, other.words))
    return Given(ends, tuple(models))


def write_given(plan: ComponentsPlan, folder: Path, found: Given, problem: Problem) -> None:
    """Writes models of a user's own to their files in a folder. Raises SaveError."""
    for number, model in enumerate(found.models):
        write_model(model, problem, folder / plan.model_place(number), folder)


def training(plan: ComponentsPlan, two: int) -> TrainEnds:
    """Returns the task to train models 2k and 2k + 1, for `two` = k; the last one may be alone."""
    models = range(2 * two, min(2 * two + 2, plan.models))
    places = tuple(map(plan.model_place, models))
    return TrainEnds(plan.training_spec(two), places, _told_of_two(plan, two), keep_missed=True)


def missing(plan: ComponentsPlan, folder: Path) -> tuple[int, ...]:
    """Returns each k of which models 2k and 2k + 1 are still to be trained."""
    twos = range(0 if plan.given else (plan.models + 1) // 2)
    return tuple(two for two in twos if not check_regular(folder / _told_of_two(plan, two)))


def check(plan: ComponentsPlan, folder: Path, models: Iterable[int]) -> None:
    """Raises InputError where a model, by its number, is not what was written to its file."""
    for model in sorted(models):
        told = MODELS_TOLD if plan.given else _told_of_two(plan, model // 2)
        check_whole((plan.model_place(model),), told, folder)


@dataclass(frozen=True)
class Tell:
    """The task to measure all models and their distances, and to write that down."""

    spec: Spec
    """The spec by which the first two models are, or would be, trained."""
    models: tuple[str, ...]
    """The places of the models."""
    names: tuple[tuple[str, int | None], ...]
    """What each model is called, and the seed of its training."""
    sentences: tuple[str, ...]
    """How the training of each model has ended."""
    align: AlignedBy | None

    @property
    def writes(self) -> tuple[str, ...]:
        """See `Task`."""
        return (MODELS_TOLD,)

    def reads(self, folder: Path) -> tuple[str, ...]:
        """See `Task`."""
        return self.models

    def __call__(self, means: Means) -> None:
        """See `Task`. Raises InputError where models are to be aligned and cannot be."""
        problem = means.prepared.backend.problem
        models = [read_model(str(means.folder / each), None, problem) for each in self.models]
        losses = [_loss(self.spec.problem, model, problem, means.cores) for model in models]
        told = ModelsTold(
            tuple(
                ModelTold(name, seed, loss, sentence)
                for (name, seed), loss, sentence in zip(
                    self.names, losses, self.sentences, strict=True
                )
            ),
            distances(models, problem, self.align),
        )
        replace(means.folder / MODELS_TOLD, (dump_json(told) + "\n").encode())


def telling(plan: ComponentsPlan, folder: Path) -> Tell:
    """Returns the task to measure models that are there. Raises InputError and Damaged."""
    places = tuple(map(plan.model_place, range(plan.models)))
    align = plan.spec.endpoints.align
    return Tell(plan.training_spec(0), places, _names(plan), _sentences(plan, folder), align)


def distances(
    models: Sequence[Model], problem: Problem, by: AlignedBy | None
) -> tuple[tuple[float, ...], ...]:
    """Returns the distance of each two models, (model, model), in float64.

    Where they are aligned, the second of two is brought into the order of the first, which is the
    one with the smaller number. Raises InputError as `align` does.
    """
    found = [[0.0] * len(models) for _ in models]
    for a, b in combinations(range(len(models)), 2):
        first, second = models[a].theta, models[b].theta
        if by is not None:
            second = align(problem, first, second, by).theta
        found[a][b] = found[b][a] = float(torch.dist(first.double(), second.double()))
    return tuple(map(tuple, found))


def _loss(spec: ProblemSpec, model: Model, problem: Problem, cores: int) -> float:
    """Returns the objective at a model, as the evaluator of paths measures it by so many cores."""
    own = problem.with_fixed(model.fixed)
    own = own.with_objective(problem.objective, len(problem.samples(problem.objective.split)))
    here = Along(own.objective_samples, dtype_for(own, 1))
    with measuring(spec, own, on_cores(cores)) as pool:
        (losses,) = pool.run(here, [(model.theta, model.theta, np.zeros(1))])
    return float(losses[0])


def _told_of_two(plan: ComponentsPlan, two: int) -> str:
    """Returns the place of the file that tells of two models once both are trained."""
    return str(PurePosixPath(plan.model_place(2 * two)).with_suffix(".json"))


def _names(plan: ComponentsPlan) -> tuple[tuple[str, int | None], ...]:
    """Returns what each model is called, and the seed of its training."""
    if plan.given:
        return tuple((end.words, None) for end in all_ends(plan.given))
    seeds = [plan.spec.seed + number // 2 for number in range(plan.models)]
    return tuple(
        (f"endpoint {number % 2 + 1} of seed {seed}", seed) for number, seed in enumerate(seeds)
    )


def _sentences(plan: ComponentsPlan, folder: Path) -> tuple[str, ...]:
    """Returns how the training of each model has ended, empty for models of a user's own."""
    if plan.given:
        return ("",) * plan.models
    files = (folder / _told_of_two(plan, number // 2) for number in range(plan.models))
    return tuple("" if each is None else each.sentence for each in map(read_told, files))
