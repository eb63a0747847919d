"""Mistakes in an optimizer's keys, and the defaults that torch has too."""

from __future__ import annotations

import inspect

import pytest
import torch

from engine.spec.optimizers import Adam, AdamW, Decaying, RmsProp, Sgd
from tests.support.preset import refusal


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ("{kind: sgd, nesterov: true}", ": nesterov: true needs a momentum above 0"),
        (
            "{kind: adamw, weight_decay: -0.1}",
            ".weight_decay: is -0.1, but must be greater than or equal to 0",
        ),
        (
            "{kind: adam, decay_exempt: [biases]}",
            ".decay_exempt.0: is \"biases\"; did you mean 'bias'? (a pattern of names "
            "has a dot or a star: biases.*)",
        ),
    ],
)
def test_a_mistake_is_one_sentence(keys: str, sentence: str) -> None:
    message = refusal(f"search.greedy.optimizer={keys}")
    assert message == f"p.yaml: search.greedy.optimizer{sentence}"


@pytest.mark.parametrize(
    ("ours", "theirs", "names"),
    [
        (Sgd(kind="sgd"), torch.optim.SGD, ["momentum", "nesterov", "weight_decay"]),
        (RmsProp(kind="rmsprop"), torch.optim.RMSprop, ["momentum", "weight_decay", "eps"]),
        (Adam(kind="adam"), torch.optim.Adam, ["lr", "betas", "eps", "weight_decay"]),
        (AdamW(kind="adamw"), torch.optim.AdamW, ["lr", "betas", "eps", "weight_decay"]),
    ],
    ids=["sgd", "rmsprop", "adam", "adamw"],
)
def test_what_is_left_out_is_as_torch_has_it(
    ours: Decaying, theirs: type[torch.optim.Optimizer], names: list[str]
) -> None:
    defaults = inspect.signature(theirs).parameters
    assert {name: getattr(ours, name) for name in names} == {
        name: defaults[name].default for name in names
    }
