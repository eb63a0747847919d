"""The backend of compiled code, for fully connected networks on the CPU.

Torch computes what has no compiled code, such as error rates, on the same problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from engine.backends.backend import Way
from engine.backends.fused.layout import Layout, Tie
from engine.backends.fused.problem import FusedProblem
from engine.backends.models import InPlace
from engine.backends.torch_backend import PIECE_BYTES
from engine.backends.vmapped import VmappedBackend
from engine.problem.problem import Problem, Split
from engine.shapes import Batches, Beads, Pairs, PerBead, Points, Rounds, Rows, Weights
from engine.spec.training import Training
from engine.steps.groups import Group
from engine.steps.judge import IMPROVEMENT
from engine.steps.recipe import Recipe
from engine.steps.rows import Rows as RowsInTraining
from engine.steps.rows import joined
from engine.steps.tethers import Hard, Several, Soft, Springs, Tether
from engine.steps.walks import Walks

#: The multiplications of a row in a round, which take some milliseconds.
ROUND_PRODUCTS = 2**25
#: The number of values to compute with from which on a second thread pays. Threads of compiled code
#: do not wait for the interpreter.
WORTH_A_THREAD = 500_000

#: The tethers that have compiled code.
COMPILED = (Hard, Soft, Springs)


class FusedBackend(VmappedBackend):
    """The backend that takes losses, gradients and whole rounds of training in compiled code."""

    name: Way = "fused"
    steps_at_once = True
    worth_a_thread = WORTH_A_THREAD
    takes_idle_threads = False

    def __init__(
        self,
        problem: Problem,
        layout: Layout,
        piece_bytes: int = PIECE_BYTES,
        networks: dict[torch.dtype, InPlace] | None = None,
        compiled: FusedProblem | None = None,
    ) -> None:
        """Makes the backend; see `TorchBackend`.

        `compiled` is the problem of another backend with the same samples, to share it.
        """
        super().__init__(problem, piece_bytes, networks)
        self.layout = layout
        self.compiled = compiled or _compiled(problem, layout)

    # ------------------------------------------------------------ variants

    def to(self, dtype: torch.dtype) -> FusedBackend:
        """Returns the backend in another precision, itself where nothing changes."""
        if dtype == self.problem.dtype:
            return self
        name = str(dtype).removeprefix("torch.")
        problem, compiled = self.problem.to(dtype=dtype), self.compiled.to(name)
        return FusedBackend(problem, self.layout, self.piece_bytes, self._networks, compiled)

    def on(self, problem: Problem) -> FusedBackend:
        """Returns the backend of another problem with the same network on the same device."""
        own = self.problem
        same = problem.train is own.train and problem.held_out is own.held_out
        compiled = self.compiled if same else None
        return FusedBackend(problem, self.layout, self.piece_bytes, self._networks, compiled)

    def replica(self, device: torch.device) -> FusedBackend:
        """Returns the backend for another thread, which shares the samples of compiled code."""
        problem = self.problem.to(device)
        return FusedBackend(problem, self.layout, self.piece_bytes, None, self.compiled)

    def within(self, piece_bytes: int) -> FusedBackend:
        """Returns the backend with calls of torch in pieces of at most so many bytes."""
        return FusedBackend(self.problem, self.layout, piece_bytes, self._networks, self.compiled)

    # ------------------------------------------------------------ measuring

    def losses(self, theta: Beads, split: Split = "train", bound: PerBead | None = None) -> PerBead:
        """Returns the mean loss of each weight vector over a split. `bound` is not used."""
        return torch.from_numpy(self.compiled.losses(theta, split))

    def interpolated_losses(self, left: Pairs, right: Pairs, rows: Rows, t: Points) -> Points:
        """Returns the objective at (1 − t[i])·left[rows[i]] + t[i]·right[rows[i]] for all i."""
        objective = self.problem.objective
        if objective.metric != "loss":
            return super().interpolated_losses(left, right, rows, t)
        return torch.from_numpy(self.compiled.interpolated(left, right, rows, t, objective.split))

    # ------------------------------------------------------------ training

    def loss_and_grad(self, theta: Beads) -> tuple[PerBead, Beads]:
        """Returns F_e of each weight vector and its gradient, on all training samples."""
        loss, grad = self.compiled.loss_and_grad(theta)
        return torch.from_numpy(loss), torch.from_numpy(grad)

    def loss_and_grad_on(self, theta: Beads, batches: Batches) -> tuple[PerBead, Beads]:
        """Returns the mean loss of each weight vector, and its gradient, on its own mini-batch."""
        loss, grad = self.compiled.loss_and_grad_on(theta, batches)
        return torch.from_numpy(loss), torch.from_numpy(grad)

    def paced(self, recipe: Recipe) -> Recipe:
        """Returns the recipe with longer rounds for rows that are untied.

        Rows whose steps see the objective take more steps, and rows that walk are judged more than
        once. They do not wait for each other, and the length of rounds changes no row.
        """
        training, problem = recipe.training, self.problem
        if recipe.evaluate == "after":
            return recipe
        samples = ROUND_PRODUCTS // (3 * problem.cost.products)
        if recipe.sees_objective(problem):
            longer = max(training.check_every, samples // len(problem.train))
            return replace(recipe, training=training.model_copy(update={"check_every": longer}))
        if recipe.walks and recipe.is_plain(problem):
            return replace(recipe, round_samples=samples)
        return recipe

    def advance(self, recipe: Recipe, groups: Sequence[Group]) -> list[Group]:
        """Returns the groups after one round, with torch where the recipe has no compiled code."""
        tie = _tie(recipe.tether)
        if tie is None or not recipe.is_plain(self.problem):
            return super().advance(recipe, groups)
        if recipe.evaluate == "after":
            return [self._string(recipe, group, tie) for group in groups]
        rows = joined([group.rows for group in groups])
        draw = recipe.places if recipe.walks else recipe.drawn
        batches: Rounds | Walks | None = draw(*self._taken(rows))
        decays = self._decaying(recipe.training)
        checks = recipe.checks(len(self.problem.train))
        self.compiled.advance(recipe.training, rows, IMPROVEMENT, batches, decays, checks)
        parts = rows.split([len(group) for group in groups])
        return [replace(group, rows=part) for group, part in zip(groups, parts, strict=True)]

    def _string(self, recipe: Recipe, group: Group, tie: Tie) -> Group:
        """Returns a string after one round, which is one compiled call."""
        rows = joined([group.rows])
        batches = recipe.drawn(*self._taken(rows))
        decays = self._decaying(recipe.training)
        self.compiled.advance_string(recipe.training, rows, IMPROVEMENT, tie, batches, decays)
        return replace(group, rows=rows)

    def _taken(self, rows: RowsInTraining) -> tuple[tuple[int, ...], list[int], int]:
        """Returns what the samples of steps follow from: seeds, steps taken, number of samples."""
        return rows.seeds, rows.steps.tolist(), len(self.problem.train)

    def _decaying(self, training: Training) -> Weights | None:
        """Returns (param,) 1 for each weight that decays and 0 for the others; None: all decay."""
        return self.problem.decaying(training.optimizer.decay_exempt)


def _compiled(problem: Problem, layout: Layout) -> FusedProblem:
    """Returns the problem for compiled code."""
    parts = [
        array.numpy()
        for samples in (problem.train, problem.held_out)
        for array in samples.part(slice(None), problem.dtype)
    ]
    return FusedProblem(layout, *parts)


def _tie(tether: Tether) -> Tie | None:
    """Returns the tether as compiled code takes it, or None where it has no compiled code."""
    parts = tether.parts if isinstance(tether, Several) else (tether,)
    tie = Tie()
    for part in parts:
        if part.ties and type(part) not in COMPILED:  # a subclass may do something else
            return None
        match part:
            case Hard():
                tie = replace(tie, hard=True)
            case Soft(kappa=kappa):
                tie = replace(tie, kappa=tie.kappa + kappa)
            case Springs(zeta=zeta):
                tie = replace(tie, zeta=tie.zeta + zeta)
    return tie
