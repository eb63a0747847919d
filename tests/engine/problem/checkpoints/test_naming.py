"""Which tensors of a checkpoint are the model's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.errors import InputError
from engine.problem.checkpoints.naming import tensors, unprefixed

PATH = Path("c.pt")
OWN = ["fc.weight", "fc.bias"]


def state(value: float = 0.0, prefix: str = "") -> dict[str, Tensor]:
    return {prefix + name: torch.full((2,), value) for name in OWN}


def value(held: Any, key: str | None = None) -> float:
    """The one value of the tensors that are found."""
    found = tensors(held, key, PATH)
    (only,) = {float(each[0]) for each in found.values()}
    return only


def test_plain_weights_come_before_averages() -> None:
    both = {"ema_state_dict": state(2), "state_dict": state(1), "optimizer": {"a": {}}}
    assert value(both) == 1
    assert value(both, "ema_state_dict") == 2
    assert value({"epoch": 3, "model_ema": state(2)}) == 2


def test_keys_of_nested_mappings_have_dots() -> None:
    held = {"models": {"teacher": state(3), "student": state(4)}, "a.b": state(5)}
    assert value(held, "models.student") == 4
    assert value(held, "a.b") == 5
    with pytest.raises(InputError, match=r"has no key 'techer'; did you mean 'teacher'\?"):
        value(held, "models.techer")


@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.", "model.", "module.module.", "net.backbone."]
)
def test_the_prefix_is_found(prefix: str) -> None:
    counted = prefix.startswith("module.")  # as averaged models have it
    held = state(1, prefix) | ({"n_averaged": torch.tensor(3)} if counted else {})
    assert unprefixed(held, OWN, None, PATH).keys() == set(OWN)


def test_parts_may_be_compiled() -> None:
    held = {"model._orig_mod.fc._orig_mod.weight": torch.ones(2), "model.fc.bias": torch.ones(2)}
    assert unprefixed(held, OWN, None, PATH).keys() == set(OWN)


def test_several_prefixes_are_refused_and_one_is_chosen() -> None:
    held = state(1, "model.") | state(2, "teacher.")
    with pytest.raises(InputError, match=r"more than once, under model\. and teacher\."):
        unprefixed(held, OWN, None, PATH)
    assert float(unprefixed(held, OWN, "teacher.", PATH)["fc.bias"][0]) == 2
    with pytest.raises(InputError, match=r"begins with 'student\.'; they begin with model\. and"):
        unprefixed(held, OWN, "student.", PATH)


def test_names_of_the_network_itself_are_no_prefix() -> None:
    """What else there is stays, so that it can be refused."""
    held = state(1) | state(2, "model.")
    assert unprefixed(held, OWN, None, PATH).keys() == held.keys()
