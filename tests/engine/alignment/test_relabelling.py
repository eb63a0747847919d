"""Tensors with their units in another order, against loops over their entries."""

from __future__ import annotations

import torch

from engine.alignment.relabelling import Relabelling, relabelled, same_order, unchanged
from engine.networks.modules.units.groups import Along, Block, Group, Scales, Taken, Units

GROUPS = (Group("w:0", 3), Group("w:1", 2, parent=0), Group("v:0", 2))
SCALES = (Scales("v:0", 2, 2),)
#: Units within units along the first axis, three times two, and behind them two of another group.
WHOLE = Block(
    ((0, 6), (0, 2)), (), (Along(3, 0), Along(2, 1, parent=0), Along(2, 2, scale=0, sign=-1))
)
#: A part of a longer axis: its last two places, of the second of two rows.
PART = Block(((0, 2), (1, 2)), (Taken((2, 2), 0, 1),), (Along(2, 2, scale=0),))
UNITS = Units(GROUPS, SCALES, {"w": (WHOLE,), "v": (PART,)}, {})
NAMED = {
    "w": torch.arange(12.0).reshape(6, 2),
    "v": torch.arange(6.0).reshape(2, 3),
    "u": torch.ones(1),
}
BY = Relabelling(
    (
        torch.tensor([2, 0, 1]),
        torch.tensor([[1, 0], [0, 1], [1, 0]]),
        torch.tensor([1, 0]),
    ),
    (torch.tensor([4.0, 0.5]).double(),),
)


def test_every_entry_goes_where_its_units_go() -> None:
    found = relabelled(UNITS, NAMED, BY)
    outer, inner, other = (order.tolist() for order in BY.orders)
    scale = BY.scales[0].tolist()
    for k in range(3):
        for i in range(2):
            for j in range(2):
                source = NAMED["w"][2 * outer[k] + inner[k][i], other[j]]
                assert found["w"][2 * k + i, j] == source / scale[j]
    assert found["v"].tolist() == [[0, 1, 2], [3, 4.0 * 5, 0.5 * 4]]
    assert found["u"].tolist() == [1]
    assert NAMED["w"][0].tolist() == [0, 1]  # the model itself stays


def test_what_changes_nothing() -> None:
    same = unchanged(UNITS)
    assert all(torch.equal(NAMED[n], each) for n, each in relabelled(UNITS, NAMED, same).items())
    assert same_order(GROUPS, GROUPS[1]).tolist() == [[0, 1]] * 3
    assert same.moved() == (0, 0, 0) and BY.moved() == (3, 4, 2)
