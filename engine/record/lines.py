"""Reads the lines of a file that grows meanwhile. No torch here."""

from __future__ import annotations

import os
from pathlib import Path

from engine.record.reading import MIB, Damaged, open_to_read

#: Bytes of the longest line, and of the largest file of lines, that is read.
LONGEST_LINE, LARGEST_FILE = 16 * MIB, 1024 * MIB


def last_line(path: Path) -> bytes | None:
    """Returns the last whole line of a file, without its end, or None where there is none.

    Only the end of the file is read. Raises Damaged for what is no regular file, and for a line
    that is too long.
    """
    descriptor = open_to_read(path)
    if descriptor is None:
        return None
    try:
        return _last_line(descriptor, path)
    except OSError as error:
        raise Damaged(path, f"it cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)


def _last_line(descriptor: int, path: Path) -> bytes | None:
    """Returns the last whole line of an open file, from more and more of its end."""
    size = os.fstat(descriptor).st_size
    for length in (2**14, 2**20, 2 * LONGEST_LINE):
        start = max(0, size - length)
        *lines, _ = os.pread(descriptor, length, start).split(b"\n")
        if len(lines) > 1 or (lines and start == 0):
            return lines[-1]
        if start == 0:
            return None
    raise Damaged(path, f"it holds a line of more than {LONGEST_LINE // MIB} MiB")


class LineTail:
    """Reads the whole lines that were appended to a file since the last call."""

    def __init__(self, path: Path, at: int = 0) -> None:
        """Starts at byte `at` of the file, which need not exist yet."""
        self.path = path
        self.found: os.stat_result | None = None
        """The owner, the mode and the times of the file when it was read last."""
        self._at = at

    def new_lines(self) -> list[bytes]:
        """Returns the new lines, without their ends.

        There are none where there is no file. A last line without its end is left for a later call.
        A file that was cut or replaced by a shorter one is read from its start again. Raises
        Damaged for what is no regular file, and for lines or files that are too long.
        """
        descriptor = open_to_read(self.path)
        if descriptor is None:
            return []
        try:
            return self._read(descriptor)
        except OSError as error:
            raise Damaged(self.path, f"it cannot be read: {error.strerror}") from None
        finally:
            os.close(descriptor)

    def _read(self, descriptor: int) -> list[bytes]:
        """Returns the new lines of an open file. Raises Damaged and OSError."""
        self.found = os.fstat(descriptor)
        size = self.found.st_size
        if size > LARGEST_FILE:
            raise Damaged(self.path, f"it holds more than {LARGEST_FILE // MIB} MiB")
        if size < self._at:
            self._at = 0
        lines: list[bytes] = []
        while chunk := os.pread(descriptor, LONGEST_LINE, self._at):
            # A line without its end is read again later: its writer may cut it before it goes on.
            *whole, half = chunk.split(b"\n")
            if not whole:
                if len(chunk) == LONGEST_LINE:
                    raise Damaged(
                        self.path, f"it holds a line of more than {LONGEST_LINE // MIB} MiB"
                    )
                break
            lines += whole
            self._at += len(chunk) - len(half)
        return lines
