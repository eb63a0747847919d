"""Pairs × levels without a folder: each is the search alone, and all share their batches."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import engine
from engine.record.events import Outcome
from engine.run.grid import search_pairs
from engine.spec.grid import Grid
from engine.spec.keys import Spec


def spec_for(**more: Any) -> Spec:
    return engine.load_preset(
        "quadratic", {"problem.data.points": 64, "workers": 2, **more}, seed=5
    )


def test_places_come_level_by_level_with_a_seed_for_each_pair() -> None:
    grid = Grid(spec_for(), (0.5, 0.25), 3)
    places = list(grid.places())
    assert places == [(0.5, 0), (0.5, 1), (0.5, 2), (0.25, 0), (0.25, 1), (0.25, 2)]
    seeds = [(grid.at(*place).seed, grid.at(*place).search.level) for place in places]
    assert seeds == [(5, 0.5), (6, 0.5), (7, 0.5), (5, 0.25), (6, 0.25), (7, 0.25)]
    assert grid.at(0.25) == grid.at(0.25, 0)


@pytest.mark.parametrize("at_once", [1, 4])
def test_each_finds_what_the_search_alone_finds(at_once: int) -> None:
    """The same events and the same string, to the last bit."""
    before = threading.active_count()
    found = search_pairs(spec_for(), [0.05, 0.02], 3, at_once)
    assert threading.active_count() == before
    assert [(each.level, each.pair) for each in found] == [
        (level, pair) for level in (0.05, 0.02) for pair in range(3)
    ]
    for each in (found[1], found[5]):
        spec = spec_for(**{"search.level": each.level})
        alone = engine.search(spec.model_copy(update={"seed": 5 + each.pair}))
        events = list(alone)
        assert list(each.events[:-1]) == events[:-1]
        assert each.finished.outcome is alone.outcome is Outcome.CONNECTED
        assert each.finished.totals.beads == len(each.string.string.beads)
        assert each.string.string.beads.tobytes() == alone.string().string.beads.tobytes()
        assert each.string.header.seed == 5 + each.pair


def test_strings_that_are_pulled_tight_together_are_those_pulled_alone() -> None:
    """Their slopes are computed on the same part of the samples, whatever their seeds."""
    more = {"search.shorten": True, "search.level": 0.05, "problem.data.points": 300}
    tight = spec_for(**more)
    found = search_pairs(tight, [0.05], 3)
    for each in found:
        alone = engine.search(tight.model_copy(update={"seed": 5 + each.pair}))
        list(alone)
        assert each.finished.outcome is alone.outcome is Outcome.CONNECTED
        assert any(event.name == "string_shortened" for event in each.events)
        assert each.string.string.beads.tobytes() == alone.string().string.beads.tobytes()


def test_pairs_that_fail_are_among_them() -> None:
    few = {"endpoints.max_steps": 400, "endpoints.restarts": 0}
    found = search_pairs(spec_for(**few), [5e-2, 1e-9], 2)
    outcomes = [each.finished.outcome for each in found]
    assert outcomes[2:] == [Outcome.ENDPOINT_NOT_TRAINED] * 2
    assert outcomes[0] is Outcome.CONNECTED


@pytest.mark.parametrize(
    ("levels", "pairs", "at_once", "words"),
    [
        ([], 2, 3, r"^levels: are \[\]; give different losses"),
        ([0.1, 0.0], 2, 3, r"^levels: are \[0\.1, 0\.0\]"),
        ([float("nan")], 2, 3, "^levels: are"),
        ([0.1], 0, 3, "^pairs: is 0; give a number from 1"),
        ([0.1], 2, 0, "^at_once: is 0; give a number from 1"),
    ],
)
def test_numbers_that_make_no_searches_are_refused(
    levels: list[float], pairs: int, at_once: int, words: str
) -> None:
    with pytest.raises(engine.InputError, match=words):
        search_pairs(spec_for(), levels, pairs, at_once)


def test_every_level_is_checked() -> None:
    spec = engine.load_preset("digits", {"search.level_on.metric": "error_rate"})
    with pytest.raises(engine.InputError, match=r"^search\.level: is 1\.5, but an error rate"):
        search_pairs(spec, [0.1, 1.5], 2)
