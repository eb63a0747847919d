"""The results of a benchmark as plain values, and timings. Rates are per second. No torch here."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

Clock = Callable[[], float]
Action = Callable[[], int]
"""A function that does some work and returns the number of its units."""
Prepare = Callable[[], Action]
"""A function that makes an action, which is not timed."""

#: The largest number of rounds to which a timing is stretched.
MOST = 2**24
#: The shortest time in seconds by which anything is divided.
INSTANT = 1e-9


@dataclass(frozen=True)
class Effort:
    """The number and the length of timings."""

    repeats: int = 5
    """The number of timings of which the median is taken."""
    seconds: float = 0.3
    """The length of a timing."""

    @property
    def longest_s(self) -> float:
        """The longest time of a smallest piece of work, which is left out where it takes longer."""
        return 10 * self.seconds


@dataclass(frozen=True)
class Spread:
    """The median and the range of repeated measurements."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Returns the median and the range of some values."""
    return Spread(median(values), min(values), max(values))


@dataclass(frozen=True)
class Versus:
    """The rates of the engine and of a plain loop, timed by turns."""

    ours: Spread
    """The engine's rate, in units per second."""
    plain: Spread
    """The plain loop's rate, in units per second."""
    ratio: Spread
    """The engine's rate divided by the plain loop's, turn by turn."""
    units: int
    """The number of units that the engine did in all repeats."""
    plain_units: int
    """The number of units that the plain loop did in all repeats."""


@dataclass(frozen=True)
class Timing:
    """The work of one action, and the time that it took."""

    units: int
    seconds: float

    @property
    def rate(self) -> float:
        """The units per second."""
        return self.units / max(self.seconds, INSTANT)


def timed(action: Action, clock: Clock = time.perf_counter) -> Timing:
    """Returns the timing of one action."""
    began = clock()
    units = action()
    return Timing(units, clock() - began)


def repeated(prepare: Prepare, repeats: int, clock: Clock = time.perf_counter) -> list[Timing]:
    """Returns the timings of several actions, each prepared anew."""
    return [timed(prepare(), clock) for _ in range(repeats)]


def by_turns(
    ours: Prepare, plain: Prepare, repeats: int, clock: Clock = time.perf_counter
) -> Versus:
    """Returns the rates of two actions, which are timed by turns."""
    turns = [(timed(ours(), clock), timed(plain(), clock)) for _ in range(repeats)]
    return Versus(
        ours=spread([mine.rate for mine, _ in turns]),
        plain=spread([theirs.rate for _, theirs in turns]),
        ratio=spread([mine.rate / theirs.rate for mine, theirs in turns]),
        units=sum(mine.units for mine, _ in turns),
        plain_units=sum(theirs.units for _, theirs in turns),
    )


def count_for(
    seconds: float, prepare: Callable[[int], Action], clock: Clock = time.perf_counter
) -> int:
    """Returns how many rounds of an action take about so many seconds, at least one.

    `prepare` makes the action of a number of rounds.
    """
    timed(prepare(1), clock)  # it may compile, or fill a cache
    count = 1
    while count < MOST:
        took = timed(prepare(count), clock).seconds
        if took >= seconds / 5:
            return max(1, round(count * seconds / took))
        count *= 4
    return count


# ---------------------------------------------------------------- the machine


@dataclass(frozen=True)
class Limits:
    """The machine's own limits, with all workers at work at the same time, each in a thread."""

    device: str
    workers: int
    names: tuple[str, ...]
    """The names of the processors."""
    cores: int
    """The number of cores that the process may use."""
    load: float | None
    """The mean number of running processes in the minute before, where the system tells."""
    versions: dict[str, str]
    """The versions of Python, of the system and of the packages that compute."""
    flop_per_s: Spread
    """Operations per second of float32 matrix products that fit the cache."""
    bytes_per_s: Spread
    """Bytes per second, read and written, of copies of arrays that do not fit the cache."""


