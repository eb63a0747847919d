"""Numbers and counters in words."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dss_tui.viewing import words
from dss_tui.viewing.words import flowed, peak_of, plus_minus, told_in
from engine.record.sweep_tables import Statistic


@given(st.lists(st.text("abc ×", min_size=1, max_size=12), max_size=8), st.integers(12, 40))
def test_parts_flow_over_lines_without_being_broken(parts: list[str], width: int) -> None:
    lines = flowed(parts, width)
    assert "   ".join(lines) == "   ".join(parts)
    assert all(len(line) <= width for line in lines)
    for line, _ in pairwise(lines):
        assert len(line) + 3 > width - max(map(len, parts))


def test_a_part_that_is_too_long_has_a_line_of_its_own() -> None:
    assert flowed(["a", "b" * 20, "c", "d"], 8) == ["a", "b" * 20, "c   d"]


@pytest.mark.parametrize(
    ("mean", "error", "told"),
    [
        (1.00213, 0.0001, "1.002 ± <0.001"),
        (1.00213, 0.0006, "1.002 ± 0.001"),
        (1.0, 0.0, "1.000 ± 0.000"),
        (1.0, math.nan, "1.000"),
        (math.nan, math.nan, "–"),
    ],
)
def test_a_small_error_is_not_told_as_none(mean: float, error: float, told: str) -> None:
    assert plus_minus(Statistic(mean, error), 3) == told


def test_a_peak_below_the_level_is_not_rounded_onto_it() -> None:
    assert peak_of(0.99996, 0.0) == "0.99996"
    assert peak_of(1.0301, 0.05) == "1.031 (tolerance 0.05)"
    assert peak_of(None, 0.0) == "–"


@pytest.mark.parametrize("room", [0, 1, 2, 3, None])
@pytest.mark.parametrize("width", [12, 20, 60])
def test_a_sentence_is_cut_between_words_and_says_so(width: int, room: int | None) -> None:
    sentence = "Connected: 3 beads, every segment at most 0.95 times the level."
    lines = told_in(sentence, width, room)
    assert all(len(line) <= width for line in lines)
    assert room is None or len(lines) <= room
    said = " ".join(lines)
    if said != sentence:
        assert room is not None and len(lines) == room
        assert not room or said.endswith(" …")
        assert sentence.startswith(said.removesuffix("…").rstrip())


def test_samples_are_told_in_three_digits() -> None:
    told = [words.short_count(number) for number in (12.0, 999.4, 999.6, 54_321.0, 1.2e6, 3e9)]
    assert told == ["12", "999", "1 k", "54.3 k", "1.2 M", "3 G"]
    assert words.short_count(math.nan) == words.rounded(math.nan, 3) == "–"
    assert words.rounded(0.012345, 3) == "0.0123"
