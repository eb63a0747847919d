"""Texts from files, names and errors as they are shown: what a terminal would obey is written out.

A name may hold the sequences that move a cursor, set the clipboard or turn the order of letters
around. They are shown as the escapes by which Python and JSON write them, a backslash and a number.
"""

from __future__ import annotations

import re

#: What a terminal obeys instead of showing it: controls (C0, DEL, C1), breaks of lines and
#: paragraphs, marks that change the direction of writing, and halves of surrogate pairs, which
#: stand for bytes that are no UTF-8.
_CONTROLS = (
    "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069"
    "\\ud800-\\udfff"
)
_OBEYED = re.compile(f"[{_CONTROLS}]")
_OBEYED_IN_LINES = re.compile(f"[{_CONTROLS}\t\n]")
#: Controls that have an escape of their own.
_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def shown(text: str) -> str:
    """Returns a text of one or several lines in which nothing is left that a terminal obeys.

    Only ends of lines and tabs stay.
    """
    return _OBEYED.sub(_escape, text)


def shown_in_line(text: str) -> str:
    """Returns a text as `shown` does, as a single line, so that it cannot pose as another one."""
    return _OBEYED_IN_LINES.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    """Returns the escape of one character, in JSON's form where JSON may hold it as it is."""
    letter = found[0]
    return _SHORT.get(letter) or (f"\\x{ord(letter):02x}" if letter < " " else _in_json(letter))


def _in_json(letter: str) -> str:
    return f"\\u{ord(letter):04x}"


def is_plain(text: str) -> bool:
    """Returns whether a text holds nothing that `shown_in_line` would write out."""
    return _OBEYED_IN_LINES.search(text) is None
