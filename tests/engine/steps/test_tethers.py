"""What ties the rows of a string: even spacing, hyperplanes and springs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.methods.tied_string import tether_of
from engine.spec.search import Constrained
from engine.steps import tethers
from engine.steps.pieces import pieces
from engine.steps.tethers import (
    EVEN,
    SPACING_PASSES,
    Hard,
    Off,
    Several,
    Soft,
    Springs,
    Tether,
    evenly_spaced,
    spread,
    unevenness,
)

DOUBLE = torch.float64


def bent(seed: int, beads: int = 9, size: int = 3) -> Tensor:
    """A smooth arc with beads at uneven places."""
    generator = torch.Generator().manual_seed(seed)
    steps = 0.2 + torch.rand(beads - 1, generator=generator, dtype=DOUBLE)
    angle = 2 * torch.cat([torch.zeros(1, dtype=DOUBLE), steps.cumsum(0) / steps.sum()])
    rest = [0.1 * angle * (k + seed + 1) for k in range(size - 2)]
    return torch.stack([angle.cos(), angle.sin(), *rest], dim=1)


def distance_to_polyline(point: Tensor, line: Tensor) -> float:
    start, along = line[:-1], line[1:] - line[:-1]
    t = ((point - start) * along).sum(1) / along.square().sum(1)
    return float((start + t.clamp(0, 1)[:, None] * along - point).norm(dim=1).min())


# ---------------------------------------------------------------- even spacing


@pytest.mark.parametrize("seed", range(5))
def test_evenly_spaced_beads_are_equally_far_apart_and_the_ends_stay(seed: int) -> None:
    before = bent(seed)
    after = evenly_spaced(before)
    lengths = (after[1:] - after[:-1]).norm(dim=1)
    assert unevenness(before) > 0.01
    assert float((lengths - lengths.mean()).abs().max() / lengths.mean()) <= EVEN == 1e-6
    assert torch.equal(after[[0, -1]], before[[0, -1]])
    chord = after[2:] - after[:-2]
    off = ((after[1:-1] - (after[2:] + after[:-2]) / 2) * chord).sum(1)
    assert float((off / chord.square().sum(1)).abs().max()) < 1e-6  # equidistant from both


def test_one_pass_keeps_beads_on_the_old_polyline_in_even_shares_of_its_length() -> None:
    before = bent(1)
    after = spread(before)
    assert torch.equal(after[[0, -1]], before[[0, -1]])
    assert not torch.equal(after, before)
    assert max(distance_to_polyline(bead, before) for bead in after) < 1e-12
    arc = torch.cat([torch.zeros(1, dtype=DOUBLE), (before[1:] - before[:-1]).norm(dim=1)])
    arc = arc.cumsum(0)
    for number, bead in enumerate(after[1:-1], 1):
        target = arc[-1] * number / (len(before) - 1)
        left = int((arc <= target).sum()) - 1
        assert float((bead - before[left]).norm()) == pytest.approx(float(target - arc[left]))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_diverged_string_stays_as_it_is(bad: float) -> None:
    diverged = bent(0, 5)
    diverged[2, 0] = bad
    torch.testing.assert_close(spread(diverged), diverged, equal_nan=True)


def test_degenerate_strings_stay_finite() -> None:
    two = bent(0, 2)
    assert torch.equal(evenly_spaced(two), two)
    assert torch.equal(spread(two), two)
    point = torch.ones(5, 3)
    assert torch.equal(spread(point), point)
    assert torch.equal(evenly_spaced(point), point)
    doubled = bent(0, 6)
    doubled[3] = doubled[2]
    doubled[1] = doubled[0]
    assert bool(spread(doubled).isfinite().all())
    assert unevenness(evenly_spaced(doubled)) <= EVEN
    closed = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    assert bool(evenly_spaced(closed).isfinite().all())


def test_spacing_keeps_the_precision_of_the_weights() -> None:
    assert spread(bent(0).float()).dtype == torch.float32


# ---------------------------------------------------------------- pulls and projections


def test_hard_takes_the_part_along_the_chord_out_of_inner_updates() -> None:
    theta = bent(2)
    update = torch.randn(theta.shape, generator=torch.Generator().manual_seed(5), dtype=DOUBLE)
    left = Hard().project(theta, update, torch.zeros(len(theta), dtype=DOUBLE))
    chord = torch.nn.functional.normalize(theta[2:] - theta[:-2])
    torch.testing.assert_close((left[1:-1] * chord).sum(1), torch.zeros(7, dtype=DOUBLE))
    along = (update[1:-1] * chord).sum(1, keepdim=True) * chord
    assert float(along.abs().max()) > 0.1
    torch.testing.assert_close(left[1:-1], update[1:-1] - along)
    assert torch.equal(left[[0, -1]], update[[0, -1]])


@pytest.mark.parametrize(
    ("tether", "zeta", "kappa"),
    [
        (Springs(0.7), 0.7, 0.0),
        (Soft(0.3), 0.0, 0.3),
        (Several((Springs(0.4), Soft(0.3))), 0.4, 0.3),
        (Off(), 0.0, 0.0),
        (Hard(), 0.0, 0.0),
    ],
)
def test_pulls_are_the_gradients_of_their_costs(tether: Tether, zeta: float, kappa: float) -> None:
    theta = bent(4, 8, 2) * 1.3
    expected = torch.zeros_like(theta)
    for row in range(1, len(theta) - 1):
        left, right = theta[row - 1], theta[row + 1]
        x = theta[row].clone().requires_grad_()
        chord = (right - left) / (right - left).norm()
        cost = zeta * ((left - x).norm() + (right - x).norm())
        cost = cost + kappa * ((x - (left + right) / 2) @ chord).abs()
        (expected[row],) = torch.autograd.grad(cost, x)
    found = tether.pull(theta, torch.zeros(len(theta), dtype=DOUBLE))
    assert bool(expected.any()) == (zeta > 0 or kappa > 0)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_keys_name_the_tethers() -> None:
    def tether(**keys: object) -> Tether:
        return tether_of(Constrained.model_validate(keys))

    assert tether(hyperplane="off") == Off()
    assert tether(hyperplane="hard") == Hard()
    assert tether(hyperplane="soft", kappa=0.2) == Soft(0.2)
    assert tether(hyperplane="off", zeta=0.1) == Springs(0.1)
    assert tether(hyperplane="hard", zeta=0.1) == Several((Springs(0.1), Hard()))
    assert not Off().ties and not Off().pulls
    assert not Hard().pulls and Several((Springs(0.1), Hard())).pulls
    assert Several((Springs(0.1), Hard())).ties


def test_spacing_a_few_beads_at_a_time_gives_the_same_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theta = bent(3).float()

    def found() -> list[Tensor]:
        return [spread(theta), torch.tensor(unevenness(theta))]

    together = found()
    monkeypatch.setattr("engine.steps.pieces.PIECE", 2 * theta[0].nbytes)
    assert len(pieces(theta, 0, len(theta))) > 1
    for one, other in zip(together, found(), strict=True):
        assert torch.equal(one, other)


def test_spacing_ends_where_rounding_leaves_nothing_to_gain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beads far from the origin, where float32 has steps of a thousandth of a segment."""
    passes: list[Tensor] = []

    def counted(theta: Tensor) -> Tensor:
        passes.append(spread(theta))
        return passes[-1]

    monkeypatch.setattr(tethers, "spread", counted)
    far = (bent(1) + 1000).float()
    spaced = evenly_spaced(far)
    assert EVEN < unevenness(spaced) < unevenness(far) / 10
    assert unevenness(spaced) == min(map(unevenness, passes))
    assert len(passes) < 50 < SPACING_PASSES
