"""The loop: limits, commands, signals and checkpoints, with a method that is only a counter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from engine.errors import SaveError
from engine.methods.base import Tally, Verdict
from engine.path.snapshot import MethodProgress
from engine.record.commands import Command, PlaneThrough
from engine.record.events import (
    CheckpointSaved,
    Continued,
    Event,
    LevelLowered,
    Outcome,
    Paused,
    RunFinished,
    RunStarted,
)
from engine.record.geometry import BeadString
from engine.record.progress import SegmentProgress
from engine.run.loop import Pace, search
from engine.run.stopwatch import Stopwatch
from engine.spec.keys import Limits
from engine.told import Told

STARTED = RunStarted("stub", 0.3, 0.8, 7, 33, 256, ("cpu",))
VERDICT = Verdict(Outcome.CONNECTED, "Connected: by counting.")
NEVER = Pace(checkpoint_s=1e9, progress_s=1e9)


@dataclass
class Clock:
    """Time that passes by a second a step."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Stub:
    """A method that needs a number of steps and adds a bead in each."""

    clock: Clock
    needed: int = 5
    taken: int = 0
    asked_beads: list[int | None] = field(default_factory=list)
    checks_after: int = 1000
    """The number of steps after which the rest is a proof."""

    @property
    def phase(self) -> str:
        return "search" if self.taken < self.checks_after else "proof"

    @property
    def verdict(self) -> Verdict | None:
        return VERDICT if self.taken >= self.needed else None

    def step(self, beads_left: int | None) -> list[Event]:
        self.asked_beads.append(beads_left)
        self.clock.now += 1
        if beads_left != 0:
            self.taken += 1
        return [LevelLowered(float(self.taken), (), self.taken - 1.0, 0.1, 0.2)]

    @property
    def string_products(self) -> int:
        return 0

    def tally(self) -> Tally:
        return Tally(2 + self.taken, open=1, bead_steps=10 * self.taken, phase=self.phase)

    def progress(self) -> MethodProgress:
        segment = SegmentProgress(1, 2, 0, "open", 0.5, 0.9, 0.4, (0.1, 0.9, 0.1), (0.2,), None)
        return MethodProgress(
            phase=self.phase,
            aim=0.3,
            beads=2 + self.taken,
            order=tuple(range(1, 3 + self.taken)),
            losses=(),
            training=(),
            segments=(segment,),
            beads_per_depth=(2, self.taken),
            bead_steps=10 * self.taken,
            normalized_length=1.25,
            max_peak=0.9,
        )

    def string(self) -> BeadString:
        return BeadString(*(np.zeros(0) for _ in range(4)))  # type: ignore[arg-type]

    def describe_audit(self) -> dict[str, object]:
        return {}

    def diagnosis(self) -> None:
        return None


@dataclass
class Memory:
    """A store that remembers the order of what was asked of it."""

    done: list[str] = field(default_factory=list)
    fails: bool = False
    seq: int = 0
    resumable: bool = True
    clock: Clock | None = None
    """The clock that a plane moves on, and the parts of a string."""
    parts: tuple[float, ...] = ()
    """The shares of the string that are written after another one and a half seconds each."""

    def checkpoint(self, elapsed_s: float) -> None:
        if self.fails:
            raise SaveError("checkpoint: cannot be written: No space left on device")
        self.done.append(f"checkpoint at {elapsed_s:g} after {self.seq}")

    @property
    def busy(self) -> bool:
        return False

    def settle(self) -> None:
        pass

    def string(self, elapsed_s: float) -> None:
        pass

    def final_string(self, outcome: Outcome, elapsed_s: float, told: Told) -> None:
        for share in self.parts:
            assert self.clock is not None
            self.clock.now += 1.5
            told(share)
        self.done.append(f"string {outcome}")

    def progress(self, now: MethodProgress, elapsed_s: float, state: str) -> None:
        self.done.append(f"progress {state}")

    def within(self, share: float, left_s: float | None, elapsed_s: float) -> None:
        self.done.append(f"{share:.0%} at {elapsed_s:g}, {left_s} left")

    def plane(self, beads: tuple[int, int, int], elapsed_s: float) -> None:
        self.done.append(f"plane {beads} at {elapsed_s:g}")
        if self.clock:
            self.clock.now += 1000


@dataclass
class Script:
    """Commands and signals at given calls."""

    asked: dict[int, list[Command]] = field(default_factory=dict)
    signals: dict[int, str] = field(default_factory=dict)
    clock: Clock | None = None
    calls: int = 0
    slept_s: float = 0.0

    def commands(self) -> list[Command]:
        return self.asked.get(self.calls, [])

    def signal(self) -> str | None:
        self.calls += 1
        return self.signals.get(self.calls)

    def is_to_end(self) -> bool:
        return False

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        if self.clock:
            self.clock.now += seconds


