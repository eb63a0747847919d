"""The level and its tolerance in numbers and in words."""

from __future__ import annotations

import pytest

from engine.spec.level import both, bound, in_brackets, too_high


def test_the_numbers_in_words() -> None:
    assert bound(0.3, 0.0) == 0.3
    assert bound(0.2, 0.5) == pytest.approx(0.3)
    assert (both(0.3, 0.0), in_brackets(0.3, 0.0)) == ("", "")
    assert too_high(0.3, 0.0) == "the level"
    assert both(0.3, 0.05) == "level 0.3, tolerance 0.05"
    assert in_brackets(0.3, 0.05) == " (level 0.3, tolerance 0.05)"
    assert too_high(0.3, 0.05) == "the level 0.3 by more than its tolerance 0.05"
