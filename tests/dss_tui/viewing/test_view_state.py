"""The sentences about events."""

from __future__ import annotations

import math
import re
from dataclasses import fields, replace
from typing import Any

import pytest

from dss_tui.viewing.view_state import sentence
from engine.record.bracket import Bracket
from engine.record.events import (
    EVENTS,
    AuditFailed,
    BeadFailed,
    BeadInserted,
    CheckpointSaved,
    Continued,
    Event,
    LevelHeld,
    LevelLowered,
    LevelSet,
    Paused,
    Record,
    SegmentClosed,
    SegmentFailed,
    SegmentUndecided,
    StringShortened,
    Unknown,
)
from tests.support.made_events import ENDPOINTS, FINISHED, STARTED, measured, trained

TRYING = Bracket("lowest", ends=0.02, line=0.9, found=0.35, tries=3)
#: An event, then words of its sentence.
ROWS: tuple[tuple[Any, ...], ...] = (
    (STARTED, "greedy", "0.02", "0.7", "seed 5", "61 parameters", "40 samples", "cpu"),
    (ENDPOINTS[1], "endpoint 2", "0.012", "520 steps", "try 3"),
    (measured(2, 9, 0.05, depth=4), "2–9", "0.05", "t = 0.400", "2.5", "depth 4"),
    (BeadInserted(7, 2, 9, 3, 0.45, 0.31), "bead 7", "2", "9", "t = 0.450", "0.31"),
    (trained(7, 2, 9, 3), "bead 7", "0.013", "300 steps", "try 2"),
    (BeadFailed(7, 2, 9, "stuck", 0.3, 90, 2, "other start"), "bead 7", "stuck", "other start"),
    (LevelLowered(0.015, (3, 4), 0.02, 0.017, 0.0199), "0.02 to 0.015", "beads 3, 4"),
    (LevelSet(0.31, TRYING), "level to try 0.31", "lowest: ends 0.02", "best string 0.35, try 3"),
    (LevelHeld(0.02, (3, 4), 3, 9, 0.027, 140), "0.02", "140 steps", "beads 3, 4", "3 and 9"),
    (StringShortened(1.4, 1.25, 12, 9), "1.4000 to 1.2500", "12 beads to 9"),
    (SegmentClosed(2, 9, 0.019), "2–9", "closed", "0.019"),
    (SegmentFailed(2, 9, 3, 0.3, "max_depth is reached"), "2–9", "failed", "max_depth"),
    (AuditFailed(2, 9, 0.03, 0.63), "2–9", "0.03", "t = 0.630"),
    (SegmentUndecided(2, 9, 0.25, 0.375, 64), "2–9", "not be proven", "[0.25, 0.375]", "64 cells"),
    (CheckpointSaved("asked_for"), "checkpoint", "asked for"),
    (Paused(), "paused"),
    (Continued(23), "23"),
    (FINISHED, "Not connected: 1 of 4."),
)
EXAMPLES: dict[type[Event], tuple[Event, tuple[str, ...]]] = {
    type(event): (event, tuple(words)) for event, *words in ROWS
}

EVERY = pytest.mark.parametrize("kind", EVENTS.values(), ids=EVENTS.keys())


def example(kind: type[Event]) -> Event:
    return EXAMPLES[kind][0]


@EVERY
def test_a_sentence_says_the_facts(kind: type[Event]) -> None:
    event, words = EXAMPLES[kind]
    said = sentence(Record(12, 3.5, event))
    assert [word for word in words if word not in said] == []
    assert kind.name not in said or kind is Paused
    assert not re.search(r"\b(None|nan|inf)\b", said)


@EVERY
def test_a_sentence_has_words_for_what_is_not_a_number(kind: type[Event]) -> None:
    losses = [field.name for field in fields(kind) if field.name in ("loss", "peak")]
    changes: dict[str, Any] = dict.fromkeys(losses, math.nan)
    said = sentence(Record(12, 3.5, replace(example(kind), **changes)))
    assert not re.search(r"\b(None|nan|null)\b", said)
    assert ("not finite" in said) == bool(losses)


def test_an_endpoint_that_failed_is_called_one() -> None:
    said = sentence(Record(4, 2.5, BeadFailed(1, None, None, "stuck", 0.3, 90, 2, "new weights")))
    assert said.startswith("endpoint 1 ")
    assert "None" not in said


def test_an_event_of_a_later_version_is_told_by_its_name_and_its_sentence() -> None:
    assert (
        sentence(Record(4, 2.5, Unknown("bead_sang", "Bead 7 sang."))) == "bead sang: Bead 7 sang."
    )
    assert sentence(Record(4, 2.5, Unknown("bead_sang"))) == "bead sang"


def test_a_level_that_is_to_come_about_is_told_as_it_was_asked_for() -> None:
    started = replace(STARTED, level=math.inf, level_asked="lowest")
    assert "level lowest on the training loss" in sentence(Record(1, 0.0, started))
    settled = LevelSet(0.31, replace(TRYING, settled=True))
    assert "final level 0.31 (lowest: " in sentence(Record(9, 4.0, settled))
