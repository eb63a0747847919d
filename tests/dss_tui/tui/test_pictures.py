"""Terminals that answer or do not when they are asked whether they show pictures."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from contextlib import suppress

import pytest

from dss_tui.tui import pictures

ASK = """
import sys
{before}
from dss_tui.tui import pictures
pictures.ask({wanted})
found = pictures.picture()
print("found", found and f"{{found.__module__}}.{{found.__name__}}", "PIL" in sys.modules)
"""

#: What terminals answer to the question: of kitty's protocol, if they know it, and what they are.
SIXEL, PLAIN = "\x1b[?62;4;22c", "\x1b[?62;14;22c"
KITTY, REFUSED = (f"\x1b_Gi=31;{word}\x1b\\{PLAIN}" for word in ("OK", "ENOTSUP"))


def asked(answers: str, wanted: object = None, before: str = "", over_ssh: bool = False) -> str:
    """What a process on a terminal writes that asks it, and that it gets these answers from.

    They lie in the terminal before it asks, so that nothing depends on how fast they come.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 800, 480))
    modes = termios.tcgetattr(slave)
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, modes)
    os.write(master, answers.encode())
    environment = {key: value for key, value in os.environ.items() if key != "SSH_CONNECTION"}
    ran = subprocess.run(
        [sys.executable, "-c", ASK.format(wanted=wanted, before=before)],
        stdin=slave,
        stdout=slave,
        stderr=subprocess.PIPE,
        env=environment | ({"SSH_CONNECTION": "a b c d"} if over_ssh else {}),
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    os.set_blocking(master, False)
    written = b""
    with suppress(BlockingIOError):
        while some := os.read(master, 4096):
            written += some
    os.close(slave)
    os.close(master)
    return written.decode()


def test_a_terminal_with_sixel_gets_pictures_so() -> None:
    written = asked(SIXEL)
    assert "\x1b[c" in written and "found textual_image.widget.sixel.Image True" in written


def test_a_terminal_with_kittys_protocol_gets_pictures_so() -> None:
    written = asked(KITTY)
    assert "\x1b_G" in written and "found textual_image.widget.TGPImage True" in written


@pytest.mark.parametrize("answers", [PLAIN, REFUSED, ""], ids=["plain", "refused", "silent"])
def test_another_terminal_gets_none_and_waits_for_no_import(answers: str) -> None:
    written = asked(answers)
    assert "\x1b[c" in written and "found None False" in written


def test_where_there_is_no_terminal_nothing_is_asked(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "__stdin__", nothing)
        pictures.ask(True)
    assert pictures.picture() is None and capfd.readouterr().out == ""


def test_nothing_is_asked_or_imported_without_the_extra() -> None:
    written = asked(SIXEL, before="sys.modules['textual_image'] = None")
    assert written.strip() == "found None False"


def test_nothing_is_asked_over_ssh_unless_the_user_wants_it() -> None:
    assert asked(SIXEL, over_ssh=True).strip() == "found None False"
    assert "found textual_image.widget.sixel.Image True" in asked(SIXEL, wanted=True, over_ssh=True)


def test_nothing_is_asked_where_the_user_does_not_want_it() -> None:
    assert asked(SIXEL, wanted=False).strip() == "found None False"
