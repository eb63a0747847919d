"""The shortest string under a model of the loss, against a general solver and closed forms."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from engine.path import shortest
from engine.path.segments import Measured, search_grid
from engine.path.shortest import Places, Shortest, Step, moved, places_of, products_of

Array = NDArray[np.float64]


def drawn(seed: int, segments: int, size: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """A crooked string, and a slope for each of its segments."""
    random = torch.Generator().manual_seed(seed)
    beads = torch.randn(segments + 1, size, generator=random)
    beads[:, 0] += torch.arange(segments + 1)
    slopes = torch.randn(segments, size, generator=random)
    return list(beads), list(slopes)


def profile(t: Array, losses: list[float]) -> Measured:
    highest = int(np.argmax(losses))
    return Measured(t, np.array(losses, float), float(max(losses)), float(t[highest]))


def model(segments: int, seed: int, inner: int = 1) -> Places:
    """Losses of about 1 at places of a string."""
    random, t = np.random.default_rng(seed), search_grid(inner + 2)
    at_beads = random.uniform(0.8, 1, segments + 1)
    profiles = [
        profile(t, [left, *random.uniform(0.8, 1, inner), right])
        for left, right in pairwise(at_beads.tolist())
    ]
    return places_of(profiles, t)


# ---------------------------------------------------------------- places


def test_places_are_those_inside_segments_and_the_inner_beads() -> None:
    t = search_grid(4)
    found = places_of([profile(t, [0, 1, 2, 3]), profile(t, [3, 4, 5, 6])], t)
    assert found.losses.tolist() == [1, 2, 4, 5, 3]
    np.testing.assert_allclose(found.shares.ravel(), [1 / 3, 2 / 3, 2 / 3, 1 / 3, 1.0])
    assert found.mixes.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1], [0.5, 0.5]]


def test_a_peak_between_places_counts_at_all_places_of_its_segment() -> None:
    t = search_grid(3)
    seen = Measured(t, np.array([0.0, 1.0, 0.5]), 1.25, 0.6)
    found = places_of([seen, profile(t, [0.5, 0.0, 0.0])], t)
    assert found.losses.tolist() == [1.25, 0, 0.75]


def test_a_profile_on_another_grid_is_taken_at_the_places() -> None:
    t, fine = search_grid(3), search_grid(5)
    whole = profile(fine, [0, 3, 1, 2, 0])
    found = places_of([whole, profile(fine, [0, 0, 0, 0, 0])], t)
    assert found.losses.tolist() == [3, 0, 2]


# ---------------------------------------------------------------- vectors


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_products_and_moves_are_those_of_whole_vectors(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortest, "CHUNK", chunk)
    beads, slopes = drawn(0, 3, 7)
    vectors = np.concatenate([np.diff(torch.stack(beads).double().numpy(), axis=0), slopes])
    np.testing.assert_allclose(products_of(beads, slopes), vectors @ vectors.T, rtol=1e-6)
    ways = np.random.default_rng(0).standard_normal((2, 6))
    after = moved(beads, slopes, Step(ways, np.zeros(0), np.zeros(0)))
    expected = torch.stack(beads[1:-1]).numpy() + ways @ vectors
    np.testing.assert_allclose(torch.stack(after), expected, rtol=1e-5, atol=1e-6)
    assert all(bead.dtype is torch.float32 for bead in after)


# ---------------------------------------------------------------- the shortest string


def found_by_hand(
    beads: list[torch.Tensor],
    slopes: list[torch.Tensor],
    places: Places,
    curvatures: Array,
    bound: float,
) -> float:
    """The least bounded length under the model, over all moves of the inner beads (SLSQP)."""
    at, steep = torch.stack(beads).double().numpy(), torch.stack(slopes).double().numpy()
    lengths = np.linalg.norm(np.diff(at, axis=0), axis=1)
    shape = at[1:-1].shape

    def length(x: Array) -> float:
        line = np.concatenate([at[:1], at[1:-1] + x.reshape(shape), at[-1:]])
        return float((np.square(np.diff(line, axis=0)).sum(axis=1) / (2 * lengths)).sum())

    def room(x: Array) -> Any:
        by = places.shares @ x.reshape(shape)
        bend = (places.mixes @ curvatures) * np.square(by).sum(axis=1) / 2
        return bound - places.losses - ((places.mixes @ steep) * by).sum(axis=1) - bend

    found = minimize(
        length,
        np.zeros(at[1:-1].size),
        method="SLSQP",
        constraints={"type": "ineq", "fun": room},
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    assert found.success, found.message
    return float(found.fun)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("segments", "inner"), [(2, 1), (3, 1), (4, 3)])
def test_a_step_leads_to_the_shortest_string_of_a_general_solver(
    segments: int, inner: int, seed: int
) -> None:
    beads, slopes = drawn(seed, segments, 4)
    places = model(segments, seed, inner)
    curvatures = np.random.default_rng(seed).uniform(0.5, 2, segments)
    bound = 1.02
    found = Shortest(products_of(beads, slopes), places, curvatures)
    np.testing.assert_allclose(found.curvatures, curvatures)
    step = found.step(bound)
    line = torch.stack([beads[0], *moved(beads, slopes, step), beads[-1]]).double().numpy()
    before = np.linalg.norm(np.diff(torch.stack(beads).double().numpy(), axis=0), axis=1)
    ours = float((np.square(np.diff(line, axis=0)).sum(axis=1) / (2 * before)).sum())
    bends = places.mixes @ curvatures
    expected = places.losses + step.slopes + bends * step.squares / 2
    assert expected.max() <= bound * (1 + 1e-5)
    assert ours == pytest.approx(found_by_hand(beads, slopes, places, curvatures, bound), rel=1e-5)


def test_where_no_bound_is_felt_the_string_is_straight() -> None:
    """Its beads divide the chord as their segments did the string."""
    beads, slopes = drawn(1, 4, 5)
    step = Shortest(products_of(beads, slopes), model(4, 1)).step(1e9)
    line = torch.stack([beads[0], *moved(beads, slopes, step), beads[-1]])
    lengths = (torch.stack(beads)[1:] - torch.stack(beads)[:-1]).norm(dim=1)
    shares = torch.cat([torch.zeros(1), lengths.cumsum(0) / lengths.sum()])
    torch.testing.assert_close(line, torch.lerp(beads[0], beads[-1], shares[:, None]))


def test_a_bound_out_of_reach_is_come_near_to() -> None:
    """The lowest that the model allows is a slope's square over twice the curvature below."""
    beads = [torch.tensor([x, 0.0]) for x in (-1.0, 0.0, 1.0)]
    slopes = [torch.tensor([0.0, 1.0])] * 2
    t = search_grid(3)
    places = places_of([profile(t, [1, 1, 1])] * 2, t)
    found = Shortest(products_of(beads, slopes), places, np.array([4.0, 4.0]))
    step = found.step(0.5)
    expected = places.losses + step.slopes + 4 * step.squares / 2
    assert expected[2] == pytest.approx(1 - 1 / 8, rel=0.05)
    (bead,) = moved(beads, slopes, step)
    assert bead[0].abs() < 1e-6


