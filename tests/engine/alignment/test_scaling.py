"""Scales of units: balance is the smallest sum of squares, and the same for all equal models."""

from __future__ import annotations

from math import sqrt

import torch

from engine.alignment.relabelling import relabelled, unchanged
from engine.alignment.scaling import balance, balanced
from engine.networks.modules.units.groups import Along, Block, Scales, Units

WEIGHT = Block(((0, 2), (0, 1)), (), (Along(2, None, 0, 1), Along(1, None)))
AFTER = Block(((0, 1), (0, 2)), (), (Along(1, None), Along(2, None, 0, -1)))
UNITS = Units((), (Scales("w:0", 2, None),), {"w": (WEIGHT,), "v": (AFTER,)}, {})
NAMED = {
    "w": torch.tensor([[3.0], [0.0]]).double(),
    "v": torch.tensor([[12.0, 5.0]]).double(),
}


def test_balance_in_closed_form() -> None:
    """A unit in and out with 3 and 12 is balanced at 6 and 6; one that never fires stays."""
    (scale,) = balance(UNITS, NAMED)
    assert torch.allclose(scale, torch.tensor([2.0, 1.0]).double())
    found = balanced(UNITS, NAMED, (scale,))
    assert torch.allclose(found["w"][:, 0], torch.tensor([6.0, 0.0]).double())
    assert torch.allclose(found["v"][0], torch.tensor([6.0, 5.0]).double())


def test_rescaled_models_have_one_balance() -> None:
    by = unchanged(UNITS)
    other = relabelled(UNITS, NAMED, type(by)(by.orders, (torch.tensor([sqrt(7), 0.3]).double(),)))
    ours, theirs = (balanced(UNITS, each, balance(UNITS, each)) for each in (NAMED, other))
    assert torch.allclose(ours["w"], theirs["w"]) and torch.allclose(
        ours["v"][0, 0], theirs["v"][0, 0]
    )
