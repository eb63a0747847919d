"""Tells a module whether it computes for many weight vectors at once."""

from __future__ import annotations

from torch import Tensor
from torch._C import _functorch


def under_vmap(*tensors: Tensor) -> bool:
    """Returns whether one of the tensors has an axis that `torch.func.vmap` hides."""
    return any(map(_batched, tensors))


def _batched(tensor: Tensor) -> bool:
    """Returns whether the tensor, or one that it wraps, has an axis that vmap hides."""
    while _functorch.is_functorch_wrapped_tensor(tensor):
        if _functorch.is_batchedtensor(tensor):
            return True
        tensor = _functorch.get_unwrapped(tensor)
    return False
