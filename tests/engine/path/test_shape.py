"""The shape of strings, against the geometry in numpy and angles that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from engine.path import shape
from engine.path.shape import Shapes
from engine.path.snapshot import distance
from engine.record.geometry import normalized_length, turning_angles


def test_a_shape_is_that_of_the_geometry() -> None:
    beads = torch.randn(7, 40, generator=torch.Generator().manual_seed(3))
    found = Shapes().of(beads.unbind())
    angles = np.degrees(turning_angles(beads.numpy()))
    assert found.normalized_length == pytest.approx(normalized_length(beads.numpy()), rel=1e-12)
    assert found.turn_mean == pytest.approx(angles.mean(), rel=1e-9)
    assert found.turn_max == pytest.approx(angles.max(), rel=1e-9)


def test_the_length_over_weights_alone_leaves_biases_out() -> None:
    """The biases stand at 10 to 14 and at the end, as those of a network's layers do."""
    beads = torch.randn(5, 20, generator=torch.Generator().manual_seed(4))
    found = Shapes([slice(0, 10), slice(14, 18)]).of(beads.unbind())
    alone = np.delete(beads.numpy(), [10, 11, 12, 13, 18, 19], axis=1)
    assert found.normalized_length == pytest.approx(normalized_length(beads.numpy()), rel=1e-12)
    assert found.normalized_length_weights == pytest.approx(normalized_length(alone), rel=1e-12)
    assert found.normalized_length_weights != pytest.approx(found.normalized_length, rel=1e-3)


def test_without_biases_both_lengths_are_one_and_without_weights_there_is_one() -> None:
    beads = torch.randn(4, 6, generator=torch.Generator().manual_seed(5)).unbind()
    found = Shapes().of(beads)
    assert found.normalized_length_weights == found.normalized_length
    assert Shapes([]).of(beads).normalized_length_weights is None


def test_angles_of_a_corner_and_of_a_way_back() -> None:
    corner = [torch.tensor(at) for at in ([0.0, 0.0], [1.0, 0.0], [1.0, 2.0])]
    found = Shapes().of(corner)
    assert (found.turn_mean, found.turn_max) == pytest.approx((90.0, 90.0))
    back = [*corner, torch.tensor([1.0, 1.0])]
    found = Shapes().of(back)
    assert (found.turn_mean, found.turn_max) == pytest.approx((135.0, 180.0))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_without_inner_beads_there_is_no_angle(count: int) -> None:
    found = Shapes().of([torch.tensor([float(at)]) for at in range(count)])
    assert found.turn_mean is None and found.turn_max is None
    assert math.isnan(found.normalized_length) == (count == 0)


def test_beads_in_one_place_have_no_angle_and_spoil_none() -> None:
    places = ([0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [2.0, 0.0], [2.0, 1.0])
    found = Shapes().of([torch.tensor(at) for at in places])
    assert (found.turn_mean, found.turn_max) == pytest.approx((90.0, 90.0))


def test_only_what_moved_is_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven beads, of which one moves: it has two segments and three angles."""
    beads = list(torch.randn(7, 5, generator=torch.Generator().manual_seed(1)).unbind())
    shapes = Shapes()
    shapes.of(beads)
    lengths: list[object] = []
    turns: list[object] = []

    def counted(left: torch.Tensor, right: torch.Tensor) -> float:
        lengths.append((left, right))
        return distance(left, right)

    def angle(share: float) -> float:
        turns.append(share)
        return acos(share)

    acos = math.acos
    monkeypatch.setattr(shape, "distance", counted)
    monkeypatch.setattr(math, "acos", angle)
    beads[3] = beads[3] + 1
    moved = shapes.of(beads)
    assert (len(lengths), len(turns)) == (2, 3)
    assert moved == Shapes().of(beads)
