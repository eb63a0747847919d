"""The words on how a run ended."""

from __future__ import annotations

from dataclasses import replace

from dss_tui.viewing.diagnosis import LISTED, words
from engine.record.events import Outcome, RunFinished
from engine.record.findings import Diagnosis
from tests.support.run_folders import CONNECTED, TOTALS

FOUND = Diagnosis(
    barrier=0.0425,
    level=0.02,
    left=23,
    right=15,
    t=0.497,
    place=0.31,
    depth=4,
    trace=tuple((3.0 + k, 2.0, 0.25, 0.5 / (k + 1)) for k in range(40)),
    stuck_level=0.0312,
    retries=("half-way 3 times",),
    reasons=("no progress 2 times",),
    relabelled=(),
    rescaled=False,
    words="This does not prove that there is no path.",
)
ENDED = RunFinished(Outcome.NOT_CONNECTED, "Not connected.", TOTALS, FOUND)


def test_the_facts_stand_between_the_sentence_and_what_they_mean() -> None:
    first, *facts, last = words(ENDED)
    assert (first, last) == ("Not connected.", FOUND.words)
    told = "\n".join(facts)
    for fact in ("0.0425 = 2.125 × level", "beads 23 and 15", "0.0312", "half-way", "no progress"):
        assert fact in told
    assert all(fact.startswith("  ") for fact in facts)
    assert LISTED <= told.count("of the string") <= LISTED + 2


def test_a_connection_needs_no_more_words() -> None:
    assert words(CONNECTED) == [CONNECTED.sentence]
    nothing = replace(ENDED, diagnosis=None)
    assert words(nothing)[1].startswith("No whole string")
