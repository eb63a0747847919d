"""The geometry of strings against figures that can be drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engine.record.geometry import (
    Space,
    in_space,
    normalized_length,
    segment_lengths,
    turning_angles,
)

#: Three steps of lengths 5, 13 and 2, the first two at a right angle.
BENT = np.array([[0, 0, 1], [3, 4, 1], [-7.4, 11.8, 1], [-7.4, 11.8, 3]], np.float32)


def test_lengths() -> None:
    np.testing.assert_allclose(segment_lengths(BENT), [5, 13, 2], rtol=1e-6)
    chord = np.sqrt(7.4**2 + 11.8**2 + 2**2)
    assert normalized_length(BENT) == pytest.approx(20 / chord, rel=1e-6)
    straight = np.array([[1, 2], [2.5, 4], [4, 6]], np.float32)
    assert normalized_length(straight) == pytest.approx(1.0)
    assert normalized_length(np.array([[1, 2], [3, 4], [1, 2]], np.float32)) == np.inf


def test_turning_angles() -> None:
    np.testing.assert_allclose(np.degrees(turning_angles(BENT)), [90, 90], atol=1e-4)
    eighth = np.array([[0, 0], [2, 0], [3, 1], [2, 0]], np.float32)
    np.testing.assert_allclose(np.degrees(turning_angles(eighth)), [45, 180], atol=1e-3)


def test_the_projection_keeps_distances_within_a_space() -> None:
    draw = np.random.default_rng(6)
    space = draw.normal(size=(9, 3)) * [5, 2, 1]
    axes, _ = np.linalg.qr(draw.normal(size=(40, 3)))
    beads = (space @ axes.T + draw.normal(size=40)).astype(np.float32)
    found = in_space(beads)
    assert found is not None
    seen = np.array(found.places)
    distances = np.linalg.norm(seen[:, None] - seen[None], axis=2)
    expected = np.linalg.norm(space[:, None] - space[None], axis=2)
    np.testing.assert_allclose(distances, expected, atol=1e-4)
    assert seen[:, 0].var() > seen[:, 1].var() > seen[:, 2].var()
    variances = seen.var(axis=0) / beads.astype(float).var(axis=0).sum()
    assert found.shares == pytest.approx(tuple(variances), rel=1e-4)
    assert sum(found.shares) == pytest.approx(1, abs=1e-4)
    again = in_space(-beads)  # the string mirrored: endpoint 1 is on the left all the same
    assert again is not None
    assert seen[0, 0] <= seen[-1, 0] and again.places[0][0] <= again.places[-1][0]


def test_the_shares_of_variance_leave_out_what_the_space_does() -> None:
    found = in_space(np.diag([3.0, 2.5, 2.0, 1.0, 0.5]).astype(np.float32))
    assert found is not None
    assert 0.8 < sum(found.shares) < 1
    assert found.shares[0] > found.shares[1] > found.shares[2]


def test_a_space_needs_three_beads_of_finite_weights() -> None:
    assert in_space(BENT[:2]) is None
    assert in_space(np.where(BENT == 1, np.inf, BENT).astype(np.float32)) is None
    found = in_space(BENT)
    assert found is not None and len(found.places) == 4
    flat = in_space(BENT[:3])  # three beads lie in a plane
    assert flat is not None and flat.shares[2] == pytest.approx(0, abs=1e-12)


AXES = Space(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), (0.5, 0.3, 0.2))


@pytest.mark.parametrize(
    ("turn", "tilt", "seen"),
    [
        (0, 0, [(1, 0), (0, 1), (0, 0)]),
        (90, 0, [(0, 0), (0, 1), (1, 0)]),
        (180, 0, [(-1, 0), (0, 1), (0, 0)]),
        (-90, 0, [(0, 0), (0, 1), (-1, 0)]),
        (0, 90, [(1, 0), (0, 0), (0, -1)]),
        (0, -90, [(1, 0), (0, 0), (0, 1)]),
        (90, 90, [(0, 1), (0, 0), (1, 0)]),
    ],
)
def test_the_axes_seen_from_other_sides(
    turn: float, tilt: float, seen: list[tuple[float, float]]
) -> None:
    np.testing.assert_allclose(np.array(AXES.seen(turn, tilt)), seen, atol=1e-12)


@pytest.mark.parametrize(("turn", "tilt"), [(15, 0), (0, 30), (40, -70), (170, 85)])
def test_a_turn_is_a_rotation(turn: float, tilt: float) -> None:
    """What is seen of the three axes are two rows of an orthogonal matrix."""
    rows = np.array(AXES.seen(turn, tilt)).T
    np.testing.assert_allclose(rows @ rows.T, np.eye(2), atol=1e-12)
