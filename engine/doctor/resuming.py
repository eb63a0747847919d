"""Whether a search that is stopped and resumed ends as one that is not."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path

import numpy as np

from engine.errors import InputError
from engine.record.events import BeadInserted, EndpointTrained, Event, Outcome, Record
from engine.record.finding import create
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.record.string_file import read
from engine.record.writer import RunWriter
from engine.run.session import run_session
from engine.spec.keys import Spec
from engine.workers.pool import Workers

#: The events at which a search is stopped, one in each session, and resumed.
STOPS: tuple[type[Event], ...] = (EndpointTrained, BeadInserted)
#: The arrays of a string that are compared.
ARRAYS = ("beads", "losses", "t", "profiles")


def resumed(spec: Spec, pool: Workers) -> float:
    """Returns by how much a string that was stopped and resumed differs from one that was not.

    It is the largest difference as a share of the largest value; 0.0 means the same bits, and
    infinity strings of other shapes. Raises InputError where a search fails.
    """
    with tempfile.TemporaryDirectory(prefix="dss-tui-doctor-") as folder:
        whole = create(spec, "whole", Path(folder) / "whole")
        _session(whole, spec, pool, None)
        parts = create(spec, "parts", Path(folder) / "parts")
        for stop in (*STOPS, None):
            _session(parts, spec, pool, stop)
        return _difference(whole, parts)


def _session(run: RunDir, spec: Spec, pool: Workers, stop: type[Event] | None) -> None:
    """Runs a session of a search, which is asked to stop at the first event of a class, if any."""
    signals = Signals()

    def observe(record: Record) -> None:
        """Asks for the end at the event."""
        if stop is not None and isinstance(record.event, stop):
            signals.ask(signal.SIGTERM)

    with RunWriter(run) as writer:
        ended = run_session(writer, spec, pool, signals, observe)
    if ended.outcome is Outcome.FAILED:
        raise InputError(ended.sentence)


def _difference(one: RunDir, other: RunDir) -> float:
    """Returns the largest difference of two runs' strings, as `resumed` does."""
    a, b = read(one.string).string, read(other.string).string
    worst = 0.0
    for name in ARRAYS:
        mine, theirs = getattr(a, name), getattr(b, name)
        if mine.shape != theirs.shape:
            return float("inf")
        if mine.tobytes() != theirs.tobytes():
            largest = max(float(np.abs(mine).max()), np.finfo(mine.dtype).tiny)
            worst = max(worst, float(np.abs(mine - theirs).max()) / largest)
    return worst