@dataclass(frozen=True)
class Start:
    """The start-up times that a user notices, in seconds."""

    help_s: Spread
    """The time until `--help` has answered."""
    first_frame_s: Spread | None
    """The time until the menu's first frame, or None where there was none."""
    no_frame: str | None
    """The reason why there was no frame, or None."""


# ---------------------------------------------------------------- a preset


@dataclass(frozen=True)
class Step:
    """The least work of one step of one bead."""

    samples: int
    """The number of samples that the step sees."""
    flop: int
    """The operations of matrix products: forward, and twice as many backward."""
    evaluation_flop: int
    """The operations of evaluating the objective, per step. The plain loop does without."""
    bytes: int
    """The bytes that a step moves where nothing of it is in a cache: samples are read, and weights
    and the optimizer's state are read and written."""


@dataclass(frozen=True)
class TrainingRow:
    """The training of some beads at a time, against one model after another."""

    beads: int
    """The number of beads that train at a time."""
    steps: int
    """The number of steps of each bead in a round."""
    rounds: int
    """The number of rounds of a timing."""
    bead_steps: Versus
    """The rates of both in bead-steps per second."""
    samples_per_s: float
    """The engine's rate in samples per second."""
    arithmetic: float | None = None
    """The share of the machine's operations per second that `Step.flop` takes."""
    memory: float | None = None
    """The share of the machine's bytes per second that `Step.bytes` take."""


@dataclass(frozen=True)
class TooLong:
    """A measurement that was left out because it would take too long."""

    beads: int | None
    """The number of beads that would train at a time, or None for the profiles."""
    why: str
    """The reason, in words."""


@dataclass(frozen=True)
class Profiles:
    """Segments measured at once, against one interpolated model after another."""

    segments: int
    """The number of segments."""
    grid: int
    """The number of points of each segment, ends included."""
    samples: int
    """The number of samples on which each point is measured."""
    of_samples: int
    """The number of samples that the objective has."""
    points: Versus
    """The rates of both in points per second."""


@dataclass(frozen=True)
class Costs:
    """The costs of what a search writes, in seconds and in bytes of files."""

    beads: int
    """The number of beads on the string."""
    checkpoint_s: Spread
    """The time of a checkpoint and a string file, until both are safe on the disk."""
    checkpoint_bytes: int
    event_s: Spread
    """The time of one event."""
    progress_s: Spread
    """The time of one snapshot of progress."""
    progress_bytes: int


@dataclass(frozen=True)
class Memory:
    """The largest memory that the process had held after each part, in bytes."""

    imports: int
    problem: int
    training: int
    profiles: int
    costs: int
    gpu: int | None = None
    """The largest memory of tensors on all GPUs together, or None on the CPU."""


@dataclass(frozen=True)
class PresetReport:
    """The measurements of one preset."""

    preset: str
    network: str
    """The network's sizes in words."""
    parameters: int
    """The length of a weight vector."""
    optimizer: str
    batching: str
    """The name of the backend."""
    device: str
    workers: int
    check_every: int
    """The steps of a round in a search. Compiled rounds on all data may be longer."""
    step: Step
    training: tuple[TrainingRow, ...]
    too_long: tuple[TooLong, ...]
    """The measurements that were left out."""
    profiles: Profiles | None
    costs: Costs
    memory: Memory

    def against(self, limits: Limits) -> PresetReport:
        """Returns the report with each row also as a share of the machine's limits."""
        flop, moved = limits.flop_per_s.high, limits.bytes_per_s.high
        rows = [
            replace(
                row,
                arithmetic=row.bead_steps.ours.median * self.step.flop / flop,
                memory=row.bead_steps.ours.median * self.step.bytes / moved,
            )
            for row in self.training
        ]
        return replace(self, training=tuple(rows))


@dataclass(frozen=True)
class LeftOut:
    """A preset that was not measured."""

    preset: str
    why: str
    """The reason, in words."""
    failed: bool = False
    """Whether the measurement failed, other than for a spec that cannot run."""
