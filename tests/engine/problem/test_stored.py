"""Tensors as the arrays of a file, and back."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch

from engine.problem.stored import array_of, tensor_of, write
from engine.record import tensor_reading
from engine.record.reading import Damaged
from engine.record.tensor_file import NAMES
from tests.support.damage import flip_in_tensors

TYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_a_tensor_comes_back_to_the_bit(dtype: torch.dtype) -> None:
    tensor = (torch.arange(6.0) - 2.5).to(dtype).reshape(2, 3).T
    array = array_of(tensor)
    assert array.dtype in NAMES and array.shape == (3, 2)
    back = tensor_of(array)
    assert back.dtype == dtype and torch.equal(back, tensor)


def test_they_share_their_memory() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        tensor = torch.ones(3, dtype=dtype)
        tensor_of(array_of(tensor))[1] = 7
        assert tensor.tolist() == [1, 7, 1]


def test_a_file_is_read_to_the_bit_and_by_others(tmp_path: Path) -> None:
    tensors = {str(dtype): (torch.arange(6.0) - 2.5).to(dtype).reshape(2, 3).T for dtype in TYPES}
    path = tmp_path / "some.safetensors"
    write(path, tensors, {"dss": "x"})
    arrays, texts = tensor_reading.read(path)
    assert texts == {"dss": "x", "format": "pt"}
    theirs = safetensors.torch.load_file(path)
    for name, tensor in tensors.items():
        for found in (tensor_of(arrays[name]), theirs[name]):
            assert found.dtype == tensor.dtype and torch.equal(found, tensor)
    flip_in_tensors(path)
    with pytest.raises(Damaged, match="have changed since"):
        tensor_reading.check(path)
