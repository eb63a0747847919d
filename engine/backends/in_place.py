"""One weight vector after another, lent to a network in place: the fastest for convolutions and
LSTMs on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

from engine.backends.backend import Way
from engine.backends.torch_backend import TorchBackend
from engine.shapes import Beads
from engine.steps.recipe import Recipe
from engine.steps.rows import Group

#: On the CPU, pieces that stay in its cache are faster, unless they are of fewer samples than this.
CACHE_BYTES, CACHED_SAMPLES = 4 * 2**20, 64
#: Parameters from which on untied rows take a whole round one after another: a step of all of them
#: together would pass through memory again and again.
LARGE = 30_000


class InPlaceBackend(TorchBackend):
    """Computes one weight vector at a time."""

    name: Way = "loop"

    def advance(self, recipe: Recipe, groups: Sequence[Group]) -> list[Group]:
        """See `Backend`; groups with large networks take their rounds one after another."""
        one_round = super().advance
        if self.problem.parameter_count >= LARGE and len(groups) > 1:
            alone = [one_round(recipe, [group]) for group in groups]
            return [group for (group,) in alone]
        return one_round(recipe, groups)

    def _one_by_one(self, theta: Beads) -> bool:
        return len(theta) > 1

    def _most_bytes(self, sample_bytes: int, measuring: bool) -> int:
        if not measuring or self.problem.device.type != "cpu":
            return self.piece_bytes
        return min(self.piece_bytes, max(CACHE_BYTES, CACHED_SAMPLES * sample_bytes))
