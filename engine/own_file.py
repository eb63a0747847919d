"""Opens files that a user names or keeps: presets, keys, data.

They may be links, unlike the files of a run's folder (`record.reading`), but not pipes or devices.
What is wrong with one is an OSError, whose `strerror` says it.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO

from engine.errors import InputError

#: The bytes of a file from which on it is looked at whether most of it is a hole.
LARGE = 2**28
#: What is said of a file that is.
HOLLOW = "most of it is a hole that nothing was written to"
#: How files begin, in small letters, that stand in place of others, and what is said of them.
PAGE = "is a web page in place of the file, as a refused download leaves it; download it again"
STAND_INS = {
    b"version https://git-lfs": "is a pointer of Git LFS in place of the file; run `git lfs pull`",
    b"<!doctype html": PAGE,
    b"<html": PAGE,
}


def is_hollow(state: os.stat_result) -> bool:
    """Returns whether most of a large file is a hole, as a copy leaves it that broke off."""
    return state.st_size > LARGE and state.st_blocks * 512 < state.st_size / 2


def opened(path: Path) -> IO[bytes]:
    """Opens a file to read. Raises OSError for one that is no regular file, or mostly a hole."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode):
        os.close(descriptor)
        why = "Is a directory" if stat.S_ISDIR(state.st_mode) else "it is no regular file"
        raise OSError(errno.EINVAL, why, str(path))
    if is_hollow(state):
        os.close(descriptor)
        raise OSError(errno.EINVAL, HOLLOW, str(path))
    return os.fdopen(descriptor, "rb")


def check_itself(path: Path) -> None:
    """Raises InputError for a file that stands in place of another, which was not fetched.

    Of a file that cannot be opened its reader says what is wrong.
    """
    try:
        with opened(path) as file:
            beginning = file.read(64).lstrip().lower()
    except OSError:
        return
    for words, said in STAND_INS.items():
        if beginning.startswith(words):
            raise InputError(said, file=path)


def read_bytes(path: Path, largest: int) -> bytes:
    """Returns the content of a file. Raises OSError, also where it holds more than `largest`."""
    with opened(path) as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise OSError(errno.EFBIG, f"it holds more than {largest} bytes", str(path))
    return content


def read_text(path: Path, largest: int) -> str:
    """Returns the text of a file. Raises OSError as `read_bytes` does, or where it is not UTF-8."""
    try:
        return read_bytes(path, largest).decode()
    except UnicodeDecodeError:
        raise OSError(errno.EILSEQ, "it is not UTF-8 text", str(path)) from None
