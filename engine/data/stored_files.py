"""Reads files of published data sets: plain, in gzip, or within a tar as it was downloaded.

A file within a tar has a path below that of the tar, as if the tar were a folder.
"""

from __future__ import annotations

import gzip
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, BinaryIO, cast

from engine import own_file
from engine.data.survey import Source
from engine.errors import InputError

#: The first two bytes of a gzip file.
GZIP = b"\x1f\x8b"
#: The least and the largest ratio of a file's size to its size in gzip.
GZIP_RATIOS = 0.99, 1032
#: Bytes that are read at a time, and the most that a file, or a tar, may hold uncompressed: the
#: published ones hold less than a third of that.
PIECE, LARGEST = 2**20, 2**29


class _TooLarge(OSError):
    """Raised where a file holds more uncompressed bytes than any published one."""


class _Gzip(gzip.GzipFile):
    """Gzip data of which no more than LARGEST bytes are unpacked."""

    def read(self, size: int | None = -1) -> bytes:
        """Returns the next bytes. Raises _TooLarge."""
        _check_size(self.tell())
        return super().read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Goes to a place in the uncompressed data. Raises _TooLarge."""
        _check_size(offset)
        return super().seek(offset, whence)


def _check_size(size: int) -> None:
    """Raises _TooLarge for more than LARGEST bytes."""
    if size > LARGEST:
        raise _TooLarge


def contents(path: Path, source: Source) -> bytearray:
    """Returns a file's uncompressed bytes. Raises InputError for one that cannot be read."""
    held = bytearray()
    with faults_said(path, source), _opened(path) as file:
        while piece := file.read(PIECE):
            held += piece
            _check_size(len(held))
    return held


def beginning(path: Path, size: int, source: Source) -> bytes:
    """Returns a file's first uncompressed bytes, at most `size` of them.

    Raises InputError for a file that cannot be read.
    """
    with faults_said(path, source), _opened(path) as file:
        return file.read(size)


def uncompressed_size(path: Path, unit: int, source: Source) -> int:
    """Returns a file's uncompressed size in bytes, from what the end of its gzip data says.

    Where that size cannot be, or is no multiple of `unit`, the file is read: gzip data that end too
    early end with any bytes, and data joined of several parts with the size of the last part.
    Raises InputError for a file that cannot be read.
    """
    with faults_said(path, source):
        if tar := tar_of(path):
            return members(tar)[_name_in(path, tar)]
        packed = path.stat().st_size
        if not _is_gzip(path):
            return packed
        with own_file.opened(path) as file:
            file.seek(max(0, packed - 4))
            size = int.from_bytes(file.read(), "little")
    low, high = GZIP_RATIOS
    if low * packed - 64 < size < high * packed and size % unit == 0:
        return size
    return len(contents(path, source))


def _is_gzip(path: Path) -> bool:
    """Returns whether a file's content is gzip data, whatever its name.

    Browsers unpack some files and leave them their names.
    """
    with own_file.opened(path) as file:
        return file.read(len(GZIP)) == GZIP


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Opens the file for reading its uncompressed bytes within the block."""
    tar = tar_of(path)
    if tar is None:
        with _unpacked(path) as file:
            yield file
        return
    with _unpacked(tar) as held, tarfile.open(fileobj=held) as archive:
        file_in = archive.extractfile(_name_in(path, tar))
        if file_in is None:
            raise OSError(2, "no such file")
        with file_in:
            yield file_in


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file of its own for reading its uncompressed bytes within the block."""
    with own_file.opened(path) as file:
        if _is_gzip(path):
            with _Gzip(fileobj=file) as unpacked:
                yield cast(BinaryIO, unpacked)
        else:
            _check_size(os.fstat(file.fileno()).st_size)
            yield file


# ---------------------------------------------------------------- tars


def tar_of(path: Path) -> Path | None:
    """Returns the tar that a path lies in, or None for a file or folder of its own."""
    return next((above for above in path.parents if above.is_file()), None)


def members(tar: Path) -> dict[str, int]:
    """Returns the sizes in bytes of the files in a tar by their names in it, without links.

    Raises OSError, EOFError or TarError where it cannot be read.
    """
    state = tar.stat()
    return _members(tar, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _members(tar: Path, changed_ns: int, size: int) -> dict[str, int]:
    """Returns what `members` does, of a tar of that time and size."""
    with _unpacked(tar) as held, tarfile.open(fileobj=held) as archive:
        return {each.name: each.size for each in archive if each.isfile()}


def _name_in(path: Path, tar: Path) -> str:
    """Returns the name that a path within a tar has there. Raises OSError where it has none."""
    names = {str(Path(name)): name for name in members(tar)}
    try:
        return names[str(path.relative_to(tar))]
    except KeyError:
        raise OSError(2, "no such file in the tar") from None


@contextmanager
def faults_said(path: Path, source: Source) -> Iterator[None]:
    """Turns what goes wrong in reading the file within the block into an InputError."""
    try:
        yield
    except EOFError:
        raise InputError(f"its gzip data end too early; {source.again()}", file=path) from None
    except tarfile.TarError:
        raise InputError(f"is no whole tar; {source.again()}", file=path) from None
    except (gzip.BadGzipFile, zlib.error):
        raise InputError(f"its gzip data are damaged; {source.again()}", file=path) from None
    except _TooLarge:
        raise InputError(
            f"holds more than {LARGEST // 2**20} MiB, and so is none of the published files; "
            f"{source.again()}",
            file=path,
        ) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
