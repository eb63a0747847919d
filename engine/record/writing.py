"""Files of a run's folder written: replaced whole, or appended to. No torch here."""

from __future__ import annotations

import contextlib
import os
import re
from io import TextIOWrapper
from pathlib import Path
from typing import IO

from engine.errors import SaveError
from engine.record.reading import Damaged, open_regular


def replace(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replaces a file whole or not at all; a durable one survives a loss of power.

    Raises SaveError; the old content is then still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise SaveError(f"{path}: cannot be written: {error.strerror}") from error


def is_leftover(path: Path) -> bool:
    """Returns whether a file is half of a replacement that its writer did not live to finish."""
    return bool(re.fullmatch(r"\..+\.\d+\.tmp", path.name))


def open_to_append(path: Path) -> IO[bytes]:
    """Opens a file to append to, unbuffered, and makes it where there is none.

    It writes through no link and into no pipe. Raises SaveError.
    """
    # Unbuffered, so that a line that could not be written is not written later.
    return os.fdopen(_append(path), "ab", buffering=0)


def open_log(path: Path) -> TextIOWrapper:
    """Opens a log to append text to, as `open_to_append` does. Raises SaveError."""
    return os.fdopen(_append(path), "a", encoding="utf-8")


def _append(path: Path) -> int:
    try:
        return open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    except Damaged as damaged:
        raise SaveError(f"{path}: cannot be written: {damaged.why}") from None
    except OSError as error:
        raise SaveError(f"{path}: cannot be written: {error.strerror}") from error
