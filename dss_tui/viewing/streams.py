"""The standard streams of a command, on which nothing is obeyed.

What the encoding of a stream lacks is written in ASCII (`glyphs`), and what a terminal would obey
is written out (`shown`), wherever it comes from. Streams that are closed take nothing.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO, cast

from dss_tui.viewing.glyphs import TEXT
from dss_tui.viewing.shown import shown


class Shown:
    """A text stream that passes on what is written as `shown` returns it."""

    def __init__(self, stream: TextIO, *, needed: bool) -> None:
        """Passes everything on to this stream.

        Where it is not `needed`, what cannot be written is dropped.
        """
        self.rich_proxied_file = stream
        """The stream itself, under the name by which rich finds it: its own colours are obeyed."""
        self._needed = needed

    def write(self, text: str) -> int:
        """Writes a text and returns its length. Raises OSError where it is needed and cannot be."""
        try:
            self.rich_proxied_file.write(shown(text))
        except OSError as error:
            self._lost(error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Writes what is held back. Raises OSError where it is needed and cannot be written."""
        try:
            self.rich_proxied_file.flush()
        except OSError as error:
            self._lost(error)

    def _lost(self, error: OSError) -> None:
        """Raises the error of a stream that is needed, or drops what could not be written."""
        if self._needed:
            error.filename = "standard output"
            raise error
        drop(self.rich_proxied_file)

    def __getattr__(self, name: str) -> Any:
        """Returns whatever else the stream has."""
        return getattr(self.rich_proxied_file, name)


class _Nowhere(io.TextIOBase):
    """A stream in place of one that was closed before this process began."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        """Writes nothing and returns the text's length."""
        return len(text)


def unguarded(stream: TextIO) -> TextIO:
    """Returns the stream below a guarded one, for control sequences of our own."""
    return cast(TextIO, getattr(stream, "rich_proxied_file", stream))


@contextmanager
def guarded() -> Iterator[None]:
    """Guards standard output and error within the block. Messages that nobody takes are dropped."""
    out = Shown(_opened(sys.stdout), needed=True)
    messages = Shown(_opened(sys.stderr), needed=False)
    with redirect_stdout(cast(TextIO, out)), redirect_stderr(cast(TextIO, messages)):
        yield


def _opened(stream: TextIO | None) -> TextIO:
    """Returns a stream that writes what it can encode, or nothing where it was closed."""
    if stream is None:
        return cast(TextIO, _Nowhere())
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=TEXT)
    return stream


def drop(stream: TextIO) -> None:
    """Sends what a stream still holds back to nowhere, and all that is written to it later.

    Python would complain about it at its end.
    """
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()
