"""Paths: their places, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.errors import InputError
from engine.quantities.path import Path, path_of

BEADS = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 19.0]], np.float32)


def test_places_lie_along_the_length() -> None:
    path = Path(BEADS, (1, 7, 2), between=1)
    assert [place.bead for place in path.places] == [1, None, 7, None, 2]
    assert [place.arc for place in path.places] == [0, 0.125, 0.25, 0.625, 1]
    weights = [path.weights(place).tolist() for place in path.places]
    assert weights == [[0, 0], [1.5, 2], [3, 4], [3, 11.5], [3, 19]]
    assert [place.bead for place in path.at_beads] == [1, 7, 2]
    assert path.centroid.tolist() == [2.625, (5 * 2 + 15 * 11.5) / 20]
    np.testing.assert_array_equal(path.spread([5, 6, 7]), [5, np.nan, 6, np.nan, 7])


def test_a_path_without_length_has_places_too() -> None:
    path = Path(np.ones((3, 2), np.float32), (1, 2, 3))
    assert [place.arc for place in path.places] == [0, 0.5, 1]
    assert path.centroid.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("beads", "between", "words"),
    [
        (BEADS[:1], 0, r"have shape \(1, 2\); give \(bead, 2\), two beads or more"),
        (BEADS[:, :1], 0, r"have shape \(3, 1\)"),
        (BEADS[0], 0, r"have shape \(2,\)"),
        (np.full((2, 2), np.inf), 0, "not finite floating-point"),
        (BEADS.astype(int), 0, "not finite floating-point"),
        (BEADS, -1, "between: is -1, but must be at least 0"),
    ],
)
def test_what_is_no_path_is_refused(beads: Any, between: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        path_of(beads, None, 2, between)


def test_beads_without_ids_are_numbered() -> None:
    assert path_of(BEADS.tolist(), None, 2, 0).ids == (1, 2, 3)
    assert path_of(BEADS, (1, 5, 2), 2, 0).ids == (1, 5, 2)
