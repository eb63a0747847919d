"""The verdict on a run, in words that do not say more than was found."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from dss_tui.tui.palette import Palette
from dss_tui.tui.widgets.card import GLYPHS, card, headline, headlines, tone
from engine.record.events import Outcome, RunFinished
from tests.support.run_folders import CONNECTED, TOTALS

PALETTE = Palette.dark()
SENTENCE = " ".join(f"word{number} 1.{number} × level" for number in range(30))
LONG = RunFinished(Outcome.NOT_CONNECTED, SENTENCE, TOTALS)
STEPS = ["d diagnosis", "e export", "space replay"]


def test_a_connection_is_proven_or_sampled() -> None:
    assert headline(replace(CONNECTED, certified=True)) == "✓ CONNECTED · proven for every t"
    assert headline(CONNECTED) == "✓ CONNECTED · by samples, not proven"


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.CONNECTED])
def test_no_other_outcome_claims_a_connection_or_its_absence(outcome: Outcome) -> None:
    words = headline(RunFinished(outcome, "Ended.", TOTALS, certified=False))
    assert words.startswith(f"{GLYPHS[outcome]} {str(outcome).replace('_', ' ').upper()} · ")
    assert "proven" not in words and "no path exists" not in words
    assert tone(RunFinished(outcome, "", TOTALS)) in ("bad", "open")


@pytest.mark.parametrize("outcome", Outcome)
def test_on_the_smallest_screen_the_headline_is_shorter_and_whole(outcome: Outcome) -> None:
    ended = RunFinished(outcome, SENTENCE, TOTALS)
    assert card(ended, STEPS, 54, 16, PALETTE).plain == headlines(ended)[-1]
    assert cell_len(headlines(ended)[-1]) <= 54


@pytest.mark.parametrize(("rows", "count"), [(16, 1), (24, 3)])
def test_a_low_screen_has_less_of_it(rows: int, count: int) -> None:
    lines = card(LONG, STEPS, 60, rows, PALETTE).plain.split("\n")
    assert len(lines) == count
    assert all(cell_len(line) <= 60 for line in lines)
    assert lines[-1].endswith("…") or rows < 20


def test_a_high_screen_has_the_sentence_and_the_next_steps() -> None:
    lines = card(LONG, STEPS, 60, 40, PALETTE).plain.split("\n")
    assert " ".join(lines[1:-1]) == SENTENCE
    assert lines[-1] == "d diagnosis   e export   space replay"
