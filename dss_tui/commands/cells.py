"""What commands that run many searches share: checks, and lines on how many have ended."""

from __future__ import annotations

import argparse
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Protocol

from dss_tui.viewing.words import clock
from engine.errors import InputError, SaveError
from engine.record.events import Outcome
from engine.record.finding import placed
from engine.record.reading import Damaged
from engine.record.rundir import RunDir
from engine.record.signals import Signals, ending_at_once
from engine.run.cluster.address import parse_address

if TYPE_CHECKING:
    from engine.run.crew import Crew
    from engine.run.folder_of_runs import FolderOfRuns

Hire = Callable[..., "Crew"]
"""Returns those who run the searches, at most so many at a time where its argument says so."""
Begin = Callable[[Hire], "FolderOfRuns[Any, Any, Any]"]
"""Returns many runs, new or begun before, that somebody who is hired is to run."""
Tell = Callable[..., None]
"""Prints the tables of many runs: of the runs and their rows, `as_json` or for people."""

#: The number of files that a pair under way holds open, and of those that everything else does.
FILES_OF_A_PAIR, OTHER_FILES = 3, 100


def crew_asked(asked: argparse.Namespace) -> str | None:
    """Returns the word for those who run the searches, and tells what others may do there.

    It is the address of a cluster, a number of searches at a time, or None for the usual one.
    Raises InputError for what is no address, or where so many cannot be under way at a time.
    """
    if asked.cluster is not None:
        warning = parse_address(asked.cluster).warning
        if warning is not None:
            print(f"dss-tui: {warning}", file=sys.stderr)
        return str(asked.cluster)
    at_once: int | None = vars(asked).get("at_once")
    if at_once is None:
        return None
    _check_at_once(at_once)
    return str(at_once)


def _check_at_once(at_once: int) -> None:
    """Raises InputError where so many searches cannot be under way at a time."""
    if at_once < 1:
        raise InputError(f"is {at_once}; give a number from 1", key="--at-once")
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(1, (files - OTHER_FILES) // FILES_OF_A_PAIR)
    if files != resource.RLIM_INFINITY and at_once > most:
        raise InputError(
            f"is {at_once}, but a process may hold {files} files open here, enough for "
            f"{most}; give less, or raise `ulimit -n`",
            key="--at-once",
        )


def check_no_level(overrides: Iterable[str]) -> None:
    """Raises InputError for a level among the overrides of a command that is given levels."""
    for line in overrides:
        if line.partition("=")[0].strip() == "search.level":
            raise InputError(f"--set {line!r} is not for many levels; name it in --levels")


def show_many(asked: argparse.Namespace, begin: Callable[[RunDir], bool]) -> int:
    """Begins or goes on with many runs in an engine of its own, and shows their screen.

    `begin` returns whether it has launched an engine on the folder. The result is the exit status.
    """
    from dss_tui.commands.run import show
    from dss_tui.tui.app import Opening

    folder = folder_asked(asked)
    return show(Opening(folder, launched=begin(folder), fps=asked.fps))


def run_here(begin: Begin, tell: Tell, crew: str | None, *, as_json: bool) -> int:
    """Runs what `begin` returns with this process on watch, and returns the exit status.

    Lines say how many cells have ended, and `tell` prints the tables.
    """
    with ExitStack() as stack:
        with ending_at_once():
            from engine.run.crews import crew_of

            def hire(*at_once: int) -> Crew:
                return stack.enter_context(crew_of(crew, *at_once))

            begun = begin(hire)
        with Signals() as signals, CellLines(begun):
            end = begun.run(signals)
        if end.failed:
            print(f"dss-tui: {end.sentence}", file=sys.stderr)
        # What ended the session may keep its tables from being written too, and is told already.
        with suppress(SaveError) if end.failed else nullcontext():
            tell(begun, begun.write_tables(), as_json=as_json)
        if not begun.is_done:
            print(begun.unfinished, file=sys.stderr)
        return end.exit_status


def folder_asked(asked: argparse.Namespace) -> RunDir:
    """Returns the folder of many runs that a command names."""
    return placed(asked.out.expanduser().absolute())


class Cells(Protocol):
    """Many runs that this process computes."""

    @property
    def cells(self) -> int:
        """The number of cells."""

    def count(self, *outcomes: Outcome) -> int:
        """Returns how many cells have ended, or how many of them with one of `outcomes`."""


class CellLines:
    """Prints a line about many cells every few seconds on stderr, from a thread of its own."""

    every_s = 5.0

    def __init__(self, runs: Cells) -> None:
        """Makes the display of many runs, which starts with its `with` block."""
        self._runs = runs
        self._since = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> CellLines:
        """Starts the thread."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Prints a last line and ends the thread."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        """Prints lines until the block is left."""
        # Where stderr has no reader, or a file of the folder is damaged, which the command tells.
        with suppress(OSError, Damaged):
            while not self._over.wait(self.every_s):
                self._tell()
            self._tell()

    def _tell(self) -> None:
        """Prints one line."""
        ended, connected = self._runs.count(), self._runs.count(Outcome.CONNECTED)
        print(
            f"{clock(time.monotonic() - self._since)}  {ended} of {self._runs.cells} cells ended, "
            f"{connected} connected",
            file=sys.stderr,
            flush=True,
        )
