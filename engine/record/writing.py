"""Writes the files of a run's folder: replaces them whole, or appends to them. No torch here."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import IO

from engine.errors import SaveError
from engine.record.reading import Damaged, open_regular


def replace(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replaces the content of a file whole or not at all.

    A `durable` content survives a loss of power. Raises SaveError where the file cannot be written;
    the old content is then still there.
    """
    with replacing(path, durable=durable) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """Opens a file that takes the place of another, as `replace` does, once its block has ended.

    Raises SaveError as `replace` does; whatever else the block raises leaves the old content too.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except Exception as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise SaveError(f"{path}: cannot be written: {error.strerror}") from error
        raise


def made_folder(path: Path) -> None:
    """Makes a folder within a run's, where there is none yet.

    Raises SaveError where it cannot be made, also where there is a link in its place.
    """
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise SaveError(f"{path}: cannot be made: {error.strerror}") from error
    if not is_folder(path):
        raise SaveError(f"{path}: is a link, which is not followed")


def is_folder(path: Path) -> bool:
    """Returns whether a path is a folder and no link. Raises OSError where there is nothing."""
    return stat.S_ISDIR(os.lstat(path).st_mode)


def sync_folder(path: Path) -> None:
    """Makes the names in a folder survive a loss of power. Raises SaveError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SaveError(f"{path}: cannot be written: {error.strerror}") from error


def is_leftover(path: Path) -> bool:
    """Returns whether a file is the temporary one of a replacement that was never finished."""
    return bool(re.fullmatch(r"\..+\.\d+\.tmp", path.name))


def open_to_append(path: Path) -> IO[bytes]:
    """Opens a file to append to, without a buffer, and makes it where there is none.

    Raises SaveError, also for a link or a pipe.
    """
    # Without a buffer, so that a line that could not be written is not written later.
    return os.fdopen(_append(path), "ab", buffering=0)


def open_log(path: Path) -> TextIOWrapper:
    """Opens a log to append text to, and makes it where there is none.

    Raises SaveError, also for a link or a pipe.
    """
    return os.fdopen(_append(path), "a", encoding="utf-8")


def _append(path: Path) -> int:
    """Returns a descriptor of a file to append to, made where there is none. Raises SaveError."""
    try:
        return open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    except Damaged as damaged:
        raise SaveError(f"{path}: cannot be written: {damaged.why}") from None
    except OSError as error:
        raise SaveError(f"{path}: cannot be written: {error.strerror}") from error
