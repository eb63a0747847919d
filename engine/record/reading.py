"""Reads the files of a run's folder: only regular files, of a bounded size, with checked types.

A folder may come from a stranger, from a full disk or from another version. Whatever is wrong with
one of its files becomes one value, `Damaged`, that every command and every screen can show. No
torch here.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

from engine.errors import InputError
from engine.own_file import HOLLOW, is_hollow
from engine.record.decoding import decode, parse_json
from engine.record.unfit import Unfit

T = TypeVar("T")

MIB = 2**20

Stamp = tuple[int, int, int]
"""The number of a file, its size in bytes and the time of its last change in ns."""

#: The sizes in bytes of the largest preset and of the largest JSON file that are read.
LARGEST_PRESET, LARGEST_JSON = MIB, 64 * MIB

#: How a folder is opened for the sake of the names in it, which needs no right to list them.
_HANDLE = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

#: What is said of a link.
LINK = "it is a link, which is not followed"

_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "it is a directory"),
    (stat.S_ISFIFO, "it is a pipe"),
    (stat.S_ISSOCK, "it is a socket"),
    (stat.S_ISCHR, "it is a device"),
    (stat.S_ISBLK, "it is a device"),
)


class Damaged(InputError):
    """Raised for a file of a run's folder that is not what the engine writes there.

    Viewers keep it as a value. Two are equal where they say the same of the same file.
    """

    def __init__(self, file: Path, why: str) -> None:
        """Makes the error from the file's path and a clause that says what is wrong."""
        super().__init__(why, file=file)
        self.args = (f"damaged: {file}: {why}",)
        self.path, self.why = file, why

    @property
    def short(self) -> str:
        """The sentence with the file's name alone, for a screen that names the run itself."""
        return f"damaged: {self.path.name}: {self.why}"

    def __eq__(self, other: object) -> bool:
        """Returns whether the other says the same of the same file."""
        return isinstance(other, Damaged) and self.args == other.args

    def __hash__(self) -> int:
        """Returns a hash of the sentence."""
        return hash(self.args)


def stamp(path: Path | str) -> Stamp | None:
    """Returns what tells a file or folder from what it was before a change, or None without one."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def folder_of(path: Path) -> Iterator[int]:
    """Opens the folder in which a file lies, as a handle for the names in it, within the block.

    The folder may lie behind links, but is none itself. Raises Damaged where it is one, and OSError
    where there is no such folder.
    """
    folder = path.parent
    try:
        handle = os.open(folder, _HANDLE)
    except NotADirectoryError:
        if folder.is_symlink():
            raise Damaged(folder, LINK) from None
        raise
    try:
        yield handle
    finally:
        os.close(handle)


def open_regular(path: Path, flags: int, mode: int = 0o666, *, follow: bool = False) -> int:
    """Opens a regular file with these `os.open` flags and returns its descriptor.

    Unlike a plain `open` it never waits for the other end of a pipe, and follows no link, neither
    in place of the file nor of its folder, unless it is to `follow` them. A new file gets this
    `mode`, as the umask allows. Raises Damaged for what is no regular file, and OSError for what
    the system refuses.
    """
    flags |= os.O_NONBLOCK | os.O_CLOEXEC
    try:
        if follow:
            descriptor = os.open(path, flags, mode)
        else:
            with folder_of(path) as folder:
                descriptor = os.open(path.name, flags | os.O_NOFOLLOW, mode, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise Damaged(path, _kind_of(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Damaged(path, _kind_of(path))
    return descriptor


def _kind_of(path: Path) -> str:
    """Returns a clause that says what a path is that is no regular file."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return "it is no regular file"
    if stat.S_ISLNK(mode):
        return LINK
    return next((said for kind, said in _KINDS if kind(mode)), "it is no regular file")


def open_to_read(path: Path, *, follow: bool = False) -> int | None:
    """Returns a descriptor of a regular file, or None where there is no file. Raises Damaged."""
    try:
        return open_regular(path, os.O_RDONLY, follow=follow)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Damaged(path, f"it cannot be read: {error.strerror}") from None


def open_whole(path: Path, *, follow: bool = False) -> IO[bytes]:
    """Opens a large file to read, that of a link only where it is to `follow` links.

    Raises Damaged where there is no readable regular file, or one that is mostly a hole, as a copy
    leaves it that broke off.
    """
    descriptor = open_to_read(path, follow=follow)
    if descriptor is None:
        raise Damaged(path, "it is missing")
    if is_hollow(os.fstat(descriptor)):
        os.close(descriptor)
        raise Damaged(path, HOLLOW)
    return os.fdopen(descriptor, "rb")


def check_regular(path: Path) -> bool:
    """Returns whether there is a file. Raises Damaged where it is no readable regular file."""
    descriptor = open_to_read(path)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def read_bytes(path: Path, largest: int, *, follow: bool = False) -> bytes | None:
    """Returns the content of a file of at most `largest` bytes, or None where there is no file.

    Raises Damaged where the file is larger, or is no readable regular file. A link counts as one
    only where it is to `follow` links.
    """
    descriptor = open_to_read(path, follow=follow)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        try:
            content = file.read(largest + 1)
        except OSError as error:
            raise Damaged(path, f"it cannot be read: {error.strerror}") from None
    if len(content) > largest:
        raise Damaged(path, f"it holds more than {largest // MIB} MiB")
    return content


def read_text(path: Path, largest: int, *, follow: bool = False) -> str:
    """Returns the UTF-8 text of a file of at most `largest` bytes.

    Raises Damaged as `read_bytes` does, and where there is no file.
    """
    content = read_bytes(path, largest, follow=follow)
    if content is None:
        raise Damaged(path, "it is missing")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Damaged(path, "it is not UTF-8 text") from None


def read_json(kind: type[T], path: Path, largest: int = LARGEST_JSON) -> T | None:
    """Returns the `kind` that a JSON file of at most `largest` bytes holds.

    Returns None where there is no file. Raises Damaged.
    """
    content = read_bytes(path, largest)
    if content is None:
        return None
    try:
        return decode(kind, parse_json(content))
    except Unfit as unfit:
        raise Damaged(path, str(unfit)) from None
