"""What terminals can do: size, colours, characters and their width, as the checks tell it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from typing import Any

import pytest

from dss_tui.viewing import abilities
from engine.doctor.findings import State, looked

#: Makes the checks in each of some environments, on terminals of some sizes.
LOOK = """
import dataclasses, fcntl, json, os, struct, sys, termios
from dss_tui.viewing import abilities
from engine.doctor.findings import looked

before = dict(os.environ)
for environment, rows, columns in json.loads(sys.argv[1]):
    os.environ.clear()
    os.environ.update(before | environment)
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    found = [each for check in abilities.checks() for each in looked(check)]
    print(json.dumps([dataclasses.asdict(each) for each in found]))
"""

Rows = dict[str, dict[str, Any]]


def seen(*cases: tuple[dict[str, str], int, int], answers: str = "", **more: str) -> list[Rows]:
    """The findings by name in each case, made by a process on a terminal with these answers."""
    master, slave = pty.openpty()
    modes = termios.tcgetattr(slave)
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, modes)
    os.write(master, answers.encode())
    around = ("TMUX", "STY", "SSH_CONNECTION", "NO_COLOR", "COLORTERM", "TERM_PROGRAM")
    environment = {key: value for key, value in os.environ.items() if key not in around}
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    ran = subprocess.run(
        [sys.executable, "-c", LOOK, json.dumps(cases)],
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=slave,
        env=environment | more,
    )
    for end in (master, slave):
        os.close(end)
    assert ran.returncode == 0
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    return [{row["what"]: row for row in line} for line in lines]


GOOD = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


def test_terminals_of_many_kinds() -> None:
    good, dumb, small, tiny, old, plain, tmux = seen(
        (GOOD, 24, 80),
        ({"TERM": "dumb"}, 24, 80),
        (GOOD, 20, 80),
        (GOOD, 24, 30),
        ({"TERM": "xterm-16color"}, 24, 80),
        (GOOD | {"NO_COLOR": "1"}, 24, 80),
        (
            {
                "TERM": "screen",
                "TMUX": "/tmp/tmux",
                "TERM_PROGRAM": "tmux",
                "TERM_PROGRAM_VERSION": "3.4",
                "SSH_CONNECTION": "1",
            },
            50,
            100,
        ),
        answers=f"\x1b[5;{len(abilities.CHARACTERS) + 1}R",
    )
    assert {row["state"] for row in good.values()} == {"ok"}
    assert good["terminal"]["found"] == "TERM=xterm-256color, 80×24"
    assert good["colours"]["found"] == "16 million colours"
    assert good["characters"]["found"].endswith("in one column")

    assert dumb["terminal"]["state"] == "wrong"
    assert dumb["terminal"]["found"].startswith("TERM is 'dumb': no screens can be drawn")
    assert "export TERM=" in dumb["terminal"]["remedy"]
    assert dumb["characters"]["found"].endswith("was not told")

    assert (small["terminal"]["state"], tiny["terminal"]["state"]) == ("note", "wrong")
    assert (old["colours"]["state"], plain["colours"]["state"]) == ("note", "note")
    assert old["colours"]["found"].startswith("16 colours")
    assert plain["colours"]["found"] == "none, because NO_COLOR is set"
    assert tmux["terminal"]["found"] == "TERM=screen, 100×50, in tmux 3.4, over SSH"
    assert "tmux.conf" in tmux["colours"]["remedy"]


def test_characters_that_come_out_too_wide() -> None:
    (wide,) = seen((GOOD, 24, 80), answers="\x1b[5;21R")
    assert wide["characters"]["state"] == "wrong"
    assert "take 20 columns in place of 11" in wide["characters"]["found"]
    assert wide["characters"]["brief"] == "20/11 columns"


def test_a_locale_without_the_characters() -> None:
    (latin,) = seen((GOOD, 24, 80), PYTHONIOENCODING="iso-8859-1")
    assert latin["characters"]["state"] == "note"
    assert latin["characters"]["found"].startswith("the locale writes iso8859-1, which lacks")
    assert "UTF-8" in latin["characters"]["remedy"]


def test_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    found = [each for check in abilities.checks() for each in looked(check)]
    assert [each.what for each in found] == ["terminal", "characters"]
    assert found[0].state is State.NOTE and "no terminal" in found[0].found
    assert capsys.readouterr() == ("", "")
