"""Datasets, iterables and loaders of a user's own, read item by item, and what is refused."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from engine.data import load_data, room
from engine.data.custom import CustomData
from engine.data.room import is_mapped
from engine.errors import InputError

HERE = __name__
SAMPLES = 23


@pytest.fixture(autouse=True)
def paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("DSS_TUI_CACHE", str(tmp_path))


def spec(factory: str, **keys: Any) -> CustomData:
    return CustomData(kind="custom", factory=f"{HERE}:{factory}", **keys)


def refusal(factory: str, **keys: Any) -> str:
    with pytest.raises(InputError) as refused:
        load_data(spec(factory, **keys))
    return str(refused.value)


def samples(count: int = SAMPLES) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(3)
    return torch.randint(256, (count, 3, 4, 4), generator=draw).byte(), torch.arange(count) % 5


class Items(Dataset[Any]):
    """Images as bytes, and what else is asked for."""

    def __init__(self, count: int = SAMPLES, fails_at: int = -1, random: bool = False) -> None:
        self.x, self.y = samples(count)
        self.fails_at, self.random = fails_at, random

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        if number == self.fails_at:
            raise OSError("image file is truncated\n(17 bytes not processed)")
        if self.random:
            return torch.randint(256, (3, 4, 4)).byte(), 0
        return self.x[number], int(self.y[number])


class Flow(IterableDataset[Any]):
    def __init__(self, count: int = SAMPLES, promised: int = SAMPLES) -> None:
        self.x, self.y = samples(count)
        self.promised = promised

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return zip(self.x.numpy(), self.y.numpy(), strict=True)

    def __len__(self) -> int:
        return self.promised


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        while True:
            yield 1.0, 0


def loader(shuffle: bool = False, drop_last: bool = False) -> DataLoader[Any]:
    return DataLoader(Items(), batch_size=4, shuffle=shuffle, drop_last=drop_last, num_workers=2)


def loader_of_flow() -> DataLoader[Any]:
    return DataLoader(Flow(), batch_size=5)


def weighted() -> DataLoader[Any]:
    sampler = WeightedRandomSampler([1.0] * SAMPLES, SAMPLES)
    return DataLoader(Items(), batch_size=4, sampler=sampler)


def subset() -> DataLoader[Any]:
    return DataLoader(Items(), batch_size=4, sampler=SubsetRandomSampler(range(9)))


def two_loaders() -> tuple[DataLoader[Any], Items]:
    return loader(shuffle=True), Items(6)


@pytest.mark.parametrize(
    ("factory", "args"),
    [
        ("Items", {}),
        ("Flow", {}),
        ("loader", {}),
        ("loader", {"shuffle": True, "drop_last": True}),
        ("loader_of_flow", {}),
    ],
)
@pytest.mark.parametrize("in_memory", [10, 10**6])
def test_items_come_in_order_and_keep_their_type(
    factory: str, args: dict[str, Any], in_memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "IN_MEMORY", in_memory)
    data = spec(factory, args=args).read()
    x, y = samples()
    np.testing.assert_array_equal(data.x, x.numpy())
    np.testing.assert_array_equal(data.y, y.numpy())
    assert data.x.dtype == np.uint8 and data.y.dtype == np.int64 and data.classes == 5
    assert is_mapped(data.x) == is_mapped(data.y) == (in_memory == 10)


def test_mapped_samples_are_the_same_data(monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory = spec("Items").read().checksum()
    monkeypatch.setattr(room, "IN_MEMORY", 10)
    monkeypatch.setattr(room, "PIECE", 100)
    assert spec("Items").read().checksum() == in_memory


def test_a_loader_and_a_dataset_are_training_and_held_out() -> None:
    data = load_data(spec("two_loaders"))
    assert (len(data.x), len(data.x_held_out)) == (SAMPLES, 6)


def test_a_dataset_that_fails_at_an_item_is_told_with_the_item_and_the_error() -> None:
    assert refusal("Items", args={"count": 1003, "fails_at": 1000}) == (
        f"problem.data.factory: item 1000 of the Dataset that {HERE}:Items returned failed with "
        "OSError: image file is truncated (17 bytes not processed); correct it"
    )


def in_batches() -> DataLoader[Any]:
    return DataLoader(Items(fails_at=13), batch_size=5)


def sparse() -> Any:
    return torch.eye(3).to_sparse(), torch.zeros(3)


def sparse_rows() -> Any:
    warnings.simplefilter("ignore")  # of torch, at the first such tensor
    return torch.eye(3).to_sparse_csr(), torch.zeros(3)


def meta() -> Any:
    return torch.zeros(3, 2, device="meta"), torch.zeros(3)


def complex_x() -> Any:
    return torch.zeros(3, 2, dtype=torch.complex64), torch.zeros(3)


def complex_items() -> Any:
    return TensorDataset(torch.zeros(3, 2), torch.zeros(3, dtype=torch.complex128))


def huge() -> Any:
    return np.full((3, 1), 2**63, np.uint64), np.zeros(3)


class Mixed(Items):
    def __getitem__(self, number: int) -> tuple[Tensor, Any]:
        return self.x[number], number if number < 7 else float(number)


class Infinite(Items):
    def __getitem__(self, number: int) -> tuple[Tensor, Any]:
        return self.x[number], 1.0 if number < 7 else float("nan")


@pytest.mark.parametrize(
    ("factory", "args", "words"),
    [
        ("Flow", {"count": 9}, "a Dataset of length 23 that gives 9 items; it must return (x, y)"),
        ("Flow", {"promised": 9}, "a Dataset of length 9 that gives more items; it must return"),
        ("Endless", {}, "Endless, which has no length; give it __len__, the number of its items"),
        ("weighted", {}, "a DataLoader with a sampler of its own; return its Dataset"),
        ("subset", {}, "a DataLoader with a sampler of its own; return its Dataset"),
        ("Items", {"random": True}, "a Dataset whose item 0 is another each time; take random tra"),
        ("Mixed", {}, "a Dataset whose items differ in type (y of item 7 is float64, not int64)"),
        ("Infinite", {}, "y with values that are not finite in float32 (item 7)"),
        ("Items", {"count": 0}, "no training samples"),
        ("sparse", {}, "x as a sparse tensor; return to_dense() of it"),
        ("sparse_rows", {}, "x as a sparse tensor; return to_dense() of it"),
        ("meta", {}, "x on the meta device, which holds no values; load them"),
        ("complex_x", {}, "complex x; return real and imaginary parts"),
        ("complex_items", {}, "complex y; return real and imaginary parts"),
        ("huge", {}, "x with whole numbers beyond int64; return smaller ones"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(
    factory: str, args: dict[str, Any], words: str
) -> None:
    said = refusal(factory, args=args)
    assert said.startswith(f"problem.data.factory: {HERE}:{factory} returned {words}")


def test_a_batch_that_fails_is_told_by_its_first_item() -> None:
    assert "the batch that begins with item 10 of the Dataset that" in refusal("in_batches")


def odd_arrays() -> Any:
    x = np.arange(12.0).reshape(4, 3)[::-1]
    return x, np.arange(4, dtype=">i4")[::-1]


def with_gradients() -> Any:
    return torch.arange(6.0).reshape(3, 2).requires_grad_() * 2, torch.zeros(3).bfloat16()


def conjugated() -> Any:
    return torch.tensor([[1 + 2j], [3 - 1j]]).conj().imag, torch.zeros(2)


def test_arrays_that_numpy_and_torch_lay_out_otherwise_are_taken() -> None:
    odd = load_data(spec("odd_arrays"))
    assert odd.x.tolist()[0] == [9.0, 10.0, 11.0] and odd.y.tolist() == [3, 2, 1, 0]
    torch.from_numpy(odd.x)  # which refuses negative strides and other orders of bytes
    torch.from_numpy(odd.y)
    assert load_data(spec("with_gradients")).x.tolist() == [[0.0, 2.0], [4.0, 6.0], [8.0, 10.0]]
    assert load_data(spec("conjugated")).x.tolist() == [[-2.0], [1.0]]
