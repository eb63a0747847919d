"""The backend that computes many weight vectors in one call, by `torch.func.vmap`."""

from __future__ import annotations

import warnings

from engine.backends.backend import Way
from engine.backends.torch_backend import TorchBackend
from engine.shapes import Beads

#: The number of weight vectors from which on the CPU batches them. Fewer are faster one by one.
FEW_TOGETHER = 8

# How fast a network is under vmap is measured before vmap is chosen, so users need not hear of it.
warnings.filterwarnings("ignore", "There is a performance drop because", UserWarning)


class VmappedBackend(TorchBackend):
    """The backend that computes all weight vectors of a call together.

    On the CPU fewer than FEW_TOGETHER are computed one after another.
    """

    name: Way = "vmap"

    def _one_by_one(self, theta: Beads) -> bool:
        """Returns whether these weight vectors are too few to be computed together."""
        few = FEW_TOGETHER if self.problem.device.type == "cpu" else 2
        return 1 < len(theta) < few
