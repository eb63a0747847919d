"""The backend that lends one weight vector after another to a network.

It is the fastest one for convolutions and LSTMs on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.backends.backend import Way
from engine.backends.torch_backend import TorchBackend
from engine.shapes import Beads
from engine.steps.groups import Group
from engine.steps.recipe import Recipe

#: The bytes of a piece that stays in a CPU's cache, and the fewest samples of such a piece.
CACHE_BYTES, CACHED_SAMPLES = 4 * 2**20, 64
#: The number of parameters from which on groups take a whole round one after another. Each step of
#: all groups together would pass through their memory again.
LARGE = 30_000


class InPlaceBackend(TorchBackend):
    """The backend that computes one weight vector at a time."""

    name: Way = "loop"

    def advance(self, recipe: Recipe, groups: Sequence[Group]) -> list[Group]:
        """Returns the groups after one round, which large networks take group by group."""
        one_round = super().advance
        if self.problem.parameter_count >= LARGE and len(groups) > 1:
            alone = [one_round(recipe, [group]) for group in groups]
            return [group for (group,) in alone]
        return one_round(recipe, groups)

    def _one_by_one(self, theta: Beads) -> bool:
        """Returns whether there are several weight vectors, which go one after another."""
        return len(theta) > 1

    def _most_bytes(self, sample_bytes: int, measuring: bool) -> int:
        """Returns the bytes that a piece may take: on the CPU, those that fit its cache."""
        if not measuring or self.problem.device.type != "cpu":
            return self.piece_bytes
        return min(self.piece_bytes, max(CACHE_BYTES, CACHED_SAMPLES * sample_bytes))
