"""The drivers by which the application holds its terminal, and lets go of it whatever happens.

Textual's driver for Linux is sound as long as the terminal stays and signals are rare. The drivers
here add three things. A viewer ends within `GRACE_S` of a signal that ends it, even where nobody
reads its output. It ends where its terminal has gone away. It leaves the terminal as it found it
after every signal that a process can catch.
"""

from __future__ import annotations

import asyncio
import io
import os
import queue
import select
import signal
import sys
import termios
import threading
import time
from codecs import getincrementaldecoder
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from textual.app import App
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver

from dss_tui.viewing.glyphs import SCREEN

GRACE_S = 1.0
"""The seconds from a signal until a viewer that has not ended by itself is ended."""

ENDING = [
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT, signal.SIGALRM),
    *(signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGVTALRM, signal.SIGPROF),
    *(signal.SIGXCPU, signal.SIGIO),
]
"""The signals that would end the process at once and leave the terminal as it is.

The faults of the processor, such as SIGSEGV, are not among them, since no Python runs after those.
"""

LAST_WORDS = (
    b"\x18"  # cuts short a control sequence of which only the first half was written
    b"\x1b[?2026l"  # frames are shown as they come
    b"\x1b[?2048l\x1b[?1004l\x1b[?2004l"  # no reports of size or focus, no brackets around pastes
    b"\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"  # no mouse
    b"\x1b[?7h\x1b[<u"  # long lines wrap, keys are reported as they were before
    b"\x1b[?1049l\x1b[?25h"  # the main screen, with its cursor
)
"""The control sequences that undo every mode that Textual turns on, in the same order."""


class Outlet(io.RawIOBase):
    """A stream to a terminal that never fails and never keeps the process waiting for ever.

    Once the terminal is gone, or `silence` was called, everything written is dropped.
    """

    def __init__(self, descriptor: int, gone: Callable[[], None]) -> None:
        """Opens a stream to the terminal of `descriptor`. Calls `gone` when that has gone away."""
        self._gone = gone
        self._silent = False
        try:
            # A file description of its own, since O_NONBLOCK would hold for all that share one.
            name = os.ttyname(descriptor)
            self._descriptor = os.open(name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            self._descriptor = os.dup(descriptor)

    def writable(self) -> bool:
        """Returns True."""
        return True

    def isatty(self) -> bool:
        """Returns True."""
        return True

    def fileno(self) -> int:
        """Returns the descriptor that is written to."""
        return self._descriptor

    def write(self, data: Any, /) -> int:
        """Writes all of the bytes, or drops them, and returns how many there were."""
        left = memoryview(data)
        while left and not self._silent:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [], 0.1)
            except OSError:
                self.silence()
                self._gone()
        return len(data)

    def silence(self) -> None:
        """Drops what is written from now on."""
        self._silent = True

    def say_last(self, words: bytes) -> None:
        """Drops what nobody has read yet, and writes the words where there is room for them."""
        self.silence()
        with suppress(OSError, termios.error):
            termios.tcflush(self._descriptor, termios.TCOFLUSH)
            os.write(self._descriptor, words)


class Watchdog:
    """Ends the process some time after a signal, unless it has ended by then."""

    def __init__(self, before_the_end: Callable[[], None]) -> None:
        """Starts the thread that waits; it calls `before_the_end` and ends the process."""
        self._before_the_end = before_the_end
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        threading.Thread(target=self._wait, name="watchdog", daemon=True).start()

    def note(self, number: int) -> None:
        """Starts the clock. A signal handler may call this: the queue takes no lock of Python's."""
        self._signals.put(number)

    def _wait(self) -> None:
        """Waits for a signal and some time more, and then ends the process."""
        number = self._signals.get()
        time.sleep(GRACE_S)
        self._before_the_end()
        os._exit(128 + number)


