"""The window's title, which no name can turn into a command for the terminal."""

from __future__ import annotations

import pytest

from dss_tui.tui.window import LONGEST, title_sequence

START, END = "\x1b[22;2t\x1b]2;", "\x07"


def test_the_title_so_far_is_kept_and_another_set() -> None:
    assert title_sequence("✓ CONNECTED · quick") == f"{START}✓ CONNECTED · quick{END}"


@pytest.mark.parametrize("bad", ["\x07", "\x1b]0;x\x07", "\x9b2J", "\n", "\x1b\\", "\u2028"])
def test_control_characters_are_left_out(bad: str) -> None:
    sequence = title_sequence(f"a{bad}b")
    inner = sequence.removeprefix(START).removesuffix(END)
    assert inner.isprintable() and inner.startswith("a") and inner.endswith("b")


def test_a_long_name_is_cut() -> None:
    assert len(title_sequence("x" * 1000)) == len(START) + LONGEST + len(END)
