"""The models of components: trained two by two or given, measured, and their distances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from engine.alignment.align import align
from engine.errors import InputError
from engine.path.segments import Along
from engine.problem.checkpoints.endpoints import Model, read_model, with_state_of_both
from engine.problem.problem import Problem
from engine.record.components_folder import ComponentsPlan, models_path
from engine.record.components_tables import ModelsTold, ModelTold
from engine.record.events import dump_json
from engine.record.reading import check_regular
from engine.record.writing import made_folder, replace
from engine.run import trained_ends
from engine.run.ends import End, all_ends
from engine.run.verify import dtype_for, measuring
from engine.spec.training import AlignedBy
from engine.workers.pool import Workers


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
        _write(plan.model_file(folder, number), model, problem)


def train_two(
    plan: ComponentsPlan, folder: Path, two: int, pool: Workers, stopped: Callable[[], bool]
) -> bool:
    """Trains models 2k and 2k + 1, for `two` = k, where they are not there; False once stopped.

    A model that misses its target stays as its last attempt has left it. Raises InputError where
    its weights are not finite then, and SaveError.
    """
    told = _told_of_two(plan, folder, two)
    if check_regular(told):
        return True
    found = trained_ends.trained(plan.training_spec(two), pool, stopped, keep_missed=True)
    if found is None:
        return False
    assert found.models is not None
    if not all(model.theta.isfinite().all() for model in found.models):
        raise InputError(found.sentence, key="endpoints.optimizer")
    for number, model in zip(_two(plan, two), found.models, strict=False):
        _write(plan.model_file(folder, number), model, pool.backend.problem)
    replace(told, (dump_json(found.told) + "\n").encode())
    return True


def tell(plan: ComponentsPlan, folder: Path, problem: Problem) -> ModelsTold:
    """Measures all models and their distances, writes that down, and returns it.

    Raises InputError where models are to be aligned and cannot be, and SaveError.
    """
    models = [_read(plan.model_file(folder, number), problem) for number in range(plan.models)]
    losses = [_loss(plan, model, problem) for model in models]
    names, sentences = _names(plan), _sentences(plan, folder)
    told = ModelsTold(
        tuple(
            ModelTold(name, seed, loss, sentence)
            for (name, seed), loss, sentence in zip(names, losses, sentences, strict=True)
        ),
        distances(models, problem, plan.spec.endpoints.align),
    )
    replace(models_path(folder), (dump_json(told) + "\n").encode())
    return told


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


def _loss(plan: ComponentsPlan, model: Model, problem: Problem) -> float:
    """Returns the objective at a model, as the evaluator of paths measures it."""
    own = problem.with_fixed(model.fixed)
    own = own.with_objective(problem.objective, len(problem.samples(problem.objective.split)))
    here = Along(own.objective_samples, dtype_for(own, 1))
    with measuring(plan.spec.problem, own) as pool:
        (losses,) = pool.run(here, [(model.theta, model.theta, np.zeros(1))])
    return float(losses[0])


def _write(path: Path, model: Model, problem: Problem) -> None:
    """Writes a model to its file. Raises SaveError."""
    made_folder(path.parent)
    replace(path, safetensors.torch.save(trained_ends.tensors(model, problem)))


def _read(path: Path, problem: Problem) -> Model:
    """Returns the model in a file. Raises InputError."""
    return read_model(str(path), None, problem)


def _two(plan: ComponentsPlan, two: int) -> range:
    """Returns the numbers of the models that are trained together; the last may be alone."""
    return range(2 * two, min(2 * two + 2, plan.models))


def _told_of_two(plan: ComponentsPlan, folder: Path, two: int) -> Path:
    """Returns the path of the file that tells of two models once both are trained."""
    return plan.model_file(folder, 2 * two).with_suffix(".json")


def _names(plan: ComponentsPlan) -> list[tuple[str, int | None]]:
    """Returns what each model is called, and the seed of its training."""
    if plan.given:
        return [(end.words, None) for end in all_ends(plan.given)]
    seeds = [plan.spec.seed + number // 2 for number in range(plan.models)]
    return [
        (f"endpoint {number % 2 + 1} of seed {seed}", seed) for number, seed in enumerate(seeds)
    ]


def _sentences(plan: ComponentsPlan, folder: Path) -> list[str]:
    """Returns how the training of each model has ended, empty for models of a user's own."""
    if plan.given:
        return [""] * plan.models
    told = [trained_ends.read_told(_told_of_two(plan, folder, n // 2)) for n in range(plan.models)]
    return ["" if each is None else each.sentence for each in told]
