"""The bytes of string files, for tests that damage them."""

from __future__ import annotations

from io import BytesIO

from engine.record.string_file import StringFile, write_to


def encode(file: StringFile, ending: str) -> bytes:
    """Returns the bytes of a string file with that ending."""
    held = BytesIO()
    write_to(file, ending, held)
    return held.getvalue()
