"""What people are told while something takes long."""

from __future__ import annotations

from io import StringIO

import pytest

from dss_tui.viewing.waiting import Waiting


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def told(out: StringIO, *steps: tuple[float, float]) -> str:
    """What is written where shares are told at seconds after the beginning."""
    clock = Clock()
    with Waiting("measured", out, clock) as waiting:
        for after, share in steps:
            clock.now = 100.0 + after
            waiting(share)
    return out.getvalue()


def test_a_terminal_shows_one_line_that_is_gone_in_the_end() -> None:
    said = told(Terminal(), (0.5, 0.1), (2.0, 0.25), (2.1, 0.3), (60.0, 0.5))
    assert said.split("\r\x1b[K") == [
        "",
        "measured 25 %, about 6 s left",
        "measured 50 %, about 1 min left",
        "",
    ]


def test_what_is_done_within_a_second_is_not_told() -> None:
    assert told(Terminal(), (0.2, 0.5), (0.9, 1.0)) == ""


def test_a_log_gets_a_line_now_and_then() -> None:
    said = told(StringIO(), (5.0, 0.1), (31.0, 0.2), (32.0, 0.21), (62.0, 0.4))
    assert said == "measured 20 %, about 2 min left\nmeasured 40 %, about 1 min left\n"


@pytest.mark.parametrize("share", [0.0])
def test_nothing_is_estimated_from_nothing(share: float) -> None:
    assert "left" not in told(Terminal(), (3.0, share))


def test_a_share_that_begins_anew_is_estimated_anew() -> None:
    said = told(Terminal(), (10.0, 0.9), (20.0, 0.1), (30.0, 0.5))
    assert said.endswith("measured 50 %, about 10 s left\r\x1b[K")


def test_a_new_stage_is_told_by_its_word_and_estimated_by_itself() -> None:
    out, clock = Terminal(), Clock()
    with Waiting("measured", out, clock) as waiting:
        for after, stage, share in ((9, "measured", 0.9), (10, "proven", 0.0), (15, "proven", 0.5)):
            clock.now = 100.0 + after
            waiting.stage(stage, share)
    assert out.getvalue().split("\r\x1b[K")[1:4] == [
        "measured 90 %, about 1 s left",
        "proven 0 %",
        "proven 50 %, about 5 s left",
    ]
