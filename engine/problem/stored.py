"""Arrays as files of tensors hold them, and tensors: one for the other, sharing their memory."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.record.tensor_file import BFLOAT16


def array_of(tensor: Tensor) -> NDArray[Any]:
    """Returns a tensor of main memory as an array."""
    plain = tensor.detach().contiguous()
    if plain.dtype == torch.bfloat16:
        return plain.view(torch.int16).numpy().view(BFLOAT16)
    return plain.numpy()


def tensor_of(array: NDArray[Any]) -> Tensor:
    """Returns an array as a tensor. Raises TypeError for numbers that torch does not have."""
    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.view("<i2")).view(torch.bfloat16)
    return torch.from_numpy(array)