def run(
    method: Stub,
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    store: Memory | None = None,
    control: Script | None = None,
    pace: Pace = NEVER,
    before_s: float = 0.0,
) -> list[Event]:
    store = store or Memory()
    events: list[Event] = []
    found: Iterator[Event] = search(
        method,
        limits,
        store,
        control or Script(),
        Stopwatch(method.clock, before_s),
        STARTED,
        pace,
    )
    for event in found:
        store.seq += 1
        store.done.append(event.name)
        events.append(event)
    return events


@pytest.fixture
def stub() -> Stub:
    return Stub(Clock())


def ending(events: list[Event]) -> RunFinished:
    assert isinstance(events[-1], RunFinished)
    assert sum(isinstance(event, RunFinished) for event in events) == 1
    return events[-1]


def test_a_method_runs_to_its_verdict(stub: Stub) -> None:
    store = Memory()
    events = run(stub, store=store)
    assert events[0] is STARTED
    assert [e.level for e in events if isinstance(e, LevelLowered)] == [1, 2, 3, 4, 5]
    finished = ending(events)
    assert (finished.outcome, finished.sentence) == (VERDICT.outcome, VERDICT.sentence)
    assert finished.totals.beads == 7
    assert finished.totals.elapsed_s == 5
    assert finished.totals.beads_per_depth == (2, 5)
    # The string is whole before anybody is told that the run has ended.
    assert store.done[-3:] == ["string connected", "progress ended", "run_finished"]


def test_a_string_that_takes_long_to_write_is_told_with_the_time_that_is_left(stub: Stub) -> None:
    store = Memory(clock=stub.clock, parts=(0.0, 0.25, 0.5, 1.0))
    run(stub, store=store)
    told = [done for done in store.done if "left" in done]
    assert told == ["25% at 8, 9.0 left", "50% at 9.5, 4.5 left", "100% at 11, 0.0 left"]


@pytest.mark.parametrize(
    ("limits", "taken", "words"),
    [
        (Limits(beads=4), 2, "limits.beads = 4"),
        (Limits(steps=30), 3, "limits.steps = 30"),
        (Limits(seconds=2.5), 3, "limits.seconds = 2.5"),
    ],
)
def test_a_limit_ends_the_run_with_a_checkpoint(
    stub: Stub, limits: Limits, taken: int, words: str
) -> None:
    store = Memory()
    finished = ending(run(stub, limits=limits, store=store))
    assert finished.outcome is Outcome.LIMIT_REACHED
    assert words in finished.sentence
    assert stub.taken == taken
    assert any(done.startswith("checkpoint at") for done in store.done)


def test_a_verdict_counts_more_than_a_limit(stub: Stub) -> None:
    assert ending(run(stub, limits=Limits(steps=50))).outcome is Outcome.CONNECTED


def test_the_method_is_told_how_many_beads_it_may_add(stub: Stub) -> None:
    run(stub, limits=Limits(beads=9))
    assert stub.asked_beads == [7, 6, 5, 4, 3]


def test_time_before_a_resume_counts(stub: Stub) -> None:
    events = run(stub, limits=Limits(seconds=100), before_s=97)
    assert ending(events).totals.elapsed_s == 100
    assert stub.taken == 3


@pytest.mark.parametrize(
    ("control", "words"),
    [(Script({3: ["stop"]}), "as asked"), (Script(signals={3: "SIGTERM"}), "by SIGTERM")],
)
def test_a_stop_leaves_a_checkpoint_that_knows_every_event(
    stub: Stub, control: Script, words: str
) -> None:
    store = Memory()
    events = run(stub, store=store, control=control)
    finished = ending(events)
    assert finished.outcome is Outcome.STOPPED
    assert words in finished.sentence
    assert stub.taken == 2
    assert "checkpoint at 2 after 3" in store.done  # run_started and two levels
    assert isinstance(events[-2], CheckpointSaved)


def test_pause_and_continue(stub: Stub) -> None:
    store = Memory()
    control = Script({2: ["pause", "pause"], 6: ["continue", "continue"]}, clock=stub.clock)
    events = run(stub, store=store, control=control)
    names = [event.name for event in events]
    assert names[:5] == [
        "run_started",
        "level_lowered",
        "checkpoint_saved",
        "paused",
        "continued",
    ]
    assert next(e for e in events if isinstance(e, Continued)).from_seq == 4
    assert sum(isinstance(e, Paused) for e in events) == 1
    assert control.slept_s == pytest.approx(0.4)
    # The pause is not running time.
    assert ending(events).totals.elapsed_s == pytest.approx(5)


