"""The tables of a sweep."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from engine.record.events import Outcome
from engine.record.sweep_tables import Result, Statistic, by_level, csv_of, csv_of_levels, json_of
from engine.spec.search import TimesEnds


def result(
    level: float | str,
    outcome: Outcome,
    beads: int = 5,
    length: float = 1.25,
    certified: bool | None = None,
    sample_gradients: int | None = None,
    forward_samples: int | None = None,
) -> Result:
    head = (level, 3, 7, outcome, beads, length)
    costs = sample_gradients, forward_samples
    return Result(*head, 0.1, 2, 40 * beads, 0.5, certified, *costs)


def test_failed_pairs_are_counted_by_kind() -> None:
    results = [
        result(0.5, Outcome.NOT_CONNECTED, beads=90, length=7.0),
        result(0.5, Outcome.CONNECTED, beads=4, length=1.5),
        result(0.5, Outcome.LIMIT_REACHED),
        result(0.5, Outcome.NOT_CONNECTED),
        result(0.5, Outcome.CONNECTED, beads=9, length=1.75),
        result(0.25, Outcome.ENDPOINT_NOT_TRAINED, beads=2, length=float("nan")),
        result(0.125, Outcome.CONNECTED, beads=6),
    ]
    many, none, one, empty = by_level(results, [0.5, 0.25, 0.125, 0.0625])
    assert (many.pairs, many.connected) == (5, 2)
    assert many.failed == ((Outcome.NOT_CONNECTED, 2), (Outcome.LIMIT_REACHED, 1))
    assert (many.beads.mean, many.beads.standard_error) == (6.5, 2.5)
    assert many.normalized_length.mean == 1.625
    assert none.failed == ((Outcome.ENDPOINT_NOT_TRAINED, 1),)
    assert np.isnan(none.beads.mean)
    assert one.beads.mean == 6 and np.isnan(one.beads.standard_error)
    assert empty.pairs == 0 and np.isnan(empty.median_bead_steps)

    head, *rows = csv_of_levels([many, none, one, empty]).splitlines()
    told = [dict(zip(head.split(","), row.split(","), strict=True)) for row in rows]
    assert [row["not_connected"] for row in told] == ["2", "0", "0", "0"]
    assert told[1]["endpoint_not_trained"] == "1" and told[1]["beads_mean"] == ""
    assert (told[2]["beads_mean"], told[2]["beads_standard_error"]) == ("6.0", "")
    tree = json.loads(json_of([many, none], results))
    assert tree["levels"][0]["failed"] == {"not_connected": 2, "limit_reached": 1}
    assert tree["levels"][1]["beads"] == {"mean": None, "standard_error": None}
    assert csv_of(results).splitlines()[6].split(",")[3:6] == [
        "endpoint_not_trained",
        "2",
        "",
    ]


def test_a_closed_string_does_not_spoil_the_table() -> None:
    results = [result(0.5, Outcome.CONNECTED, length=length) for length in (1.5, float("inf"))]
    (row,) = by_level(results, [0.5])
    assert row.normalized_length.mean == float("inf")
    assert np.isnan(row.normalized_length.standard_error)
    assert row.beads.standard_error == 0


def test_what_is_proven_is_counted_among_what_is_connected() -> None:
    results = [
        result(0.5, Outcome.CONNECTED, certified=True),
        result(0.5, Outcome.CONNECTED, certified=None),
        result(0.5, Outcome.NOT_CONNECTED, certified=False),
    ]
    rows = by_level(results, [0.5])
    assert (rows[0].connected, rows[0].proven) == (2, 1)
    assert [line.split(",")[10] for line in csv_of(results).splitlines()] == [
        "certified",
        "true",
        "",
        "false",
    ]
    assert csv_of_levels(rows).splitlines()[1].endswith(",1,,,,,,")
    tree = json.loads(json_of(rows, results))
    assert tree["levels"][0]["proven"] == 1
    assert [cell["certified"] for cell in tree["cells"]] == [True, None, False]


def test_costs_have_medians_over_the_pairs_of_which_they_are_known() -> None:
    results = [
        result(0.5, Outcome.CONNECTED, sample_gradients=300, forward_samples=7),
        result(0.5, Outcome.NOT_CONNECTED, sample_gradients=900, forward_samples=9),
        result(0.5, Outcome.CONNECTED),  # by a version that did not count
    ]
    (row,) = by_level(results, [0.5])
    assert (row.median_sample_gradients, row.median_forward_samples) == (600, 8)
    assert csv_of_levels([row]).splitlines()[1].endswith(",600.0,8.0,,,,")
    assert [line.split(",")[11:13] for line in csv_of(results).splitlines()[1:]] == [
        ["300", "7"],
        ["900", "9"],
        ["", ""],
    ]


def test_levels_that_came_about_have_a_mean() -> None:
    """Over the connected pairs, in a row of their own."""
    found = [
        replace(result("lowest", Outcome.CONNECTED), level_found=0.5),
        replace(result("lowest", Outcome.CONNECTED), level_found=0.25),
        replace(result("lowest", Outcome.LIMIT_REACHED), level_found=3.0),
        result(0.5, Outcome.CONNECTED),
    ]
    lowest, number, times = by_level(found, ["lowest", 0.5, TimesEnds(times_ends=1.5)])
    assert (lowest.label, number.label, times.label) == ("lowest", "0.5", "1.5x")
    assert (lowest.pairs, lowest.connected, number.pairs, times.pairs) == (3, 2, 1, 0)
    assert (lowest.level_found.mean, lowest.level_found.standard_error) == (0.375, 0.125)
    assert np.isnan(number.level_found.mean) and np.isnan(times.level_found.mean)
    assert csv_of_levels([lowest]).splitlines()[1].endswith(",0,,,0.375,0.125,,")
    assert csv_of(found).splitlines()[1].endswith(",,0.5,")


def test_lengths_over_weights_alone_have_a_mean_of_their_own() -> None:
    found = [
        replace(result(0.5, Outcome.CONNECTED), normalized_length_weights=2.5),
        replace(result(0.5, Outcome.CONNECTED), normalized_length_weights=1.5),
        replace(result(0.5, Outcome.LIMIT_REACHED), normalized_length_weights=9.0),
        result(0.5, Outcome.CONNECTED),  # by a version that did not measure it
    ]
    (row,) = by_level(found, [0.5])
    assert row.normalized_length_weights == Statistic(2.0, 0.5)
    assert csv_of_levels([row]).splitlines()[1].endswith(",2.0,0.5")
    assert csv_of(found).splitlines()[1].endswith(",2.5")