class WatchedDriver(LinuxDriver):
    """A driver that ends in order after signals, with a watchdog behind it.

    It uses only public names of Textual.
    """

    def __init__(self, app: App[Any], **options: Any) -> None:
        """Makes the driver; `options` are those of Textual's: `debug`, `mouse` and `size`."""
        super().__init__(app, **options)
        self.viewer = app
        self.loop = asyncio.get_running_loop()
        self.outlet = Outlet(sys.__stderr__.fileno() if sys.__stderr__ else 2, hang_up)
        self._watchdog = Watchdog(self._let_go)
        self._before: dict[signal.Signals, Any] = {}
        self._attributes = _attributes(self.fileno)
        self.ending = False

    def start_application_mode(self) -> None:
        """Takes the terminal. From here on the signals of `ENDING` end the viewer in order."""
        if not self._before:
            self._before = {number: signal.signal(number, self._end) for number in ENDING}
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Writes what is left, and gives the signals their old handlers back."""
        super().close()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def soon(self, callback: Callable[[], None]) -> None:
        """Makes the event loop call a function. Signal handlers and threads may use it."""
        with suppress(RuntimeError):  # the loop has ended
            self.loop.call_soon_threadsafe(callback)

    def _end(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal: ends the application with status 128 + number, in order."""
        if not self.ending:
            self.ending = True
            self._watchdog.note(number)
            self.soon(lambda: self.viewer.exit(return_code=128 + number))

    def _let_go(self) -> None:
        """Gives the terminal back without the event loop, which may be stuck."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        with suppress(termios.error):
            if self._attributes is not None:
                termios.tcsetattr(self.fileno, termios.TCSANOW, self._attributes)
        self.outlet.say_last(LAST_WORDS)


class SteadyDriver(WatchedDriver):
    """A driver whose threads outlive the terminal, and that may be stopped and continued.

    It relies on the private names of Textual that `relied_on` lists.
    """

    def __init__(self, app: App[Any], **options: Any) -> None:
        """Makes the driver; `options` are those of Textual's: `debug`, `mouse` and `size`."""
        super().__init__(app, **options)
        self._file = io.TextIOWrapper(
            io.BufferedWriter(self.outlet), encoding=_encoding(), errors=SCREEN, newline=""
        )
        self._continuing = False

    def write(self, data: str) -> None:
        """Writes to the terminal, or nowhere while the application does not hold it."""
        if self._writer_thread is not None:
            super().write(data)

    def close(self) -> None:
        """Writes what is left, and drops everything after that."""
        super().close()
        self._writer_thread = None

    def run_input_thread(self) -> None:
        """Hands keys and reports to the application until the driver or the terminal ends.

        Bytes that are not UTF-8 become the replacement character.
        """
        from textual._xterm_parser import XTermParser

        parser = XTermParser(self._debug)
        decoder = getincrementaldecoder("utf-8")(errors="replace")
        while not self.exit_event.is_set():
            if select.select([self.fileno], [], [], 0.1)[0]:
                data = _read(self.fileno)
                if not data:
                    hang_up()
                    return
                text = decoder.decode(data)  # nothing after the first bytes of a character
                for message in parser.feed(text) if text else ():
                    self.process_message(message)
            for message in parser.tick():
                self.process_message(message)

    def _sigtstp_application(self, *_: object) -> None:
        """Handles SIGTSTP in the event loop."""
        # Textual would do this within the handler, which may have interrupted a writing queue.
        self.soon(super()._sigtstp_application)

    def _sigcont_application(self, *_: object) -> None:
        """Handles SIGCONT in the event loop."""
        if not self._continuing:
            self._continuing = True
            self.soon(self._continue)

    def _continue(self) -> None:
        """Takes the terminal anew, since another process may have changed its modes meanwhile.

        A hang-up sends SIGCONT too. There is no terminal to take then.
        """
        self._continuing = False
        if self.ending or not self._auto_restart or _attributes(self.fileno) is None:
            return
        if self._writer_thread is not None:
            self.suspend_application_mode()
        self.resume_application_mode()
        self.viewer.refresh(layout=True)


def _encoding() -> str:
    """Returns the encoding of the terminal, as the locale names it."""
    return getattr(sys.__stderr__, "encoding", None) or "utf-8"


def hang_up() -> None:
    """Sends this process SIGHUP, as the system does when its terminal goes away."""
    os.kill(os.getpid(), signal.SIGHUP)


def _attributes(descriptor: int) -> list[Any] | None:
    """Returns the modes of a terminal, or None where it has gone away."""
    try:
        return termios.tcgetattr(descriptor)
    except termios.error:
        return None


def _read(descriptor: int) -> bytes:
    """Returns the bytes that were typed, none where the terminal has gone away."""
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""


def relied_on() -> dict[str, bool]:
    """Returns whether each of Textual's private names that `SteadyDriver` needs is there."""
    names = set(LinuxDriver.__init__.__code__.co_names) | set(Driver.__init__.__code__.co_names)
    attributes = ("_file", "_writer_thread", "_debug", "_auto_restart", "exit_event")
    methods = ("_sigtstp_application", "_sigcont_application", "run_input_thread")
    found = {name: name in names for name in attributes}
    found |= {name: callable(getattr(LinuxDriver, name, None)) for name in methods}
    try:
        from textual._xterm_parser import XTermParser
    except ImportError:
        return found | {"XTermParser": False}
    return found | {"XTermParser": hasattr(XTermParser, "feed") and hasattr(XTermParser, "tick")}


def driver_class() -> type[Driver]:
    """Returns the driver for the installed version of Textual: the steady one where it fits."""
    return SteadyDriver if all(relied_on().values()) else WatchedDriver
