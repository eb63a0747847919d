"""Lines of a file that grows while it is read."""

from __future__ import annotations

from pathlib import Path


class LineTail:
    """The whole lines appended to a file since the last look; one without its end waits."""

    def __init__(self, path: Path, at: int = 0) -> None:
        self._path, self._at, self._rest = path, at, b""

    def new_lines(self) -> list[bytes]:
        """Nothing where there is no file; from the start again where it was cut or replaced."""
        try:
            with open(self._path, "rb") as file:
                if file.seek(0, 2) < self._at:
                    self._at, self._rest = 0, b""
                file.seek(self._at)
                appended = file.read()
        except FileNotFoundError:
            return []
        self._at += len(appended)
        *lines, self._rest = (self._rest + appended).split(b"\n")
        return lines
