"""The backend of whole rounds in one launch, for small fully connected networks on a GPU.

What has no kernel, such as the steps of tied strings, other precisions and error rates, is computed
by torch, with its launches recorded as CUDA graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import torch

from engine.backends.backend import Way
from engine.backends.cuda_graphs import CudaGraphsBackend
from engine.backends.fused.layout import Layout
from engine.backends.models import InPlace
from engine.backends.torch_backend import PIECE_BYTES
from engine.backends.triton_rounds.problem import TritonProblem
from engine.problem.problem import Problem, Split
from engine.shapes import Beads, PerBead
from engine.steps.groups import Group
from engine.steps.recipe import Recipe
from engine.steps.rows import joined

#: The multiplications of a row in a round, which take a block of threads some tens of milliseconds,
#: and the most steps of a round. The interpreter needs milliseconds between rounds.
ROUND_PRODUCTS, MOST_STEPS = 2**31, 4096


class TritonBackend(CudaGraphsBackend):
    """The backend that takes a round of all rows in one launch, each row in a block of threads."""

    name: Way = "triton"

    def __init__(
        self,
        problem: Problem,
        layout: Layout,
        piece_bytes: int = PIECE_BYTES,
        networks: dict[torch.dtype, InPlace] | None = None,
    ) -> None:
        """Makes the backend of a problem with that network and loss; see `TorchBackend`."""
        super().__init__(problem, piece_bytes, networks)
        self.layout = layout

    def _made(
        self, problem: Problem, piece_bytes: int, networks: dict[torch.dtype, InPlace] | None = None
    ) -> TritonBackend:
        """Returns a backend of the same network and loss."""
        return TritonBackend(problem, self.layout, piece_bytes, networks)

    @cached_property
    def _kernels(self) -> dict[Split, TritonProblem]:
        """The samples of each split that has any, as kernels take them."""
        dtype = self.problem.dtype
        splits: tuple[Split, ...] = ("train", "held_out")
        return {
            split: TritonProblem(self.layout, *self.problem.samples(split).part(slice(None), dtype))
            for split in splits
            if len(self.problem.samples(split))
        }

    @property
    def _has_kernels(self) -> bool:
        """Whether there are kernels for the problem's precision, which is that of training."""
        return self.problem.dtype == torch.float32

    def losses(self, theta: Beads, split: Split = "train", bound: PerBead | None = None) -> PerBead:
        """Returns the mean loss of each weight vector over a split. `bound` is not used."""
        if not self._has_kernels or not len(self.problem.samples(split)):
            return super().losses(theta, split, bound)
        return self._kernels[split].losses(theta)

    def paced(self, recipe: Recipe) -> Recipe:
        """Returns the recipe with longer rounds where rows are untied and steps see the objective.

        Such rows do not wait for each other, and the length of rounds changes no row.
        """
        training = recipe.training
        if not self._takes(recipe) or training.batch_size != "full":
            return recipe
        steps = ROUND_PRODUCTS // (3 * len(self.problem.train) * self.problem.cost.products)
        longer = max(training.check_every, min(steps, MOST_STEPS))
        return replace(recipe, training=training.model_copy(update={"check_every": longer}))

    def advance(self, recipe: Recipe, groups: Sequence[Group]) -> list[Group]:
        """Returns the groups after one round, with torch where the recipe has no kernel."""
        if not self._takes(recipe):
            return super().advance(recipe, groups)
        training = recipe.training
        rows = joined([group.rows.to(self.problem.device) for group in groups])
        batches = recipe.drawn(rows.seeds, rows.steps.tolist(), len(self.problem.train))
        if batches is not None:
            batches = batches.to(rows.theta.device)
        decays = self.problem.decaying(training.optimizer.decay_exempt)
        self._kernels["train"].advance(training, rows, batches, decays)
        rows.told  # noqa: B018 - the host waits for the device here, once for all groups
        parts = rows.split([len(group) for group in groups])
        return [replace(group, rows=part) for group, part in zip(groups, parts, strict=True)]

    def _takes(self, recipe: Recipe) -> bool:
        """Returns whether there is a kernel for the rounds of a recipe."""
        untied = recipe.evaluate == "before" and not recipe.tether.ties
        return untied and self._has_kernels and recipe.is_plain(self.problem)
