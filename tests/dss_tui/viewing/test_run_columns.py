"""The columns of a list of runs: their words, their order, and which of them fit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dss_tui.viewing.run_columns import (
    BY_KEY,
    COLUMNS,
    IMPORTANCE,
    cells,
    fitting,
    matching,
    ordered,
)
from engine.record.events import RunStarted
from engine.record.runs import Summary

STARTED = RunStarted("auto", 2.5e-4, 0.7, 17, 61, 40, ("cpu",))
KNOWN = Summary(
    name="tuesday",
    state="connected",
    preset="cubic",
    started=STARTED,
    beads=12,
    peak_over_level=0.987,
    normalized_length=1.3456,
    elapsed_s=3725.4,
    made_s=0.0,
    size_bytes=3 * 2**20,
    note="the Best one",
)
UNKNOWN = Summary("friday", "damaged", None, None, None, None, None, None, 9e9, 0)


def test_every_column_has_its_words() -> None:
    row = dict(zip([column.key for column in COLUMNS], cells(KNOWN), strict=True))
    del row["age"]
    assert row == {
        "name": "tuesday",
        "state": "connected",
        "preset": "cubic",
        "method": "auto",
        "level": "0.00025",
        "seed": "17",
        "beads": "12",
        "peak/level": "0.987",
        "length": "1.346",
        "time": "1:02:05",
        "size": "3.0 MiB",
        "note": "the Best one",
    }
    assert BY_KEY["time"].cell(replace(KNOWN, elapsed_s=8.25)) == "8.2 s"
    assert BY_KEY["age"].cell(UNKNOWN) == "0 s"
    assert set(cells(UNKNOWN)) == {"friday", "damaged", "–", "0 s", "0 B", ""}


def test_every_column_has_its_importance() -> None:
    assert sorted(IMPORTANCE) == sorted(BY_KEY)


@pytest.mark.parametrize("falls", [False, True])
def test_runs_are_sorted_by_values_and_not_by_words(falls: bool) -> None:
    runs = [replace(KNOWN, name=f"r{beads}", beads=beads) for beads in (9, 100, 23)]
    names = [run.name for run in ordered([UNKNOWN, *runs], "beads", falls=falls)]
    rising = ["r9", "r23", "r100"]
    assert names == [*(reversed(rising) if falls else rising), "friday"]  # unknown comes last


def test_any_cell_is_matched_whatever_its_case() -> None:
    both = [KNOWN, UNKNOWN]
    assert matching(both, "best") == [KNOWN]
    assert matching(both, "DAMAGED") == [UNKNOWN]
    assert matching(both, "0.987") == [KNOWN]
    assert matching(both, "day") == both
    assert matching(both, "") == both


def test_what_does_not_fit_is_left_out_by_importance() -> None:
    widths = dict.fromkeys(BY_KEY, 10)
    assert fitting(widths, BY_KEY, 1000) == tuple(column.key for column in COLUMNS)
    assert fitting(widths, BY_KEY, 45) == ("name", "state", "beads", "peak/level")
    assert fitting(widths, {"seed", "size"}, 25) == ("name", "seed")
    assert fitting(widths, BY_KEY, 3) == ("name",)
    wide = widths | {"peak/level": 60}
    assert fitting(wide, BY_KEY, 45) == ("name", "state", "beads", "age")


def test_a_level_that_came_about_is_told_with_what_was_asked_for() -> None:
    asked = replace(KNOWN, started=replace(STARTED, level=float("nan"), level_asked="lowest"))
    assert BY_KEY["level"].cell(asked) == "lowest –" and asked.level is None
    found = replace(asked, level_set=0.0123456)
    assert BY_KEY["level"].cell(found) == "lowest 0.01235" and found.level == 0.0123456
