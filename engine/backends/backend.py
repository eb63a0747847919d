"""The protocol of backends: losses, gradients and rounds of training for many weight vectors.

The results for a weight vector never depend on which others share a call, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from engine.problem.problem import Problem, Split
from engine.shapes import Batches, Beads, Pairs, PerBead, Points, Rows
from engine.spec.level import LevelOn
from engine.steps.groups import Group
from engine.steps.practice import Practice
from engine.steps.recipe import Recipe

Way = Literal["fused", "triton", "vmap", "graph", "loop"]
"""The names of the backends in `search.batching`."""


Tensors = tuple[Tensor, ...]
Function = Callable[..., Tensors]
"""A function of tensors."""


@runtime_checkable
class Backend(Protocol):
    """A way to compute with one problem, in one thread, on the problem's device."""

    @property
    def name(self) -> Way:
        """The backend's name in `search.batching`."""

    @property
    def problem(self) -> Problem:
        """The problem that it computes with."""

    @property
    def piece_bytes(self) -> int:
        """The bytes of layers' outputs that one call may hold. Larger calls go in pieces."""

    # ------------------------------------------------------------ variants

    def to(self, dtype: torch.dtype) -> Backend:
        """Returns the backend in another precision."""

    def replica(self, device: torch.device) -> Backend:
        """Returns the backend on a device, with a network of its own for a thread of its own."""

    def on(self, problem: Problem) -> Backend:
        """Returns the backend of another problem with the same network on the same device."""

    def within(self, piece_bytes: int) -> Backend:
        """Returns the backend with calls that go in pieces of at most so many bytes."""

    # ------------------------------------------------------------ measuring

    def objective(self, theta: Beads, bound: PerBead | None = None) -> PerBead:
        """Returns the objective of each weight vector. `bound` is as in `values`."""

    def values(self, theta: Beads, measure: LevelOn, bound: PerBead | None = None) -> PerBead:
        """Returns a metric of each weight vector over a split; NaN without samples.

        With a `bound` (bead,), a model may be given up as soon as its value is certain to exceed
        its bound. The value is then the mean over the samples seen so far, which exceeds it too.
        """

    def losses(self, theta: Beads, split: Split = "train", bound: PerBead | None = None) -> PerBead:
        """Returns the mean loss over a split: F_e (Eq. 1), or the estimate of F_o (Eq. 2)."""

    def error_rates(
        self, theta: Beads, split: Split = "train", bound: PerBead | None = None
    ) -> PerBead:
        """Returns the share of samples, or tokens, whose largest output is not their class."""

    def interpolated_losses(self, left: Pairs, right: Pairs, rows: Rows, t: Points) -> Points:
        """Returns the objective at (1 − t[i])·left[rows[i]] + t[i]·right[rows[i]] for all i."""

    # ------------------------------------------------------------ training

    def loss_and_grad(self, theta: Beads) -> tuple[PerBead, Beads]:
        """Returns F_e of each weight vector and its gradient, on all training samples."""

    def loss_and_grad_on(self, theta: Beads, batches: Batches) -> tuple[PerBead, Beads]:
        """Returns the mean loss of each weight vector, and its gradient, on its own mini-batch.

        `batches` holds numbers of training samples, (bead, sample).
        """

    def practised(
        self,
        theta: Beads,
        batches: Batches | None,
        practice: Practice,
        keys: Tensor | None = None,
    ) -> tuple[PerBead, Beads]:
        """Returns the loss that a step computes at each weight vector, and its gradient.

        The step sees mini-batches as in `loss_and_grad_on`, or with None all training samples. It
        differs from what is measured by its `practice`. Where that draws, `keys` are the keys of
        the steps, (bead,) int64.
        """

    def recorded(
        self, key: Hashable, function: Function, each: Tensors, whole: Tensors = ()
    ) -> Tensors:
        """Returns what a function gives for tensors, from a recording of it where there is one.

        `each` are tensors (row, …), and so are the results, of which each row depends on its own
        row and on `whole`. Functions of equal keys take the same steps for tensors of the same
        shapes, whatever the number of rows, and ask nothing of the device.
        """

    def advance(self, recipe: Recipe, groups: Sequence[Group]) -> list[Group]:
        """Returns the groups after one round of each row that goes.

        It takes at most `check_every` steps, or so many several times where `paced` has asked for
        it (`Recipe.checks`).
        """

    def paced(self, recipe: Recipe) -> Recipe:
        """Returns the recipe with rounds of the length that is best for this backend."""

    # ------------------------------------------------------------ sharing out

    @property
    def steps_at_once(self) -> bool:
        """Whether a whole round passes without the interpreter."""

    @property
    def worth_a_thread(self) -> int:
        """The number of values to compute with from which on a second CPU thread pays."""

    @property
    def takes_idle_threads(self) -> bool:
        """Whether a call may use CPU threads that would otherwise be idle."""
