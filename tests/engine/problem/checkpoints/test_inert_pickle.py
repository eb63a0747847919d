"""A pickle of anything is read without running anything that it names."""

from __future__ import annotations

import io
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.inert import Inert
from engine.problem.checkpoints import inert_pickle


class Callback(dict[str, int]):
    """Has state, items and a constructor."""

    def __init__(self, *given: int, **named: int) -> None:
        super().__init__(x=1)
        self.given, self.named = given, named

    def __reduce__(self) -> Any:
        return Callback, (1, 2), {"lr": 0.1}, iter([3]), iter([("a", 4)])

    def append(self, _: int) -> None:
        """As lists have it."""


def opened(given: object) -> Any:
    return inert_pickle.load(io.BytesIO(pickle.dumps(given)))


def test_containers_and_numbers_are_as_they_were() -> None:
    held = OrderedDict(a=[1, 2.5, None, True], b=({"c": b"d"}, {1, 2}, "e"), f=torch.Size([2]))
    assert opened(held) == held
    assert opened(torch.float16) is torch.float16


def test_an_object_does_nothing() -> None:
    found = opened({"callback": Callback(), "function": print, "path": Path("/")})
    assert isinstance(found["callback"], Inert)
    assert isinstance(found["function"], type) and issubclass(found["function"], Inert)
    assert type(found["callback"]).__name__ == "Callback"
    assert isinstance(found["path"], Inert)
    assert not hasattr(found["callback"], "lr")


class Runs:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    "call",
    [
        (os.mkdir, "{mark}"),
        (eval, "__import__('os').mkdir('{mark}')"),
        (getattr, os, "mkdir"),
        (torch.save, [], "{mark}"),
        (torch.load, "{mark}"),
        (torch.hub.load, "a/b", "c"),
    ],
    ids=["mkdir", "eval", "getattr", "save", "load", "hub"],
)
def test_no_function_is_called(call: tuple[Any, ...], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    function, *arguments = call
    given = [a.replace("{mark}", str(mark)) if isinstance(a, str) else a for a in arguments]
    given = ["os" if a is os else a for a in given]
    assert isinstance(opened(Runs(function, *given)), Inert)
    assert not mark.exists()
