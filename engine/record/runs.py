"""What became of a run, told from its directory alone. No torch here."""

from __future__ import annotations

import time
from dataclasses import dataclass

from engine.record.events import Outcome, RunFinished
from engine.record.rundir import RunDir, finished, is_live, read_progress, read_records

#: Seconds that a new run may take to load its libraries before its engine holds it.
STARTING_S = 15.0


@dataclass(frozen=True)
class Summary:
    name: str
    state: str
    """running, paused, interrupted (its process is gone without an ending), or an outcome."""
    beads: int | None
    peak_over_level: float | None
    age_s: float
    size_bytes: int


def summarize(run: RunDir) -> Summary:
    progress = read_progress(run)
    ended = finished(read_records(run))
    counters = progress.get("counters", {})
    peak, level = counters.get("max_peak"), progress.get("level")
    return Summary(
        name=run.name,
        state=_state(run, ended, str(progress.get("state", "running"))),
        beads=counters.get("beads"),
        peak_over_level=peak / level if peak is not None and level else None,
        age_s=time.time() - run.spec.stat().st_mtime,
        size_bytes=sum(path.stat().st_size for path in run.path.iterdir() if path.is_file()),
    )


def is_starting(run: RunDir) -> bool:
    """Whether a run that no process holds is so new that its engine may be about to."""
    young = time.time() - run.spec.stat().st_mtime < STARTING_S
    return young and not run.events.exists()


def goes_on(ended: RunFinished, *, limits_changed: bool = False) -> bool:
    """Whether a run that ended so can do more from its checkpoint."""
    if ended.outcome is Outcome.LIMIT_REACHED:
        return limits_changed
    return ended.outcome in (Outcome.STOPPED, Outcome.FAILED)


def _state(run: RunDir, ended: RunFinished | None, progress_state: str) -> str:
    if ended is not None and not is_live(run):
        return str(ended.outcome)
    if is_live(run):
        return "paused" if progress_state == "paused" else "running"
    return "interrupted"
