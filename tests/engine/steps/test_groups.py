"""Groups of rows, and their rows in plain numbers."""

from __future__ import annotations

from dataclasses import replace

import torch

from engine.steps.groups import Group
from engine.steps.rows import End, fresh


def test_a_group_goes_while_a_row_does() -> None:
    theta = torch.arange(6.0).view(2, 3)
    rows = fresh(theta, (), 0.5, 9, (1, 2))
    steps = torch.tensor([4, 7])
    ends = torch.tensor([End.REACHED, End.GOING], dtype=torch.int8)
    group = Group((7, 9), replace(rows, end=ends, steps=steps))
    assert group.going and len(group) == 2 and group.bead_steps == 11
    ends = torch.tensor([End.REACHED, End.OUT_OF_STEPS], dtype=torch.int8)
    group = replace(group, rows=replace(group.rows, end=ends))
    assert not group.going
    seven, nine = group.each()
    assert (seven.bead, seven.steps, seven.end) == (7, 4, End.REACHED)
    assert (nine.bead, nine.steps, nine.end.words) == (9, 7, "out of steps")
    assert torch.equal(nine.theta, theta[1])


def test_a_group_where_it_is_already_is_the_same_object() -> None:
    group = Group((7,), fresh(torch.zeros(1, 3), (), 0.5, 9, (1,)))
    assert group.to(torch.device("cpu")) is group