def test_a_plane_is_measured_between_two_rounds_and_takes_no_running_time(stub: Stub) -> None:
    store = Memory(clock=stub.clock)
    asked: list[Command] = [PlaneThrough((5, 1, 2))]
    events = run(stub, store=store, control=Script({3: asked}), limits=Limits(seconds=100))
    assert [done for done in store.done if not done.startswith("progress")][:4] == [
        "run_started",
        "level_lowered",
        "level_lowered",
        "plane (5, 1, 2) at 2",
    ]
    assert [event.name for event in events] == [event.name for event in run(Stub(Clock()))]
    assert ending(events).totals.elapsed_s == 5


def test_a_plane_may_be_asked_for_in_a_pause(stub: Stub) -> None:
    store = Memory(clock=stub.clock)
    script: dict[int, list[Command]] = {
        2: ["pause"],
        3: [PlaneThrough((5, 1, 2))],
        4: ["continue"],
    }
    events = run(stub, store=store, control=Script(script, clock=stub.clock))
    assert "plane (5, 1, 2) at 1" in store.done
    assert ending(events).totals.elapsed_s == pytest.approx(5)


def test_a_signal_ends_a_pause(stub: Stub) -> None:
    control = Script({2: ["pause"]}, signals={5: "SIGHUP"})
    finished = ending(run(stub, control=control))
    assert (finished.outcome, stub.taken) == (Outcome.STOPPED, 1)


def test_checkpoints_come_at_their_pace(stub: Stub) -> None:
    store = Memory()
    stub.needed = 10
    events = run(stub, store=store, pace=Pace(checkpoint_s=3, progress_s=1e9))
    assert [d for d in store.done if d.startswith("checkpoint at")] == [
        "checkpoint at 3 after 4",
        "checkpoint at 6 after 7",
        "checkpoint at 9 after 10",
    ]
    # Periodic checkpoints are no facts: where they fall depends on the machine's speed.
    assert not any(isinstance(event, CheckpointSaved) for event in events)


def test_a_checkpoint_that_was_asked_for_is_a_fact(stub: Stub) -> None:
    events = run(stub, control=Script({4: ["checkpoint"]}))
    assert [e for e in events if isinstance(e, CheckpointSaved)] == [CheckpointSaved("asked for")]


def test_costly_snapshots_come_less_often(stub: Stub) -> None:
    class Slow(Memory):
        def progress(self, now: MethodProgress, elapsed_s: float, state: str) -> None:
            super().progress(now, elapsed_s, state)
            stub.clock.now += 0.5

    stub.needed = 30
    store = Slow()
    run(stub, store=store, pace=Pace(checkpoint_s=1e9, progress_s=0.25))
    assert store.done.count("progress running") == 1 + 3  # at the start, then every 20 × 0.5 s


def test_a_phase_is_told_before_its_first_step(stub: Stub) -> None:
    """However long ago or lately the last snapshot was written: the step may take long."""

    class Shown(Memory):
        def progress(self, now: MethodProgress, elapsed_s: float, state: str) -> None:
            self.done.append(f"{now.phase} shown {state}")

    stub.checks_after = 3
    store = Shown()
    run(stub, store=store)
    assert [done for done in store.done if "checkpoint" not in done] == [
        "run_started",
        "search shown running",
        *["level_lowered"] * 3,
        "proof shown running",
        *["level_lowered"] * 2,
        "string connected",
        "proof shown ended",
        "run_finished",
    ]


def test_a_checkpoint_that_cannot_be_written_ends_the_loop(stub: Stub) -> None:
    with pytest.raises(SaveError):
        run(stub, store=Memory(fails=True), pace=Pace(checkpoint_s=2))


@pytest.mark.parametrize("stop_at", range(1, 6))
def test_stopping_anywhere_and_going_on_takes_the_same_steps(stub: Stub, stop_at: int) -> None:
    whole = [event for event in run(stub) if isinstance(event, LevelLowered)]
    first = Stub(Clock())
    before = run(first, control=Script({stop_at: ["stop"]}))
    second = Stub(Clock())
    second.taken = first.taken
    after = run(second)
    levels = [event for event in before + after if isinstance(event, LevelLowered)]
    assert levels == whole


def test_the_stopwatch_stands_still_while_held() -> None:
    clock = Clock(3.0)
    watch = Stopwatch(clock, before_s=10.0)
    steps: list[tuple[float, Callable[[], None]]] = [(2.0, watch.hold), (5.0, watch.go_on)]
    for seconds, then in steps:
        clock.now += seconds
        then()
    clock.now += 0.5
    assert watch() == pytest.approx(12.5)
