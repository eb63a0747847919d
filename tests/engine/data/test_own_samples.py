"""What a user's x and y are taken for: pixels, tokens, classes or values, of any size."""

from __future__ import annotations

import logging
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from engine.data import load_data
from engine.data.custom import CustomData
from engine.errors import InputError
from engine.problem.problem import Problem, build_problem
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from tests.support.workers import vmapped

HERE = __name__


@pytest.fixture(autouse=True)
def paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def loaded(factory: str, **keys: Any) -> Any:
    return load_data(CustomData(kind="custom", factory=f"{HERE}:{factory}", **keys))


def problem_of(factory: str, network: str, loss: str, **keys: Any) -> Problem:
    tree = {
        "data": {"kind": "custom", "factory": f"{HERE}:{factory}"} | keys,
        "network": {"kind": "custom", "factory": f"{HERE}:{network}"},
        "loss": loss,
    }
    return build_problem(validated(ProblemSpec, tree))


def table() -> Any:
    """Bytes that are no pixels."""
    return np.arange(12, dtype=np.uint8).reshape(4, 3), np.zeros(4)


def last_channels() -> Any:
    return np.zeros((4, 6, 6, 3), np.uint8), np.zeros(4, int)


def images() -> Any:
    return np.zeros((4, 3, 6, 6), np.uint8), np.zeros(4, int)


def linear() -> nn.Module:
    return nn.Linear(3, 1)


@pytest.mark.parametrize(
    ("factory", "keys", "told"),
    [
        ("table", {}, True),
        ("last_channels", {}, True),
        ("images", {}, False),
        ("table", {"inputs": "pixels"}, False),
        ("table", {"inputs": "values"}, False),
        ("table", {"inputs": "tokens"}, False),
    ],
)
def test_bytes_that_do_not_look_like_images_are_not_scaled_in_silence(
    factory: str, keys: dict[str, Any], told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "engine"):
        CustomData(kind="custom", factory=f"{HERE}:{factory}", **keys).read()
    assert ("say problem.data.inputs: values or tokens where they are none" in caplog.text) == told


@pytest.mark.parametrize(
    ("inputs", "scale"), [(None, 255), ("pixels", 255), ("values", 1)], ids=str
)
def test_bytes_are_pixels_or_values(inputs: str | None, scale: int) -> None:
    problem = problem_of("table", "linear", "mse", inputs=inputs)
    x, _ = problem.train.part(slice(None), torch.float64)
    torch.testing.assert_close(x, torch.arange(12.0).double().reshape(4, 3) / scale)


def ids(kind: str = "int64", first: int = 2**24) -> Any:
    x = np.array([[first, first + 1], [first + 2, 5]]).astype(kind)
    return x, np.array([0.5, -1.0])


class ById(nn.Module):
    """A value for each number, which float32 or int32 would confuse with its neighbour."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.dtype == torch.int64
        return (x % 7).sum(1, keepdim=True) * self.weight


@pytest.mark.parametrize(("kind", "first"), [("int64", 2**24), ("int64", 2**40), ("uint32", 2**31)])
def test_large_numbers_stay_exact_and_go_with_mse(kind: str, first: int) -> None:
    """Numbers of rows and columns with a rating, as in matrix factorization."""
    problem = problem_of("ids", "ById", "mse", args={"kind": kind, "first": first})
    x, y = ids(kind, first)
    assert problem.train.part(slice(None), torch.float32)[0].tolist() == x.tolist()
    expected = np.square((x.astype(np.int64) % 7).sum(1) - y).mean()
    loss = vmapped(problem).losses(torch.ones(1, 1)).item()
    assert loss == pytest.approx(expected, rel=1e-6)


def test_small_numbers_are_kept_small() -> None:
    assert loaded("ids").x.dtype == np.int32
    assert loaded("ids", args={"kind": "int8", "first": 3}).x.dtype == np.int8
    assert loaded("ids", args={"first": 2**40}).x.dtype == np.int64
    wide, narrow = (loaded("ids", args={"kind": kind, "first": 3}) for kind in ("int64", "int8"))
    assert wide.checksum() == narrow.checksum()


def test_signed_bytes_are_tokens_or_values() -> None:
    assert loaded("ids", args={"kind": "int8", "first": 3}).reads == "tokens"
    args = {"kind": "int8", "first": -100}
    problem = problem_of("ids", "two", "mse", args=args, inputs="values")
    x, _ = problem.train.part(slice(None), torch.float32)
    assert x.tolist() == [[-100.0, -99.0], [-98.0, 5.0]]


def two() -> nn.Module:
    return nn.Linear(2, 1)


def ignored() -> Any:
    return np.zeros((3, 2)), np.array([0, -100, 1])


def below() -> Any:
    return np.zeros((3, 2)), np.array([0, -1, -100])


def test_numbers_below_0_are_no_classes() -> None:
    """But for -100, which is the class of what cross_entropy passes over."""
    for loss in ("cross_entropy", "mse"):
        with pytest.raises(InputError, match=f"is {loss}, but y holds whole numbers below 0, and"):
            problem_of("below", "two", loss)
    with pytest.raises(
        InputError, match="is mse, but y holds -100, the class of samples that only"
    ):
        problem_of("ignored", "two", "mse")
    assert loaded("ignored").classes == 2 and loaded("ignored").ignores
    assert loaded("below").classes is None
    problem = problem_of("ignored", "two", "mse", targets="values")
    assert problem.train.part(slice(None), torch.float32)[1].tolist() == [[0.0], [-100.0], [1.0]]


@pytest.mark.parametrize(
    ("factory", "keys", "words"),
    [
        ("ignored", {"inputs": "pixels"}, "inputs: is pixels, but .* x of float64; return uint8"),
        ("ignored", {"inputs": "tokens"}, "inputs: is tokens, but .* x of float64; return whole"),
        ("ids", {"targets": "classes"}, "targets: is classes, but .* y of float64; return whole"),
    ],
)
def test_what_the_keys_say_must_be_so(factory: str, keys: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=rf"problem\.data\.{words}"):
        loaded(factory, **keys)
