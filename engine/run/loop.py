"""The one loop of every method: steps, limits, commands, checkpoints and timing.

`search` yields events. The consumer acts on each, such as by writing it to the run directory,
before the loop goes on. So a search may be stopped at every event, and a checkpoint always knows
all events before it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from engine.methods import Method
from engine.methods.base import Tally, Verdict
from engine.path.snapshot import MethodProgress
from engine.record.commands import PlaneThrough
from engine.record.events import (
    CheckpointSaved,
    Continued,
    Event,
    Outcome,
    Paused,
    RunFinished,
    RunStarted,
)
from engine.record.findings import Totals
from engine.run.attention import Teller
from engine.run.outside import Control, Store
from engine.run.stopwatch import Stopwatch
from engine.spec.keys import Limits

#: The seconds between two readings of the commands while paused.
PAUSED_S = 0.1


@dataclass(frozen=True)
class Pace:
    """Seconds between periodic checkpoints, and between snapshots of progress."""

    checkpoint_s: float = 5.0
    progress_s: float = 0.25


class _Timer:
    """Says when something periodic is due, and keeps it to a twentieth of the running time."""

    def __init__(self, every_s: float, due_s: float) -> None:
        self._every_s, self._due_s = every_s, due_s

    def run_when_due(self, elapsed: Stopwatch, action: Callable[[float], None]) -> None:
        if elapsed() >= self._due_s:
            self.run(elapsed, action)

    def run(self, elapsed: Stopwatch, action: Callable[[float], None]) -> None:
        began = elapsed()
        action(began)
        ended = elapsed()
        self._due_s = ended + max(self._every_s, 20 * (ended - began))


def search(
    method: Method,
    limits: Limits,
    store: Store,
    control: Control,
    elapsed: Stopwatch,
    first: RunStarted | Continued,
    pace: Pace = Pace(),
    confirm: Callable[[Verdict], Verdict] = lambda verdict: verdict,
) -> Iterator[Event]:
    """Yields the events of a method to its verdict, to a limit, or until it is asked to stop.

    The first event is `first`, the last RunFinished. `confirm` has the last word on how the search
    ended, before anything of it is told or written. Raises SaveError where the store does, and
    whatever the method raises.
    """
    checkpoints = _Timer(pace.checkpoint_s, elapsed() + pace.checkpoint_s)
    snapshots = _Timer(pace.progress_s, elapsed())
    yield first
    phase = ""

    def show(now_s: float) -> None:
        store.progress(method.progress(), now_s, "running")

    while True:
        asked = yield from _grant(method, store, control, elapsed)
        tally = method.tally()
        ending = method.verdict or asked or _limit(method, tally, limits, store, elapsed())
        if ending is not None:
            yield from _finish(method, confirm(ending), store, elapsed)
            return
        if tally.phase != phase:  # told before it begins, since its first step may take long
            phase = tally.phase
            snapshots.run(elapsed, show)
        yield from method.step(_beads_left(tally, limits))
        snapshots.run_when_due(elapsed, show)
        if method.verdict is None and not store.busy:
            checkpoints.run_when_due(elapsed, store.checkpoint)


def _grant(
    method: Method, store: Store, control: Control, elapsed: Stopwatch
) -> Generator[Event, None, Verdict | None]:
    """Does what was asked, pauses included. Returns the verdict where it is to end the session."""
    paused = False
    while True:
        signal = control.signal()
        if signal is not None:
            return _stopped(f"by {signal}")
        for command in control.commands():
            if command == "stop":
                return _stopped("as asked")
            if command == "checkpoint":
                yield from _checkpoint(store, elapsed, "asked for", string=True)
            if isinstance(command, PlaneThrough):
                # For viewers alone, so that it takes nothing of the time that the search may run.
                with elapsed.held():
                    store.plane(command.beads, elapsed())
            if command == "pause" and not paused:
                paused = True
                elapsed.hold()
                yield from _checkpoint(store, elapsed, "paused", string=True)
                yield Paused()
                store.progress(method.progress(), elapsed(), "paused")
            if command == "continue" and paused:
                paused = False
                elapsed.go_on()
                yield Continued(from_seq=store.seq)
        if not paused:
            return None
        control.sleep(PAUSED_S)


def _checkpoint(
    store: Store, elapsed: Stopwatch, reason: str, *, string: bool = False
) -> Iterator[Event]:
    """Writes a checkpoint, with the string if asked to, and says so, where the store keeps any."""
    if not store.resumable:
        return
    store.checkpoint(elapsed())
    if string:
        store.string(elapsed())
    store.settle()
    yield CheckpointSaved(reason)


def _finish(method: Method, ending: Verdict, store: Store, elapsed: Stopwatch) -> Iterator[Event]:
    """Leaves the string; and a checkpoint too where the search could go on from here."""
    if method.verdict is None:
        yield from _checkpoint(store, elapsed, str(ending.outcome))
    teller, began = Teller(store, elapsed), elapsed()
    store.final_string(ending.outcome, began, lambda share: teller(share, elapsed() - began))
    now = method.progress()
    store.progress(now, elapsed(), "ended")
    connected = ending.outcome is Outcome.CONNECTED
    diagnosis = None if connected else method.diagnosis()
    yield RunFinished(
        ending.outcome,
        ending.sentence,
        totals(now, elapsed()),
        diagnosis,
        now.certified,
        level=None if now.bracket is None else now.level,
        bracket=now.bracket,
    )


def _stopped(how: str) -> Verdict:
    return Verdict(
        Outcome.STOPPED, f"Stopped {how}; the checkpoint is written and the run can be resumed."
    )


def _limit(
    method: Method, tally: Tally, limits: Limits, store: Store, elapsed_s: float
) -> Verdict | None:
    """Returns the verdict where a limit is reached, and None elsewhere."""
    full = limits.beads is not None and tally.beads >= limits.beads
    if full and tally.open and not method.progress().training:
        key, value = "limits.beads", f"{limits.beads}"
    elif limits.steps is not None and tally.bead_steps >= limits.steps:
        key, value = "limits.steps", f"{limits.steps}"
    elif limits.seconds is not None and elapsed_s >= limits.seconds:
        key, value = "limits.seconds", f"{limits.seconds:g}"
    else:
        return None
    now = method.progress()
    unfinished = now.count("open") + now.count("training")
    told = "" if now.bracket is None else f" {now.bracket.told(now.level)}"
    again = f"go on with `dss-tui resume RUN --set {key}=…`" if store.resumable else "search again"
    return Verdict(
        Outcome.LIMIT_REACHED,
        f"The limit {key} = {value} was reached with {unfinished} segments still open; raise it "
        f"and {again}.{told}",
    )


def _beads_left(tally: Tally, limits: Limits) -> int | None:
    return None if limits.beads is None else limits.beads - tally.beads


def totals(now: MethodProgress, elapsed_s: float) -> Totals:
    """Returns the counters of a run at that running time."""
    costs = now.costs
    return Totals(
        beads=now.beads,
        segments=len(now.segments),
        closed=now.count("closed"),
        failed=now.count("failed"),
        depth=now.depth,
        beads_per_depth=now.beads_per_depth,
        bead_steps=now.bead_steps,
        max_peak=now.max_peak,
        normalized_length=now.normalized_length,
        elapsed_s=elapsed_s,
        sample_gradients=None if costs is None else costs.sample_gradients,
        forward_samples=None if costs is None else costs.forward_samples,
        normalized_length_weights=now.normalized_length_weights,
    )
