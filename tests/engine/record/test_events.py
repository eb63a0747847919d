"""Events and their JSON lines."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from engine.record.events import (
    EVENTS,
    BeadFailed,
    CheckpointSaved,
    Event,
    Outcome,
    Record,
    RunFinished,
    Unknown,
    dump_json,
    from_line,
)
from engine.record.findings import Diagnosis, Totals
from engine.record.unfit import Unfit
from tests.support.events import hints, instance

PROMISED = {
    "run_started",
    "endpoint_trained",
    "segment_measured",
    "bead_inserted",
    "bead_trained",
    "bead_failed",
    "level_lowered",
    "level_held",
    "level_set",
    "string_shortened",
    "segment_closed",
    "segment_failed",
    "audit_failed",
    "segment_undecided",
    "checkpoint_saved",
    "paused",
    "continued",
    "run_finished",
}


def changed(frozen: Any, name: str, to: object) -> Any:
    return replace(frozen, **{name: to})


def floats(kind: type) -> list[str]:
    return [name for name, hint in hints(kind).items() if hint is float]


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not standard JSON")


def tree_of(line: str) -> dict[str, Any]:
    tree = json.loads(line, parse_constant=refuse_constant)
    assert isinstance(tree, dict)
    return tree


EVERY = pytest.mark.parametrize("kind", EVENTS.values(), ids=EVENTS.keys())
FLOATS = [(kind, name) for kind in EVENTS.values() for name in floats(kind)]
ODD = pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])


def test_the_events_are_the_promised_ones() -> None:
    assert EVENTS.keys() == PROMISED


def test_the_outcomes_are_the_promised_ones() -> None:
    assert {str(outcome) for outcome in Outcome} == {
        "connected",
        "not_connected",
        "endpoint_not_trained",
        "limit_reached",
        "stopped",
        "failed",
    }


@EVERY
def test_an_event_comes_back_from_its_line(kind: type[Event]) -> None:
    record = Record(23, 4.75, instance(kind))
    assert from_line(record.to_line()) == record
    assert from_line(record.to_line() + "\n") == record


@EVERY
def test_a_line_starts_with_number_time_and_name(kind: type[Event]) -> None:
    line = Record(23, 4.75, instance(kind)).to_line()
    assert "\n" not in line
    tree = tree_of(line)
    head = {"seq": 23, "time": 4.75, "event": kind.name}
    assert list(tree.items())[:3] == list(head.items())
    assert tree.keys() - head.keys() == hints(kind).keys()


@EVERY
def test_an_event_is_frozen_and_holds_only_plain_values(kind: type[Event]) -> None:
    record = from_line(Record(23, 4.75, instance(kind)).to_line())
    assert record is not None
    assert hash(record) == hash(replace(record))
    with pytest.raises(FrozenInstanceError):
        record.event.surprise = 3  # type: ignore[attr-defined]


@ODD
@pytest.mark.parametrize(("kind", "name"), FLOATS, ids=[f"{k.name}.{n}" for k, n in FLOATS])
def test_a_number_that_is_not_finite_is_null_and_comes_back_as_nan(
    kind: type[Event], name: str, odd: float
) -> None:
    event = instance(kind)
    line = Record(23, 4.75, changed(event, name, odd)).to_line()
    assert tree_of(line)[name] is None
    back = from_line(line)
    assert back is not None
    assert math.isnan(getattr(back.event, name))
    assert changed(back.event, name, getattr(event, name)) == event


PARTS = [("totals", name) for name in floats(Totals)]
PARTS += [("diagnosis", name) for name in floats(Diagnosis)]


@ODD
@pytest.mark.parametrize(("part", "name"), PARTS)
def test_parts_that_are_not_finite_come_back_as_nan(part: str, name: str, odd: float) -> None:
    event: RunFinished = instance(RunFinished)
    ours = getattr(event, part)
    line = Record(23, 4.75, changed(event, part, changed(ours, name, odd))).to_line()
    assert tree_of(line)[part][name] is None
    back = from_line(line)
    assert back is not None and isinstance(back.event, RunFinished)
    theirs = getattr(back.event, part)
    assert math.isnan(getattr(theirs, name))
    assert changed(back.event, part, changed(theirs, name, getattr(ours, name))) == event


def test_what_a_run_did_not_find_out_stays_missing() -> None:
    event: RunFinished = instance(RunFinished)
    assert event.diagnosis is not None
    for diagnosis in (None, replace(event.diagnosis, stuck_level=None)):
        record = Record(23, 4.75, replace(event, diagnosis=diagnosis))
        assert from_line(record.to_line()) == record


def test_an_endpoints_missing_neighbours_stay_missing() -> None:
    event = replace(instance(BeadFailed), left=None, right=None)
    back = from_line(Record(23, 4.75, event).to_line())
    assert back == Record(23, 4.75, event)


@pytest.mark.parametrize("outcome", Outcome)
def test_a_run_finishes_with_each_outcome(outcome: Outcome) -> None:
    event = replace(instance(RunFinished), outcome=outcome)
    line = Record(23, 4.75, event).to_line()
    assert tree_of(line)["outcome"] == str(outcome)
    back = from_line(line)
    assert back is not None and isinstance(back.event, RunFinished)
    assert back.event.outcome is outcome


@pytest.mark.parametrize("kind", [RunFinished, BeadFailed])
def test_no_beginning_of_a_line_is_a_record(kind: type[Event]) -> None:
    line = Record(23, 4.75, instance(kind)).to_line()
    for n in range(len(line)):
        with pytest.raises(Unfit):
            from_line(line[:n])


GOOD = '{"seq": 4, "time": 2.5, "event": "checkpoint_saved", "reason": "asked"}'


def test_a_line_written_by_hand_is_read() -> None:
    assert from_line(GOOD) == Record(4, 2.5, CheckpointSaved("asked"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (GOOD, ""),
        (GOOD, "\x00\x00\x00"),
        (GOOD, "3"),
        (GOOD, "null"),
        (GOOD, '"checkpoint_saved"'),
        (GOOD, f"[{GOOD}]"),
        (GOOD, "[" * 100_000),
        (GOOD, GOOD + GOOD),
        ('"checkpoint_saved"', '["checkpoint_saved"]'),
        ('"event"', '"wish"'),
        ('"seq": 4', '"seq": null'),
        ('"seq": 4', '"seq": "four"'),
        ('"seq": 4', '"seq": 1e999'),
        ('"seq": 4, ', ""),
        ('"time": 2.5', '"time": []'),
        ('"time": 2.5', '"time": ' + "9" * 400),
        ('"time": 2.5', '"time": ' + "9" * 5000),
        ('"reason"', '"season"'),
        ('"checkpoint_saved"', '"run_finished", "outcome": "won", "sentence": "", "totals": {}'),
        (
            '"checkpoint_saved"',
            '"run_finished", "outcome": "failed", "sentence": "", "totals": [3]',
        ),
        (
            '"checkpoint_saved"',
            '"run_finished", "outcome": "failed", "sentence": "", "totals": {"beads": 3}',
        ),
    ],
    ids=lambda text: text[:40],
)
def test_a_line_that_is_no_event_is_refused(old: str, new: str) -> None:
    assert old in GOOD
    with pytest.raises(Unfit):
        from_line(GOOD.replace(old, new))


def test_an_event_of_a_later_version_keeps_its_name_and_its_sentence() -> None:
    line = GOOD.replace("checkpoint_saved", "bead_sang")
    assert from_line(line) == Record(4, 2.5, Unknown("bead_sang"))
    said = line.replace("{", '{"sentence": "Bead 7 sang.", ', 1)
    assert from_line(said).event == Unknown("bead_sang", "Bead 7 sang.")
    odd = line.replace("{", '{"sentence": [3], ', 1)
    assert from_line(odd).event == Unknown("bead_sang")


def test_an_outcome_of_a_later_version_keeps_its_name() -> None:
    tree = tree_of(Record(23, 4.75, instance(RunFinished)).to_line()) | {"outcome": "torn_apart"}
    event = from_line(json.dumps(tree)).event
    assert isinstance(event, RunFinished)
    assert (str(event.outcome), event.outcome.exit_status) == ("torn_apart", 3)
    assert event.outcome == Outcome("torn_apart") and event.outcome not in list(Outcome)
    assert json.loads(Record(23, 4.75, event).to_line())["outcome"] == "torn_apart"


#: Wrong values, and the keys of a finished run that must not take them.
WRONG = {
    '"x y"': ["seq", "time", "outcome", "totals", "totals.beads", "totals.max_peak", "diagnosis"],
    "-3": ["seq", "time", "totals.beads", "totals.depth", "diagnosis.left", "diagnosis.trace"],
    "1e999": ["seq", "time", "totals.bead_steps", "diagnosis.right"],
    "true": ["seq", "time", "sentence", "totals.depth", "diagnosis.barrier"],
    "[[3]]": ["sentence", "totals.beads_per_depth", "diagnosis.trace", "diagnosis.retries"],
    "null": ["seq", "time", "sentence", "totals", "totals.beads", "diagnosis.words"],
    "10001": ["totals.depth"],
}


@pytest.mark.parametrize(("wrong", "key"), [(w, k) for w, keys in WRONG.items() for k in keys])
def test_a_wrong_value_is_named_with_its_place(wrong: str, key: str) -> None:
    tree = tree_of(Record(23, 4.75, instance(RunFinished)).to_line())
    *steps, last = key.split(".")
    holder = tree
    for step in steps:
        holder = holder[step]
    holder[last] = "HERE"
    line = json.dumps(tree).replace('"HERE"', wrong)
    with pytest.raises(Unfit) as caught:
        from_line(line)
    assert str(caught.value).startswith(key)


def test_json_lines_are_standard_at_any_depth() -> None:
    tree = {"a": [0.5, math.nan, (math.inf, {"b": -math.inf})], "c": 3, "d": None, "e": "ρ"}
    line = dump_json(tree)
    assert tree_of(line) == {"a": [0.5, None, [None, {"b": None}]], "c": 3, "d": None, "e": "ρ"}
