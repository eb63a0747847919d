"""The command line: parses arguments and calls the command that they name."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence

from dss_tui import dispatch
from dss_tui.arguments import build_parser
from dss_tui.viewing import replaced, streams
from dss_tui.viewing.shown import shown_in_line
from engine.errors import NO_THREAD, InputError, SaveError

#: What the system says of a path that cannot be used, whoever runs the command.
OF_PATHS = (
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP),
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.EINVAL),
)

#: What the system's loader and Python say where there is no memory for a library, such as torch's,
#: and for a thread.
NO_MEMORY = (
    *("failed to map segment", "cannot map zero-fill pages", "annot allocate memory"),
    *("error return without exception set", NO_THREAD),
)

#: The commands that compute with torch, and what is said where the current folder is gone.
COMPUTING = (
    *(dispatch.run, dispatch.resume, dispatch.shorten, dispatch.sweep, dispatch.compare),
    *(dispatch.components, dispatch.verify, dispatch.measure, dispatch.barrier, dispatch.align),
    *(dispatch.bench, dispatch.doctor),
)
GONE = "the current folder is not there any more; change to another one"


def main(arguments: Sequence[str]) -> int:
    """Runs a command line and returns its exit status.

    Raises SystemExit after `--help`, and for what no command takes.
    """
    with streams.guarded():
        try:
            try:
                return _status(arguments)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            streams.drop(streams.unguarded(sys.stdout))
            return 128 + signal.SIGPIPE
        except OSError as error:
            return _told(error)


def _status(arguments: Sequence[str]) -> int:
    """Runs a command line and returns its exit status. Raises OSError."""
    try:
        asked = build_parser().parse_args(arguments)
        command: Callable[[argparse.Namespace], int] = asked.command
        if command in COMPUTING and not _has_folder():  # torch's libraries would end the process
            return _said(GONE, 2)
        return command(asked)
    except InputError as error:
        return _said(error, 2)
    except SaveError as error:
        return _said(error, 1)
    except (ImportError, MemoryError, RuntimeError, SystemError) as error:
        if isinstance(error, ImportError) and replaced.replaced(error):
            return _said(replaced.SENTENCE, 1)
        if not _lacks_memory(error):
            raise
        return _without_memory(error)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _lacks_memory(error: Exception) -> bool:
    """Returns whether an error means that memory has run out."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY)


def _without_memory(error: Exception) -> int:
    """Tells in a sentence that memory has run out and returns the exit status."""
    said = str(error).partition("\n")[0] or "what was asked for does not fit"
    return _said(f"there is not enough memory ({said}); ask for less, or free some", 1)


def _told(error: OSError) -> int:
    """Tells an error of the system in a sentence and returns the exit status that it has."""
    streams.drop(streams.unguarded(sys.stdout))
    reason = error.strerror or str(error)
    if error.filename is not None:
        where = os.fsdecode(error.filename) if not isinstance(error.filename, int) else "a file"
        return _said(f"{where}: cannot be used: {reason}", 2 if error.errno in OF_PATHS else 1)
    if not _has_folder():
        return _said(GONE, 2)
    return _said(f"cannot go on: {reason}", 1)


def _has_folder() -> bool:
    """Returns whether the current folder is still there."""
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def _said(what: object, status: int) -> int:
    """Says something in one line on standard error and returns the status."""
    print(f"dss-tui: {shown_in_line(str(what))}", file=sys.stderr)
    return status
