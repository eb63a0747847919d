"""Asks the terminal a question that it answers on the keyboard's stream."""

from __future__ import annotations

import os
import re
import select
import termios
import tty

#: The seconds after which a terminal is taken for one that does not answer.
SILENT_S = 0.2


def answer(question: bytes, end: re.Pattern[bytes], keyboard: int, screen: int) -> bytes:
    """Returns what the terminal answers, up to what the pattern finds, or what came of it.

    `keyboard` and `screen` are descriptors. Raises termios.error where there is no terminal, and
    OSError where it goes away.
    """
    before, answer = termios.tcgetattr(keyboard), b""
    tty.setcbreak(keyboard, termios.TCSANOW)
    try:
        os.write(screen, question)
        while not end.search(answer) and select.select([keyboard], [], [], SILENT_S)[0]:
            answer += os.read(keyboard, 1024)
    finally:
        termios.tcsetattr(keyboard, termios.TCSANOW, before)
    return answer
