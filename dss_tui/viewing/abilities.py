"""What the terminal can do of what the screens need: its size, its colours and its characters."""

from __future__ import annotations

import os
import re
import sys
import termios
from collections.abc import Iterator

from rich.cells import cell_len

from dss_tui.viewing import question
from dss_tui.viewing.console import Console
from engine.doctor.findings import Check, Finding, State

#: The columns and rows at which all of the screens is seen, and at which they can be used.
WHOLE, LEAST = (80, 24), (40, 12)
#: Characters of the screens, each of which takes one column.
CHARACTERS = "▁▅█⣿●│–…·×→"
#: Asks for the cursor's place after some characters, which are then wiped off.
PLACE = re.compile(rb"\x1b\[\d+;(\d+)R")
#: What rich calls the colours that a terminal has, in words.
COLOURS = {"truecolor": "16 million colours", "256": "256 colours", "standard": "16 colours"}


def checks() -> list[Check]:
    """Returns the checks of the terminal."""
    return [
        Check("terminal", "terminal", terminal),
        Check("colours", "terminal", colours),
        Check("characters", "terminal", characters),
    ]


def is_there() -> bool:
    """Returns whether the streams that the screens use are a terminal's."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def terminal() -> Iterator[Finding]:
    """Yields the kind and the size of the terminal."""
    if not is_there():
        words = "stdin or stderr is no terminal, so it was not looked at"
        yield Finding("terminal", State.NOTE, words, brief="no terminal")
        return
    name = os.environ.get("TERM", "")
    size = os.get_terminal_size(sys.stderr.fileno())
    told = f"TERM={name}, {size.columns}×{size.lines}{_around()}"
    measured = {"TERM": name, "columns": size.columns, "rows": size.lines}
    if name in ("", "dumb"):
        yield Finding(
            "terminal",
            State.WRONG,
            f"TERM is {name!r}: no screens can be drawn, and runs are told in lines",
            "let TERM name the terminal, such as export TERM=xterm-256color",
            told,
            measured,
        )
    elif size.columns < LEAST[0] or size.lines < LEAST[1]:
        remedy = f"make it larger: {WHOLE[0]}×{WHOLE[1]} shows everything"
        yield Finding("terminal", State.WRONG, f"{told}: too small", remedy, told, measured)
    elif size.columns < WHOLE[0] or size.lines < WHOLE[1]:
        remedy = f"{WHOLE[0]}×{WHOLE[1]} shows everything"
        yield Finding("terminal", State.NOTE, f"{told}: small", remedy, told, measured)
    else:
        yield Finding("terminal", State.OK, told, brief=told, measured=measured)


def _around() -> str:
    """Returns what the terminal runs in: tmux, GNU screen or a connection."""
    found = ""
    if "TMUX" in os.environ:
        version = os.environ.get("TERM_PROGRAM_VERSION", "")
        inside = os.environ.get("TERM_PROGRAM") == "tmux"
        found = f", in tmux {version}".rstrip() if inside else ", in tmux"
    elif "STY" in os.environ:
        found = ", in GNU screen"
    return found + (", over SSH" if "SSH_CONNECTION" in os.environ else "")


def colours() -> Iterator[Finding]:
    """Yields how many colours the terminal has, as far as its environment tells."""
    if not is_there():
        return
    console = Console(stderr=True)
    system = None if console.no_color else console.color_system
    measured = {"colours": system}
    if system in ("truecolor", "256"):
        yield Finding("colours", State.OK, COLOURS[system], brief=system, measured=measured)
        return
    if console.no_color:
        words, remedy = "none, because NO_COLOR is set", ""
    else:
        words = COLOURS.get(system or "", "none") + ": all can be read, some of it less well"
        remedy = "let TERM name a terminal of 256 colours, such as xterm-256color"
        if "TMUX" in os.environ:
            remedy = 'in ~/.tmux.conf: set -g default-terminal "tmux-256color"'
    brief = COLOURS.get(system or "", "no colours")
    yield Finding("colours", State.NOTE, words, remedy, brief, measured)


def characters() -> Iterator[Finding]:
    """Yields whether the characters of the screens can be written, and how wide they come out."""
    encoding = (sys.stdout.encoding or "").lower().replace("_", "-")
    if encoding not in ("utf-8", "utf8"):
        yield Finding(
            "characters",
            State.NOTE,
            f"the locale writes {encoding}, which lacks characters of the screens; ASCII stands in",
            "for finer plots set a UTF-8 locale: export LC_ALL=C.UTF-8",
            brief=encoding,
            measured={"encoding": encoding},
        )
        return
    width, expected = _drawn_width(), cell_len(CHARACTERS)
    measured = {"encoding": encoding, "width": width, "expected": expected}
    if width is None:
        words = "UTF-8; how wide they come out was not told"
        yield Finding("characters", State.OK, words, brief="UTF-8", measured=measured)
    elif width == expected:
        words = f"UTF-8, each of {CHARACTERS} in one column"
        yield Finding("characters", State.OK, words, brief="UTF-8", measured=measured)
    else:
        yield Finding(
            "characters",
            State.WRONG,
            f"{CHARACTERS} take {width} columns in place of {expected}, so screens will be askew",
            "let the terminal draw characters of ambiguous width in one column, in UTF-8",
            f"{width}/{expected} columns",
            measured,
        )


def _drawn_width() -> int | None:
    """Returns the columns that the characters take on the terminal, or None where not told."""
    if not is_there() or os.environ.get("TERM") in (None, "", "dumb"):
        return None
    asked = b"\r" + CHARACTERS.encode() + b"\x1b[6n"
    try:
        told = question.answer(asked, PLACE, sys.stdin.fileno(), sys.stderr.fileno())
        os.write(sys.stderr.fileno(), b"\r\x1b[K")
    except (OSError, ValueError, termios.error):
        return None
    found = PLACE.search(told)
    return None if found is None else int(found[1]) - 1
