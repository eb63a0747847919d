"""Tensors as arrays that share their memory, and back, and files of tensors by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.record import tensor_file
from engine.record.tensor_file import BFLOAT16
from engine.record.writing import replacing

#: The metadata by which other tools know that a file's tensors are torch's.
OF_TORCH = {"format": "pt"}
NOTHING: Mapping[str, str] = MappingProxyType({})


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


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] = NOTHING) -> None:
    """Replaces a file by one of tensors by name and of texts, in the format of safetensors.

    It holds checksums, with which `tensor_reading` compares what it reads, and every other reader
    of the format reads it too. Raises SaveError where it cannot be written, and TypeError for
    numbers that the format does not have.
    """
    arrays = {name: array_of(tensor.cpu()) for name, tensor in tensors.items()}
    with replacing(path) as file:
        tensor_file.write(file, arrays, {**OF_TORCH, **metadata})
