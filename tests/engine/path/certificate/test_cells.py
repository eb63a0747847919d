"""Whole segments: proven where the truth is below the level, refuted where it is above."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import inf, nan

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.path.certificate.cells import NARROWEST, prove
from engine.path.certificate.network import Provable
from engine.path.certificate.proof import Cell, Proof
from engine.shapes import Weights
from tests.support.products import ENDS, chain_of_products, peak_of_products, product
from tests.support.provable import provable_of


@pytest.mark.parametrize(("left", "right"), ENDS)
@pytest.mark.parametrize("above", [1e-6, 1e-3, 1.0])
def test_a_level_above_the_true_peak_is_proven(left: Weights, right: Weights, above: float) -> None:
    net, peak = chain_of_products(len(left)), peak_of_products(left, right)
    proof = prove(net, left, right, peak * (1 + above))
    assert proof.proven and proof.refuted_at is None and proof.undecided is None
    assert peak * (1 - 1e-12) <= proof.bound <= peak * (1 + above)
    assert proof.cells[0].u == 0 and proof.cells[-1].v == 1
    assert all(cell.v == after.u for cell, after in pairwise(proof.cells))


@pytest.mark.parametrize(("left", "right"), ENDS)
@pytest.mark.parametrize("below", [1e-3, 1e-4, 1e-5, 1e-6])
def test_a_level_below_the_true_peak_is_refuted(
    left: Weights, right: Weights, below: float
) -> None:
    net, peak = chain_of_products(len(left)), peak_of_products(left, right)
    proof = prove(net, left, right, peak * (1 - below))
    assert not proof.proven and proof.bound == inf
    assert proof.refuted_at is not None and 0 <= proof.refuted_at <= 1
    t = proof.refuted_at
    output = float(torch.prod((1 - t) * left + t * right))
    assert (output - 2) ** 2 == pytest.approx(proof.refuted_by, rel=1e-12)
    assert (output - 2) ** 2 > peak * (1 - below)


@pytest.fixture(scope="module")
def parabola() -> tuple[Provable, list[Weights]]:
    """A 1-4-4-1 ReLU network on 60 points of a parabola, and three beads that fit it somewhat."""
    torch.manual_seed(5)
    network = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    x = torch.linspace(0, 1, 60, dtype=torch.float64)[:, None]
    net = provable_of(network, "mse", x, 0.1 + 0.25 * x + 0.5 * x**2)
    size = sum(p.numel() for p in network.parameters())
    start = 0.5 * torch.randn(size, dtype=torch.float64)
    way = 0.3 * torch.randn(2, size, dtype=torch.float64)
    return net, [start, start + way[0], start + way[0] + way[1]]


def sampled(net: Provable, left: Weights, right: Weights, points: int = 4001) -> Tensor:
    """(point,) The mean loss on an even grid of t, by plain passes."""
    found = []
    t = torch.linspace(0, 1, points, dtype=torch.float64)[:, None]
    weights = net.named((1 - t) * left + t * right)
    for number in range(points):
        own = {name: value[number] for name, value in weights.items()}
        x = net.samples.x
        for layer in ("0", "2", "4"):
            x = nn.functional.linear(x, own[f"{layer}.weight"], own[f"{layer}.bias"])
            x = torch.relu(x) if layer != "4" else x
        found.append((x - net.samples.y).square().sum(1).mean())
    return torch.stack(found)


def test_a_relu_network_is_proven_just_above_its_peak_and_refuted_just_below(
    parabola: tuple[Provable, list[Weights]],
) -> None:
    net, beads = parabola
    for left, right in pairwise(beads):
        peak = float(sampled(net, left, right).max())
        assert prove(net, left, right, 1.0001 * peak).proven
        for below in (1e-3, 1e-4, 1e-5):
            assert prove(net, left, right, (1 - below) * peak).refuted_at is not None


def test_a_moved_bead_is_refuted(parabola: tuple[Provable, list[Weights]]) -> None:
    net, (left, middle, right) = parabola
    level = 1.001 * max(
        float(sampled(net, *pair).max()) for pair in ((left, middle), (middle, right))
    )
    assert prove(net, left, middle, level).proven and prove(net, middle, right, level).proven
    moved = middle + 0.5
    assert float(sampled(net, moved, moved, 2)[0]) > level
    assert prove(net, left, moved, level).refuted_at is not None
    assert prove(net, moved, right, level).refuted_at is not None


def test_a_spike_between_the_points_of_a_fine_grid_is_refuted() -> None:
    """Three steep units make a loss that is 0 but on one ten-thousandth of the segment."""
    network = nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 1, bias=False))
    one = torch.ones(1, 1, dtype=torch.float64)
    net = provable_of(network, "mse", one, 0 * one)
    steep, centre, half = 2.0**14, 0.5 + 1 / 700, 2.0**-14
    kinks = [centre - half, centre, centre + half]
    left = product(0.0, 0.0, 0.0, *(-steep * kink for kink in kinks), 1.0, -2.0, 1.0)
    right = product(0.0, 0.0, 0.0, *(steep * (1 - kink) for kink in kinks), 1.0, -2.0, 1.0)

    def loss(t: float) -> float:
        up, top, down = (max(0.0, steep * (t - kink)) for kink in kinks)
        return (up - 2 * top + down) ** 2

    assert max(loss(t) for t in np.linspace(0, 1, 3211)) < 1e-15
    assert loss(centre) == pytest.approx(1.0)
    proof = prove(net, left, right, 0.5)
    assert proof.refuted_at is not None and abs(proof.refuted_at - centre) < half
    assert proof.refuted_by == pytest.approx(loss(proof.refuted_at), rel=1e-9)


def test_weights_that_are_not_numbers_prove_nothing(
    parabola: tuple[Provable, list[Weights]],
) -> None:
    net, (left, right, _) = parabola
    for value in (nan, inf):
        broken = right.clone()
        broken[3] = value
        proof = prove(net, left, broken, 1e9, effort=200)
        assert not proof.proven and proof.bound == inf


def test_effort_is_bounded_and_what_is_left_is_told() -> None:
    left, right = ENDS[0]
    net, peak = chain_of_products(2), peak_of_products(left, right)
    proof = prove(net, left, right, peak * (1 + 1e-15), effort=30)
    assert not proof.proven and proof.refuted_at is None
    assert proof.undecided is not None
    u, v = proof.undecided
    assert 0 <= u < v <= 1 and v - u >= NARROWEST
    assert 30 <= proof.bounds < 30 + 32


def test_a_rerun_finds_the_same_cells(parabola: tuple[Provable, list[Weights]]) -> None:
    net, (left, right, _) = parabola
    level = 1.0001 * float(sampled(net, left, right).max())
    assert prove(net, left, right, level) == prove(net, left, right, level)


def test_the_ends_are_the_losses_at_the_beads(parabola: tuple[Provable, list[Weights]]) -> None:
    net, (left, right, _) = parabola
    proof = prove(net, left, right, 1e3)
    ends = sampled(net, left, right, 2)
    assert proof.ends == pytest.approx(ends.tolist(), rel=1e-12)
    assert proof.cells == (Cell(0.0, 1.0, proof.bound),) and proof.bounds == 1


def test_what_a_bound_leaves_below_the_level_is_not_bounded_again(
    parabola: tuple[Provable, list[Weights]],
) -> None:
    """Just above the peak, only the parts of cells near it are cut."""
    net, (left, right, _) = parabola
    profile = sampled(net, left, right)
    peak = float(profile.max())
    proof = prove(net, left, right, 1.0001 * peak)
    assert proof.proven and proof.bounds < 2 * len(proof.cells)
    for cell in proof.cells:
        inside = profile[round(4000 * cell.u) : round(4000 * cell.v) + 1]
        if len(inside):
            assert float(inside.max()) <= cell.bound <= 1.0001 * peak
        assert all((2.0**26 * 32 * t).is_integer() for t in (cell.u, cell.v))


def test_an_error_rate_is_proven_where_no_sample_changes_sides() -> None:
    """Two samples on the sides of a boundary that turns but does not reach them; a third does."""
    network = nn.Linear(2, 2, bias=False)
    x = torch.tensor([[2.0, 0.0], [0.0, 2.0], [1.0, 0.9]], dtype=torch.float64)
    net = provable_of(network, "error_rate", x, torch.tensor([0, 1, 0]))
    left = product(1.0, 0.0, 0.0, 1.0)  # the third sample is right by 0.1
    right = product(1.0, 0.0, 0.2, 1.0)  # and wrong by 0.1
    assert prove(net, left, right, 1 / 3).proven
    found = prove(net, left, right, 0.3)
    assert found.refuted_at is not None and found.refuted_at > 0.5
    assert found.refuted_by == pytest.approx(1 / 3)
    assert prove(net, left, left, 0.0).proven


def test_a_proof_says_nothing_where_a_cell_is_missing() -> None:
    whole = Proof((Cell(0.0, 0.5, 1.0), Cell(0.5, 1.0, 2.0)), 3, (0.5, 0.5))
    assert whole.proven and whole.bound == 2.0
    assert replace(whole, undecided=(0.25, 0.5)).bound == inf
    assert replace(whole, refuted_at=0.3, refuted_by=9.0).bound == inf
