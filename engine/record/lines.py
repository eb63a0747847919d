"""Lines of a file that grows while it is read."""

from __future__ import annotations

from pathlib import Path


class LineTail:
    """The whole lines appended to a file since the last look; one without its end waits."""

    def __init__(self, path: Path, at: int = 0) -> None:
        self._path, self._at = path, at

    def new_lines(self) -> list[bytes]:
        """Nothing where there is no file; from the start again where it was cut or replaced."""
        try:
            with open(self._path, "rb") as file:
                if file.seek(0, 2) < self._at:
                    self._at = 0
                file.seek(self._at)
                appended = file.read()
        except FileNotFoundError:
            return []
        # A line without its end is read again: whoever goes on writing may cut it first.
        *lines, half = appended.split(b"\n")
        self._at += len(appended) - len(half)
        return lines
