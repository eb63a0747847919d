"""The search for texts, by what each step comes to."""

from __future__ import annotations

import pytest

from dss_tui.viewing.text_search import Hit, has, next_hit, segment_has
from tests.support.scenes import segment

FITS = (False, True, False, True, True)


@pytest.mark.parametrize(
    ("at", "step", "hit"),
    [
        (None, 1, Hit(1, 1, 3)),
        (None, -1, Hit(4, 3, 3)),
        (1, 1, Hit(3, 2, 3)),
        (2, 1, Hit(3, 2, 3)),
        (4, 1, Hit(1, 1, 3)),
        (3, -1, Hit(1, 1, 3)),
        (0, -1, Hit(4, 3, 3)),
    ],
)
def test_the_search_goes_around(at: int | None, step: int, hit: Hit) -> None:
    assert next_hit(FITS, at, step) == hit


def test_nothing_is_found_where_nothing_fits() -> None:
    assert next_hit((False, False), 0, 1) is None
    assert next_hit((), None, 1) is None
    assert Hit(4, 2, 3).words == "2 of 3"


def test_a_number_is_a_bead_and_words_are_a_pair_or_a_state() -> None:
    here = segment(8, 12, 1.0)
    assert segment_has(here, "closed", "8") and segment_has(here, "closed", "12")
    assert not segment_has(here, "closed", "1")  # no bead has that number
    assert segment_has(here, "closed", "8-12") and segment_has(here, "closed", "8–1")
    assert segment_has(here, "✓ proven", "PROV") and not segment_has(here, "closed", "open")
    assert has("Bead 3", "bead") and not has("Bead 3", "4")
