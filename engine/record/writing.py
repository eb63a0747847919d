"""Writes the files of a run's folder: replaces them whole, or appends to them. No torch here."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import IO

from engine.errors import SaveError
from engine.record.reading import Damaged, folder_of, open_regular

#: How a new file is opened for writing, in place of nothing that is there.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: How a folder is opened whose names are to survive a loss of power.
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def replace(path: Path, content: bytes, *, durable: bool = True, mode: int = 0o666) -> None:
    """Replaces the content of a file whole or not at all.

    A `durable` content survives a loss of power. The file gets this `mode`, as the umask allows.
    Raises SaveError where the file cannot be written; the old content is then still there.
    """
    with replacing(path, durable=durable, mode=mode) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = True, mode: int = 0o666) -> Iterator[IO[bytes]]:
    """Opens a file that takes the place of another, as `replace` does, once its block has ended.

    Raises SaveError as `replace` does; whatever else the block raises leaves the old content too.
    """
    try:
        with (
            folder_of(path) as folder,
            _replacing(path.name, folder, durable=durable, mode=mode) as file,
        ):
            yield file
    except Damaged as damaged:
        if damaged.path != path.parent:  # it is the block's
            raise
        raise SaveError(f"{path}: cannot be written: {damaged}") from None
    except OSError as error:
        raise SaveError(f"{path}: cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def _replacing(name: str, folder: int, *, durable: bool, mode: int) -> Iterator[IO[bytes]]:
    """Opens a file that takes the place of the one of this name in an open folder."""
    temporary = f".{name}.{os.getpid()}.tmp"
    with contextlib.suppress(FileNotFoundError):  # of a process that had the same number
        os.unlink(temporary, dir_fd=folder)
    descriptor = os.open(temporary, _NEW, mode, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        if durable:
            _sync_names(".", folder)
    except Exception:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


def chosen(path: str | os.PathLike[str]) -> Path:
    """Returns the path of a file that a user names, in its folder behind whatever links.

    Elsewhere, as in a run's folder, nothing is written into a folder that is a link.
    """
    path = Path(path)
    folder = path.parent
    return Path(os.path.realpath(folder)) / path.name if folder.is_symlink() else path


def made_folder(path: Path, within: Path | None = None) -> None:
    """Makes a folder in another one, and the folders between the two, where there are none yet.

    They survive a loss of power. `within` is the parent unless it is given. Raises SaveError where
    a folder cannot be made, also where there is a link in its place.
    """
    outer = within or path.parent
    for made in reversed([path, *path.parents][: len(path.relative_to(outer).parts)]):
        try:
            is_new = not os.path.lexists(made)
            made.mkdir(exist_ok=True)
            if is_new:
                _sync_names(made.parent.resolve())
            is_link = not is_folder(made)
        except OSError as error:
            raise SaveError(f"{made}: cannot be made: {error.strerror}") from error
        if is_link:
            raise SaveError(f"{made}: is a link, which is not followed")


def is_folder(path: Path) -> bool:
    """Returns whether a path is a folder and no link. Raises OSError where there is nothing."""
    return stat.S_ISDIR(os.lstat(path).st_mode)


def sync_folder(path: Path) -> None:
    """Makes the names in a folder survive a loss of power. Raises SaveError."""
    try:
        _sync_names(path)
    except OSError as error:
        raise SaveError(f"{path}: cannot be written: {error.strerror}") from error


def _sync_names(path: str | Path, within: int | None = None) -> None:
    """Makes the names in a folder survive a loss of power, as far as its file system can.

    The path may be relative to an open folder. Raises OSError.
    """
    try:
        descriptor = os.open(path, _FOLDER, dir_fd=within)
    except PermissionError:  # one may write names there, but not list them
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # the system syncs files alone
            raise
    finally:
        os.close(descriptor)


def is_leftover(path: Path) -> bool:
    """Returns whether a file is the temporary one of a replacement that was never finished."""
    return bool(re.fullmatch(r"\..+\.\d+\.tmp", path.name))


def open_to_append(path: Path, mode: int = 0o666) -> IO[bytes]:
    """Opens a file to append to, without a buffer, and makes it where there is none.

    It then gets this `mode`, as the umask allows. Raises SaveError, also for a link or a pipe.
    """
    # Without a buffer, so that a line that could not be written is not written later.
    return os.fdopen(_append(path, mode), "ab", buffering=0)


def open_log(path: Path) -> TextIOWrapper:
    """Opens a log to append text to, and makes it where there is none.

    Raises SaveError, also for a link or a pipe.
    """
    return os.fdopen(_append(path), "a", encoding="utf-8")


def _append(path: Path, mode: int = 0o666) -> int:
    """Returns a descriptor of a file to append to, made where there is none. Raises SaveError."""
    try:
        return open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, mode)
    except Damaged as damaged:
        raise SaveError(f"{damaged.path}: cannot be written: {damaged.why}") from None
    except OSError as error:
        raise SaveError(f"{path}: cannot be written: {error.strerror}") from error
