"""Shows a run without screens: JSON lines, plain lines, or a few redrawn lines on a terminal.

The displays of lines read the run directory like any other viewer, and never touch the engine.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from dss_tui.viewing import counters
from dss_tui.viewing.console import Console
from dss_tui.viewing.engine_log import EngineLog, computing, warned
from dss_tui.viewing.phases import done
from dss_tui.viewing.words import clock
from engine.record.events import Outcome, Record
from engine.record.finding import reference, resume_command
from engine.record.progress import Progress, read_progress, steps_per_s
from engine.record.reading import Damaged
from engine.record.rundir import RunDir
from engine.record.signals import Signals

if TYPE_CHECKING:
    from engine.run.session import Ended


def has_terminal() -> bool:
    """Returns whether there is a terminal that can do more than print lines."""
    streams = (sys.stdin, sys.stderr)  # None where the process was started without one
    tty = all(stream is not None and stream.isatty() for stream in streams)
    return tty and os.environ.get("TERM") not in (None, "", "dumb")


class JsonLines:
    """Writes every event to stdout as a JSON line. Asks the run to end once nobody reads them."""

    def __init__(self, signals: Signals) -> None:
        """Makes the writer. `signals` are those by which the run is asked to end."""
        self._signals = signals

    def __enter__(self) -> JsonLines:
        """Returns the writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Drops what is left for a reader that is gone."""
        if self._signals.received is signal.SIGPIPE:
            # Python would complain on exit about the rest in the buffer, which has no reader.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def __call__(self, record: Record) -> None:
        """Writes one event, as long as somebody reads."""
        if self._signals.received is signal.SIGPIPE:
            return
        try:
            print(record.to_line(), flush=True)
        except BrokenPipeError:
            self._signals.ask(signal.SIGPIPE)


class _Watcher:
    """Shows the newest progress every `every_s` seconds, from a thread of its own."""

    every_s = 1.0

    def __init__(self, run: RunDir) -> None:
        """Makes the display of a run, which starts with its `with` block."""
        self.run = run
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="display", daemon=True)
        self._log = EngineLog(run, from_now=True)
        self._seen: Progress | None = None
        self.steps_per_s: float | None = None

    def __enter__(self) -> _Watcher:
        """Starts the thread."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the thread, and tells what the log has got since it last looked."""
        self._ended.set()
        self._thread.join()
        self._tell_log()

    def show(self, progress: Progress) -> None:
        """Shows the progress that was just read."""
        raise NotImplementedError

    def tell(self, words: str, style: str = "") -> None:
        """Prints a line. Displays that have colours give it the style."""
        print(words, file=sys.stderr, flush=True)

    def summarize(self, ended: Ended) -> None:
        """Prints on stdout how the run ended and which commands go on from there."""
        print(ended.sentence)
        for words in counters.computed(ended.totals):
            print(words)
        if ended.diagnosis is not None:
            print(ended.diagnosis.words)
            print(f"more about it: dss-tui diagnose {reference(self.run)}")
        print(f"run directory: {self.run.path}")
        if ended.outcome is Outcome.STOPPED:
            print(f"go on with: {resume_command(self.run)}")
        if self.run.string.exists():
            print(f"export it with: dss-tui export {reference(self.run)} --out string.safetensors")

    def _watch(self) -> None:
        """Reads and shows what is new until the block is left."""
        while not self._ended.wait(self.every_s):
            self.look()

    def look(self) -> None:
        """Reads and shows what is new in the log and in the progress."""
        self._tell_log()
        with suppress(Damaged):  # the engine replaces the file before long
            self._look(read_progress(self.run))

    def _tell_log(self) -> None:
        """Tells what the session computes with, and what the engine warns of."""
        lines = self._log.new_lines()
        for words in computing(lines):
            self.tell(words)
        for words in warned(lines):
            self.tell(words, "yellow")

    def _look(self, progress: Progress | None) -> None:
        """Shows a progress, unless it was shown before."""
        if progress is None or (self._seen is not None and progress.time == self._seen.time):
            return
        self.steps_per_s = steps_per_s(self._seen, progress, self.steps_per_s)
        self.show(progress)
        self._seen = progress


class PlainLines(_Watcher):
    """A display of one line every five seconds on stderr, for logs and dumb terminals."""

    every_s = 5.0

    def show(self, progress: Progress) -> None:
        """Prints one line of counters."""
        within = progress.within
        at = [] if within is None else [done(within, "computed")]
        said = [*at, *counters.words(progress, self.steps_per_s)]
        line = "  ".join([clock(progress.time), progress.phase, *said])
        print(line, file=sys.stderr, flush=True)


class RichDisplay(_Watcher):
    """A display of a few lines on a terminal, redrawn in place."""

    every_s = 0.25

    def __init__(self, run: RunDir) -> None:
        """Makes the display of a run, with a spinner until the first progress."""
        super().__init__(run)
        console = Console(stderr=True)
        waiting = Spinner("dots", text=f"starting {run.name}")
        self._live = Live(waiting, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> RichDisplay:
        """Starts to draw."""
        self._live.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the thread and clears the lines."""
        super().__exit__()
        self._live.__exit__(None, None, None)

    def tell(self, words: str, style: str = "") -> None:
        """Prints a line above those that are redrawn."""
        self._live.console.print(words, style=style, highlight=False, markup=False)

    def show(self, progress: Progress) -> None:
        """Draws the counters and the beads in training."""
        self._live.update(_panel(self.run.name, progress, self.steps_per_s))


def _panel(name: str, progress: Progress, steps_per_s: float | None) -> RenderableType:
    """Returns the lines of a display."""
    at = "" if progress.within is None else f" {done(progress.within, 'computed')}"
    return Group(
        Text.assemble((name, "bold"), f"  {progress.phase}{at}  {clock(progress.time)}"),
        Text("  ".join(counters.words(progress, steps_per_s))),
        *counters.training(progress),
    )