# ---------------------------------------------------------------- curvatures


def learned(rise: float, high: list[bool]) -> tuple[Array, Array]:
    """The curvatures before and after a step at whose places the loss rose by that much more."""
    beads, slopes = drawn(2, 3, 4)
    places = model(3, 2)
    found = Shortest(products_of(beads, slopes), places, np.ones(3))
    before, step = found.curvatures.copy(), found.step(1.02)
    losses = places.losses + step.slopes + rise * step.squares / 2
    found.learn(step, losses, np.array(high))
    return before, found.curvatures


def test_a_curvature_that_was_seen_is_taken_with_a_little_more() -> None:
    before, after = learned(2.0, [False] * 3)
    np.testing.assert_allclose(after, shortest.LARGER * 2.0 * before)


def test_after_good_steps_curvatures_change_by_bounded_factors() -> None:
    for rise, factor in ((0.0, shortest.DRIFT[0]), (1e6, shortest.DRIFT[1])):
        before, after = learned(rise, [False] * 3)
        np.testing.assert_allclose(after, factor * before)


def test_where_a_step_was_too_far_the_curvature_rises() -> None:
    before, after = learned(0.5, [True, False, False])
    assert after[0] == pytest.approx(shortest.RISE[0] * before[0])
    np.testing.assert_allclose(after[1:], before[1:])
    before, after = learned(1e6, [True, False, False])
    assert after[0] == pytest.approx(shortest.RISE[1] * before[0])


def test_a_loss_that_is_not_finite_raises_the_curvature() -> None:
    beads, slopes = drawn(2, 3, 4)
    places = model(3, 2)
    found = Shortest(products_of(beads, slopes), places, np.ones(3))
    step = found.step(1.02)
    found.learn(step, np.full(len(places.losses), np.nan), np.array([True] * 3))
    np.testing.assert_allclose(found.curvatures, shortest.RISE[1])
