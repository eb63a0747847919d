"""What a backend offers: losses, gradients and rounds of training for many weight vectors at once.

What becomes of a weight vector never depends on which others share a call, up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

import torch

from engine.problem.problem import Problem, Split
from engine.shapes import Batches, Beads, Pairs, PerBead, Points, Rows
from engine.spec.level import LevelOn
from engine.steps.recipe import Recipe
from engine.steps.rows import Group

Way = Literal["fused", "vmap", "graph", "loop"]
"""The names of the backends in `search.batching`."""


@runtime_checkable
class Backend(Protocol):
    """A way to compute with one problem, in one thread, on the problem's device."""

    @property
    def name(self) -> Way:
        """What run.yaml calls it."""

    @property
    def problem(self) -> Problem:
        """Data, network and loss, their device and precision, and what the level is held on."""

    @property
    def piece_bytes(self) -> int:
        """Bytes of layers' outputs that one call may hold; larger calls go in pieces."""

    # ------------------------------------------------------------ the same, otherwise

    def to(self, dtype: torch.dtype) -> Backend:
        """Returns the same in another precision."""

    def replica(self, device: torch.device) -> Backend:
        """Returns the same on a device, for a thread of its own."""

    def with_objective(self, objective: LevelOn, samples: int) -> Backend:
        """Returns the same with another metric or split, over the first `samples` of it."""

    def within(self, piece_bytes: int) -> Backend:
        """Returns the same in pieces of at most so many bytes."""

    # ------------------------------------------------------------ what is measured

    def objective(self, theta: Beads, bound: PerBead | None = None) -> PerBead:
        """Returns what is held against the level, for each weight vector; `bound`: see `values`."""

    def values(self, theta: Beads, measure: LevelOn, bound: PerBead | None = None) -> PerBead:
        """Returns a metric on a split for each weight vector; not a number without samples.

        Above its `bound` nobody asks how large a value is: a model may be given up as soon as it is
        certain to be above it, and its value is then that of the samples seen until there.
        """

    def losses(self, theta: Beads, split: Split = "train", bound: PerBead | None = None) -> PerBead:
        """Returns the mean loss over a split: F_e (Eq. 1), or F_o's estimate (Eq. 2)."""

    def error_rates(
        self, theta: Beads, split: Split = "train", bound: PerBead | None = None
    ) -> PerBead:
        """Returns the share of samples, or tokens, whose largest output is not their class."""

    def interpolated_losses(self, left: Pairs, right: Pairs, rows: Rows, t: Points) -> Points:
        """Returns the objective at (1 − t[i])·left[rows[i]] + t[i]·right[rows[i]], for all i."""

    # ------------------------------------------------------------ what is trained

    def loss_and_grad(self, theta: Beads) -> tuple[PerBead, Beads]:
        """Returns F_e of each weight vector and its gradient."""

    def loss_and_grad_on(self, theta: Beads, batches: Batches) -> tuple[PerBead, Beads]:
        """Returns the same for each weight vector on its own mini-batch of sample numbers."""

    def advance(self, recipe: Recipe, groups: Sequence[Group]) -> list[Group]:
        """Returns the groups after one round: at most `check_every` steps of each row that goes."""

    def paced(self, recipe: Recipe) -> Recipe:
        """Returns the recipe with rounds as long as pays for this way."""

    # ------------------------------------------------------------ what sharing out needs

    @property
    def steps_at_once(self) -> bool:
        """Whether a whole round passes without the interpreter."""

    @property
    def worth_a_thread(self) -> int:
        """Numbers to compute with from which on a second CPU thread pays."""

    @property
    def takes_idle_threads(self) -> bool:
        """Whether a call may use the threads that would else be idle."""
