"""The newest session of a sweep, as its `session.json` tells it. No torch here.

The engine replaces the file when it begins, pauses, goes on and ends, and every viewer reads it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.record.events import dump_json
from engine.record.marks import Count, Seconds
from engine.record.reading import read_json
from engine.record.writing import replace

Stage = Literal["preparing", "running", "paused", "ended"]


@dataclass(frozen=True)
class SweepState:
    """The state of a sweep's newest session when its engine last wrote it down."""

    state: Stage
    began: Seconds
    """The time at which the session began, in seconds since 1970."""
    at: Seconds
    """The time at which this was written, in seconds since 1970."""
    elapsed_s: Seconds
    """The session's running time until then in seconds, without pauses."""
    sentence: str = ""
    """A sentence for a person on how the session ended; empty while it goes on."""
    exit_status: Count | None = None
    """The exit status with which the session ended; None while it goes on."""

    def elapsed_now_s(self, now: float) -> float:
        """Returns the session's running time in seconds at `now`, in seconds since 1970."""
        return self.elapsed_s + (max(0.0, now - self.at) if self.state == "running" else 0.0)


def state_path(folder: Path) -> Path:
    """Returns the path of the file in a sweep's folder."""
    return folder / "session.json"


def read_state(folder: Path) -> SweepState | None:
    """Returns the newest session of a sweep, or None before the first. Raises Damaged."""
    return read_json(SweepState, state_path(folder))


class Journal:
    """Writes down how a session of a sweep stands."""

    def __init__(self, folder: Path) -> None:
        """Begins a session, which prepares. Raises SaveError."""
        self._path = state_path(folder)
        self._began = time.time()
        self._now = SweepState("preparing", self._began, self._began, 0.0)
        self._write(self._now)

    @property
    def paused(self) -> bool:
        """Whether the session pauses."""
        return self._now.state == "paused"

    def enter(self, stage: Stage, sentence: str = "", exit_status: int | None = None) -> None:
        """Writes that the session is now in another stage. Raises SaveError."""
        now = time.time()
        elapsed_s = self._now.elapsed_now_s(now)
        self._write(SweepState(stage, self._began, now, elapsed_s, sentence, exit_status))

    def _write(self, state: SweepState) -> None:
        """Replaces the file. Raises SaveError."""
        self._now = state
        replace(self._path, dump_json(state).encode(), durable=False)
