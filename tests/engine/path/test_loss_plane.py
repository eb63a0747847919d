"""Loss planes of landscapes in closed form, and of beads whose places are known."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.errors import InputError
from engine.path.loss_plane import MARGIN, POINTS, Frame, Measured, measure_plane
from engine.workers.pool import Pool
from tests.support.landscapes import landscape
from tests.support.workers import Here, vmapped

MIDDLE = torch.tensor([0.3, -0.2, 0.7, 0.1], dtype=torch.float64)
SCALES = torch.tensor([1.0, 4.0, 0.5, 2.0], dtype=torch.float64)

BEADS = {
    3: torch.tensor([0.1, 0.2, -0.4, 0.5]),
    1: torch.tensor([1.3, -0.7, 0.2, 0.9]),
    8: torch.tensor([-0.6, 0.4, 1.1, -0.2]),
    5: torch.tensor([0.9, 0.9, -0.3, 0.4]),
}


def bowl(w: Tensor) -> Tensor:
    return (SCALES.to(w) * (w - MIDDLE.to(w)).square()).sum()


def of_bowl(theta: NDArray[np.float64]) -> float:
    return float((SCALES.numpy() * (theta - MIDDLE.numpy()) ** 2).sum())


def measured(beads: tuple[int, int, int] = (3, 1, 8), workers: int = 1) -> Measured:
    backend = vmapped(landscape(bowl, 4))
    with Pool(backend, [torch.device("cpu")] * workers) as pool:
        return measure_plane(pool, beads, BEADS, (1, 3, 5, 8), samples=3, dtype=torch.float64)


def basis(
    beads: tuple[int, int, int],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The origin and two unit vectors of a plane, by Gram and Schmidt."""
    a, b, c = (BEADS[bead].double().numpy() for bead in beads)
    first = (b - a) / np.linalg.norm(b - a)
    rest = (c - a) - first * ((c - a) @ first)
    return a, first, rest / np.linalg.norm(rest)


@pytest.mark.parametrize("beads", [(3, 1, 8), (8, 5, 1), (1, 8, 3)])
@pytest.mark.parametrize("workers", [1, 2])
def test_every_point_is_the_loss_at_its_place(beads: tuple[int, int, int], workers: int) -> None:
    found = measured(beads, workers)
    origin, first, second = basis(beads)
    assert found.losses.shape == (POINTS, POINTS) == (21, 21)
    for row, y in enumerate(found.y):
        for column, x in enumerate(found.x):
            expected = of_bowl(origin + x * first + y * second)
            assert found.losses[row, column] == pytest.approx(expected, rel=1e-12)


def test_beads_are_projected_with_their_distances() -> None:
    found = measured()
    origin, first, second = basis((3, 1, 8))
    assert [spot.bead for spot in found.string] == [1, 3, 5, 8]
    for spot in found.string:
        step = BEADS[spot.bead].double().numpy() - origin
        x, y = step @ first, step @ second
        away = np.linalg.norm(step - x * first - y * second)
        assert (spot.x, spot.y) == pytest.approx((x, y), abs=1e-12)
        assert spot.distance == pytest.approx(away, abs=1e-12)
        own = of_bowl(BEADS[spot.bead].double().numpy())
        assert spot.loss == pytest.approx(own, rel=1e-12)
    assert found.string[2].distance > 0.5  # of bead 5; the others lie in the plane
    on = {spot.bead: (spot.x, spot.y) for spot in found.string}
    for corner in found.corners:
        assert (corner.x, corner.y) == pytest.approx(on[corner.bead], abs=1e-12)
        assert corner.loss == pytest.approx(of_bowl(BEADS[corner.bead].double().numpy()))
    assert found.corners[1].y == 0 and found.corners[2].y > 0


def test_the_grid_leaves_a_margin_around_the_triangle() -> None:
    found = measured()
    across = [corner.x for corner in found.corners]
    up = [corner.y for corner in found.corners]
    longer = max(max(across) - min(across), max(up) - min(up))
    for axis, values in ((found.x, across), (found.y, up)):
        assert min(values) - axis[0] == pytest.approx(MARGIN * longer)
        assert axis[-1] - max(values) == pytest.approx(MARGIN * longer)
        np.testing.assert_allclose(np.diff(axis), (axis[-1] - axis[0]) / 20)


def test_at_the_beads_the_weights_are_their_own_to_the_last_bit() -> None:
    a, b, c = (BEADS[bead] for bead in (3, 1, 8))
    frame = Frame.through(a, b, c, (3, 1, 8))
    at = [(0.0, 0.0), (frame.base, 0.0), (frame.foot, frame.height)]
    for (x, y), share in zip(at, np.eye(3), strict=True):
        assert (frame.shares(np.array([x]), np.array([y]))[0] == share).all()


def test_a_loss_that_is_not_finite_stays_at_its_points() -> None:
    def cliff(w: Tensor) -> Tensor:
        return torch.where(w[0] > 1.0, torch.inf, w.square().sum())

    with Pool(vmapped(landscape(cliff, 4)), [torch.device("cpu")]) as pool:
        found = measure_plane(pool, (3, 1, 8), BEADS, (), samples=3, dtype=torch.float64)
    origin, first, second = basis((3, 1, 8))
    places = origin[0] + found.x * first[0] + found.y[:, None] * second[0]
    assert (np.isinf(found.losses) == (places > 1.0)).all()
    assert 0 < np.isinf(found.losses).sum() < POINTS**2


HALF = {1: torch.tensor([0.25, 0.5]), 2: torch.tensor([0.75, -0.5]), 4: torch.tensor([0.5, 0.0])}


@pytest.mark.parametrize(
    ("weights", "beads", "words"),
    [
        (HALF, (1, 2, 4), "beads 1, 2 and 4 lie on one line and span no plane"),
        (HALF, (1, 2, 2), "beads 1, 2 and 2 lie on one line"),
        (HALF, (1, 1, 2), "beads 1, 1 and 2 lie on one line"),
        (HALF, (4, 4, 4), "beads 4, 4 and 4 lie on one line"),
        (HALF, (1, 2, 9), "there is no bead 9; choose from 1, 2 and 4"),
        (dict.fromkeys(range(40), HALF[1]), (99, 1, 2), "10, 11 and 28 more"),
        ({}, (1, 2, 3), "there is no bead 1: there are no beads yet"),
        (HALF | {4: torch.tensor([nan, 0.0])}, (1, 2, 4), "weights that are not finite numbers"),
    ],
)
def test_three_beads_that_span_no_plane_are_refused(
    weights: dict[int, Tensor], beads: tuple[int, int, int], words: str
) -> None:
    pool = Here(vmapped(landscape(bowl)))
    with pytest.raises(InputError, match=words):
        measure_plane(pool, beads, weights, (), samples=3, dtype=torch.float64)


def test_a_bead_of_the_string_that_is_not_finite_has_no_place() -> None:
    weights = BEADS | {5: torch.full((4,), nan)}
    pool = Here(vmapped(landscape(bowl, 4)))
    found = measure_plane(pool, (3, 1, 8), weights, (1, 5), samples=3, dtype=torch.float64)
    assert np.isnan([found.string[1].x, found.string[1].y, found.string[1].distance]).all()
