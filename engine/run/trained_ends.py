"""Two models that many searches get as their ends: trained once, or a user's own.

A comparison of methods keeps those of each pair, and components all of their models, two by two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from engine.breaks import BrokenOff
from engine.errors import InputError
from engine.methods import build_method
from engine.methods.endpoints import EndpointTraining
from engine.problem import stored
from engine.problem.checkpoints.endpoints import Model
from engine.problem.problem import Problem
from engine.record import tensor_reading
from engine.record.compare_folder import EndsOfPair
from engine.record.costs import Costs
from engine.record.events import FIRST, LAST, dump_json
from engine.record.reading import Damaged, read_json
from engine.record.writing import made_folder, replace
from engine.run.ends import both_ends
from engine.run.tasks import Means
from engine.spec.keys import Spec
from engine.workers.pool import Workers


@dataclass(frozen=True)
class Trained:
    """Two models that were trained as the ends of a search, or why there are none."""

    models: tuple[Model, Model] | None
    sentence: str
    costs: Costs | None

    @property
    def told(self) -> EndsOfPair:
        """What a file tells of them."""
        known = self.costs
        return EndsOfPair(
            self.models is not None,
            self.sentence,
            None if known is None else known.sample_gradients,
            None if known is None else known.forward_samples,
        )


def trained(
    spec: Spec, pool: Workers, stopped: Callable[[], bool], *, keep_missed: bool = False
) -> Trained | None:
    """Returns the ends that a search of a resolved spec trains, or None once `stopped` is True.

    They are trained by the stage that begins each search with ends of its own. One that misses its
    target makes the pair one without ends; with `keep_missed` it stays as its last attempt left it,
    and the other one is trained to its own end.
    """
    method = build_method(spec, pool)
    stage = method.stages[0]
    assert isinstance(stage, EndpointTraining)
    while stage.beads_in_training and (keep_missed or stage.verdict is None):
        if stopped():
            return None
        try:
            stage.step(None)
        except BrokenOff:
            return None
    costs = method.chain.pool.costs
    missed = stage.verdict
    if missed is not None and not keep_missed:
        return Trained(None, missed.sentence, costs)
    problem, weights = method.chain.problem, method.chain.weights | stage.missed
    first, last = (Model(weights[end].cpu(), problem.fixed) for end in (FIRST, LAST))
    sentence = f"Trained with the seed {spec.seed}." if missed is None else missed.sentence
    return Trained((first, last), sentence, costs)


def given(names: Sequence[str], spec: Spec, problem: Problem) -> Trained:
    """Returns two models of a user's own, by what they are called on the command line.

    Raises InputError where a name fits no model, or a model not the network.
    """
    ends = both_ends(names[0], names[1])
    key, prefix = spec.endpoints.key, spec.endpoints.prefix
    first, last = (end.model(problem, key, prefix) for end in ends)
    return Trained((first, last), f"Given: {ends[0].words} and {ends[1].words}.", None)


@dataclass(frozen=True)
class TrainEnds:
    """The task to train two models, which stops without any where it is asked to."""

    spec: Spec
    """The resolved spec of a search that trains them."""
    models: tuple[str, ...]
    """The places of their files; where there is one alone, the second model is not kept."""
    told: str
    """The place of the file that tells of both."""
    keep_missed: bool = False
    """Whether a model that misses its target stays as its last attempt has left it."""

    @property
    def writes(self) -> tuple[str, ...]:
        """See `Task`."""
        return (*self.models, self.told)

    def reads(self, folder: Path) -> tuple[str, ...]:
        """See `Task`: nothing."""
        return ()

    def __call__(self, means: Means) -> None:
        """See `Task`. Raises InputError where a model that is kept has weights not finite."""
        found = trained(self.spec, means.pool, means.stopped, keep_missed=self.keep_missed)
        if found is None:
            return
        if not all(model.theta.isfinite().all() for model in found.models or ()):
            raise InputError(found.sentence, key="endpoints.optimizer")
        write(found, means.prepared.backend.problem, means.folder, self.writes)


def write(found: Trained, problem: Problem, folder: Path, places: Sequence[str]) -> None:
    """Writes the models to their places in a folder, and then what is told of them to the last one.

    Raises SaveError.
    """
    *files, told = (folder / place for place in places)
    for model, path in zip(found.models or (), files, strict=False):
        write_model(model, problem, path, folder)
    made_folder(told.parent, folder)
    replace(told, (dump_json(found.told) + "\n").encode())


def write_model(model: Model, problem: Problem, path: Path, within: Path) -> None:
    """Writes a model to its file in a folder. Raises SaveError."""
    made_folder(path.parent, within)
    stored.write(path, tensors(model, problem))


def check_whole(models: Iterable[str], told: str, folder: Path) -> None:
    """Raises InputError where a model in a folder is not what was written to its file.

    `told` is the place of the file that tells that the models are there, without which they are
    made again.
    """
    for path in (folder / model for model in models):
        try:
            tensor_reading.check(path)
        except Damaged as damaged:
            raise InputError(
                f"{damaged.why}; delete {folder / told}, so that the model is made again", file=path
            ) from None


def read_told(path: Path) -> EndsOfPair | None:
    """Returns what a file tells of two models, or None before it was written. Raises Damaged."""
    return read_json(EndsOfPair, path)


def tensors(model: Model, problem: Problem) -> dict[str, Tensor]:
    """Returns the tensors of a model by their names in the network."""
    named = {name: each[0] for name, each in problem.named(model.theta[None]).items()}
    every = {**model.fixed, **named}
    return {name: each.detach().cpu().contiguous().clone() for name, each in every.items()}
