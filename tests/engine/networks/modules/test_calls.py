"""How networks are handed samples, and what of their output a loss sees."""

from __future__ import annotations

from collections import namedtuple
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.errors import InputError
from engine.networks.modules.calls import Handing, arguments, picked, shapes

ONE, TWO = torch.ones(3, 2), torch.full((3, 4), 2.0)
Pair = namedtuple("Pair", ["logits", "aux"])


@pytest.mark.parametrize(
    ("output", "tensor", "which"),
    [
        (ONE, ONE, ""),
        ((ONE, TWO), ONE, "the first"),
        ([TWO, ONE], TWO, "the first"),
        (((TWO, ONE), ONE), TWO, "the first of the first"),
        ({"aux": TWO, "out": ONE}, ONE, "out"),
        ({"out": TWO, "logits": ONE}, ONE, "logits"),
        (SimpleNamespace(loss=None, logits=ONE), ONE, "logits"),
        (Pair(aux=TWO, logits=ONE), ONE, "logits"),
    ],
)
def test_one_tensor_is_picked(output: Any, tensor: Tensor, which: str) -> None:
    found, said = picked(output)
    assert found is tensor
    assert said == which


@pytest.mark.parametrize("output", [{"a": ONE, "b": TWO}, None, (), {"out": None}, "text"])
def test_what_has_no_such_tensor_is_refused(output: Any) -> None:
    with pytest.raises(InputError, match="nothing is called logits or out"):
        picked(output)


class Adding(nn.Module):
    def forward(self, a: Tensor, b: Tensor | float = 0.0) -> Any:
        a += b
        return {"out": a}


def test_a_network_takes_one_x() -> None:
    network = Handing(copies=True).hook(Adding())
    for x in ({"0": ONE, "1": 3 * ONE}, {"b": 3 * ONE, "a": ONE}):
        torch.testing.assert_close(network(x), 4 * ONE)
    torch.testing.assert_close(network(ONE), ONE)
    assert torch.equal(ONE, torch.ones(3, 2))


def test_without_copies_it_may_write_into_them_and_a_loss_may_see_all() -> None:
    network = Handing(whole=True).hook(Adding())
    x = {"a": torch.ones(2), "b": torch.ones(2)}
    assert list(network(x)) == ["out"]
    assert torch.equal(x["a"], torch.full((2,), 2.0))


def test_hooks_of_the_module_come_before_and_after_ours() -> None:
    module = Adding()
    module.register_forward_pre_hook(lambda module, args: tuple(2 * part for part in args))
    module.register_forward_hook(lambda module, args, output: {"out": output["out"] + 1})
    network = Handing().hook(module)
    torch.testing.assert_close(network({"0": torch.ones(2), "1": torch.ones(2)}), 5 * torch.ones(2))


def test_inputs_are_arguments_by_place_or_by_name() -> None:
    assert arguments({"0": 1, "1": 2}) == ((1, 2), {})
    assert arguments({"a": 1}) == ((), {"a": 1})
    assert arguments(7) == ((7,), {})


def test_shapes_are_told() -> None:
    assert shapes({"a": ONE, "b": (TWO, None)}) == "a (3, 2) and b (3, 4) and NoneType"
    assert shapes(ONE, types=True) == "(3, 2) of torch.float32"
