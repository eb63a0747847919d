"""Curves with control points: the shares of rows, the places drawn, and room for simplexes."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from engine.steps.curves import Bezier, Curve, Polychain, Roomy, Simplexes

CURVES = [Bezier(), Polychain(), Simplexes()]
DOUBLE = torch.float64


def keys_of(count: int, seed: int = 0) -> Tensor:
    return torch.randint(2**62, (count,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("rows", [3, 4, 6])
def test_models_are_weighted_means_that_lead_from_end_to_end(curve: Curve, rows: int) -> None:
    along = curve.along(rows, torch.linspace(0, 1, 41, dtype=DOUBLE))
    assert along.shape == (41, rows)
    assert (along >= 0).all()
    torch.testing.assert_close(along.sum(1), torch.ones(41, dtype=DOUBLE))
    torch.testing.assert_close(along[0], torch.eye(rows, dtype=DOUBLE)[0])
    torch.testing.assert_close(along[-1], torch.eye(rows, dtype=DOUBLE)[-1])
    places = curve.places(rows)
    assert (places[0], places[-1]) == (0, 1)
    assert places == sorted(set(places))


@pytest.mark.parametrize("curve", CURVES)
def test_only_what_bends_leaves_the_lines_between_its_places(curve: Curve) -> None:
    theta = torch.randn(5, 7, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
    off = 0.0
    for left, right in pairwise(curve.places(5)):
        t = torch.tensor([left, (left + right) / 2, right], dtype=DOUBLE)
        first, middle, last = curve.along(5, t) @ theta
        off = max(off, float((middle - (first + last) / 2).norm()))
    assert (off > 0.1) == curve.bends
    assert off > 0.1 or off < 1e-12


def test_a_bezier_curve_is_that_of_de_casteljau() -> None:
    theta = torch.randn(5, 3, dtype=DOUBLE, generator=torch.Generator().manual_seed(2))
    for t in (0.0, 0.2, 0.7, 1.0):
        points = theta
        while len(points) > 1:
            points = (1 - t) * points[:-1] + t * points[1:]
        found = Bezier().along(5, torch.tensor([t], dtype=DOUBLE)) @ theta
        torch.testing.assert_close(found, points)


@pytest.mark.parametrize("curve", [Bezier(), Polychain()])
def test_one_place_is_drawn_in_each_equal_part_of_the_curve(curve: Curve) -> None:
    steps = [curve.shares(5, keys_of(3, seed)) for seed in range(1000)]
    shares = torch.stack(steps)
    assert torch.equal(shares[7], curve.shares(5, keys_of(3, 7)))  # the keys say all
    fine = torch.linspace(0, 1, 3001, dtype=DOUBLE)
    for part in range(3):
        mean = curve.along(5, fine[part * 1000 : (part + 1) * 1000 + 1]).mean(0)
        torch.testing.assert_close(shares[:, part].mean(0), mean, atol=0.04, rtol=0)


def test_points_of_simplexes_are_uniform_and_of_both_alike() -> None:
    """Of a uniform point of a simplex with k + 1 vertices each share is 1 / (k + 1) in the mean."""
    shares = torch.cat([Simplexes().shares(5, keys_of(3, seed)) for seed in range(2000)])
    torch.testing.assert_close(shares.sum(1), torch.ones(6000, dtype=DOUBLE))
    assert ((shares[:, 0] == 0) ^ (shares[:, -1] == 0)).all()
    wanted = torch.tensor([1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8], dtype=DOUBLE)
    torch.testing.assert_close(shares.mean(0), wanted, atol=0.01, rtol=0)
    # A share of a uniform point is above s with the chance (1 - s)^k.
    assert float((shares[:, 2] > 0.5).double().mean()) == pytest.approx(0.125, abs=0.015)


@pytest.mark.parametrize("free", [1, 2, 3])
def test_room_is_the_gradient_of_the_volumes(free: int) -> None:
    theta = torch.randn(free + 2, 6, dtype=DOUBLE, generator=torch.Generator().manual_seed(free))
    moving = theta.clone().requires_grad_()
    cost = torch.zeros((), dtype=DOUBLE)
    for end in (theta[:1], theta[-1:]):
        edges = moving[1:-1] - end
        cost = cost - 0.3 * torch.logdet(edges @ edges.T) / 2
    (wanted,) = torch.autograd.grad(cost, moving)
    found = Roomy(0.3).pull(theta, torch.zeros(free + 2, dtype=DOUBLE))
    torch.testing.assert_close(found[1:-1], wanted[1:-1])
    assert not found[[0, -1]].any()
