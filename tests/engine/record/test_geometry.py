"""The geometry of strings against figures that can be drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engine.record.geometry import (
    in_plane,
    loss_along,
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


def test_the_loss_along_a_string_is_laid_end_to_end() -> None:
    along = loss_along([4.0, 10.0], [[0.3, 0.5, 0.2], [0.2, 0.9, 0.4]])
    assert along == [[(0, 0.3), (2, 0.5), (4, 0.2)], [(4, 0.2), (9, 0.9), (14, 0.4)]]


def test_the_projection_keeps_distances_within_a_plane() -> None:
    draw = np.random.default_rng(6)
    plane = draw.normal(size=(9, 2)) * [5, 2]
    axes, _ = np.linalg.qr(draw.normal(size=(40, 2)))
    beads = (plane @ axes.T + draw.normal(size=40)).astype(np.float32)
    seen = np.array(in_plane(beads))
    distances = np.linalg.norm(seen[:, None] - seen[None], axis=2)
    expected = np.linalg.norm(plane[:, None] - plane[None], axis=2)
    np.testing.assert_allclose(distances, expected, atol=1e-4)
    assert seen[:, 0].var() > seen[:, 1].var()


def test_a_plane_needs_three_beads_of_finite_weights() -> None:
    assert in_plane(BENT[:2]) == []
    assert in_plane(np.where(BENT == 1, np.inf, BENT).astype(np.float32)) == []
    assert len(in_plane(BENT)) == 4
