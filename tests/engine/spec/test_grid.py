"""The levels that a grid of searches is asked for."""

from __future__ import annotations

import pytest

from engine.spec.grid import Grid, level_of, levels_of, text_of
from engine.spec.keys import Spec
from engine.spec.search import TimesEnds
from tests.support.preset import spec_of


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("0.25", 0.25),
        (" 3", 3.0),
        ("2e-3", 0.002),
        (0.5, 0.5),
        (2, 2.0),
        ("lowest", "lowest"),
        ("1.5x", TimesEnds(times_ends=1.5)),
        ("1x", TimesEnds(times_ends=1.0)),
        ("1e1x", TimesEnds(times_ends=10.0)),
    ],
)
def test_a_level_is_read_and_written(text: object, level: object) -> None:
    found = level_of(text)
    assert found == level and found is not None
    assert level_of(text_of(found)) == found


@pytest.mark.parametrize(
    "text",
    ["", "0", "-1", "nan", "inf", "x", "0.5x", "-2x", "1.5.2x", "1ex", "highest", True, None, [1]],
)
def test_what_is_no_level(text: object) -> None:
    assert level_of(text) is None


def test_levels_are_some_and_different() -> None:
    assert levels_of(["0.5", "lowest", "2x"]) == (0.5, "lowest", TimesEnds(times_ends=2))
    for texts in ([], ["0.5", "0.50"], ["lowest", "lowest"], ["2x", "2.0x"], ["0.5", "none"]):
        with pytest.raises(ValueError, match=r"^\("):
            levels_of(texts)


def test_each_level_becomes_that_of_the_preset() -> None:
    spec: Spec = spec_of()
    grid = Grid(spec, (0.5, "lowest", TimesEnds(times_ends=2)), 2)
    assert [level for level, pair in grid.places() if pair == 1] == list(grid.levels)
    words = [grid.at(level).search.level_words for level in grid.levels]
    assert words == ["0.5", "lowest", "2 × the worse end"]
