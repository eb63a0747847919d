"""What stands in place of characters that an encoding lacks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.cells import cell_len

import dss_tui
import engine
from dss_tui.viewing.glyphs import SCREEN, TEXT

#: The sources of all that is shown.
SOURCES = [Path(each.__path__[0]) for each in (dss_tui, engine)]


def shown() -> set[str]:
    """Every character beyond ASCII that a program's text holds."""
    texts = (path.read_text() for folder in SOURCES for path in folder.rglob("*.py"))
    return set(re.findall(r"[^\x00-\x7f]", "".join(texts)))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "koi8-r"])
@pytest.mark.parametrize("handler", [TEXT, SCREEN])
def test_no_text_of_ours_becomes_a_question_mark(handler: str, encoding: str) -> None:
    lost = {each for each in shown() if "?" in each.encode(encoding, handler).decode(encoding)}
    assert not lost


def test_on_screens_everything_keeps_its_width() -> None:
    for letter in (*shown(), "漢", "é", "⣿", "⠁", "🙂", "\u0301"):
        assert len(letter.encode("ascii", SCREEN)) == cell_len(letter), letter


def test_what_people_read() -> None:
    said = "≤ 3 × 10⁻², −1 … 2 – “so”, 5 µs ± 1, α → β, naïve 漢"
    assert said.encode("ascii", TEXT) == (
        b'<= 3 x 10-2, -1 ... 2 - "so", 5 us +/- 1, a -> b, naive ??'
    )
    assert "×é·".encode("latin-1", TEXT).decode("latin-1") == "×é·"


def test_blocks_grow_and_braille_fills() -> None:
    assert "▁▂▃▄▅▆▇█".encode("ascii", SCREEN) == b"..::=+*#"
    assert "⠀⠁⠃⠇⡇⣿".encode("ascii", SCREEN) == b" .:*##"
    assert "╭─╮│╰".encode("ascii", SCREEN) == b"+-+|+"
