"""Many weight vectors in one call, by `torch.func.vmap`."""

from __future__ import annotations

from engine.backends.backend import Way
from engine.backends.torch_backend import TorchBackend
from engine.shapes import Beads

#: Weight vectors from which on the CPU batches them; fewer are faster one after another.
FEW_TOGETHER = 8


class VmappedBackend(TorchBackend):
    """Computes all weight vectors of a call together, on the CPU from a few on."""

    name: Way = "vmap"

    def _one_by_one(self, theta: Beads) -> bool:
        few = FEW_TOGETHER if self.problem.device.type == "cpu" else 2
        return 1 < len(theta) < few
