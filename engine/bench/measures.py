"""What a benchmark finds, as plain values. Rates are units a second. No torch here."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

Clock = Callable[[], float]
Action = Callable[[], int]
"""Does some work and returns how many units of it."""
Prepare = Callable[[], Action]
"""What must be there before the work begins is made here, untimed."""

#: Units at most that a timing is stretched to.
MOST = 2**24
#: Seconds that no clock of ours tells from none.
INSTANT = 1e-9


@dataclass(frozen=True)
class Effort:
    """How closely is looked."""

    repeats: int = 5
    seconds: float = 0.3
    """Of a timing."""

    @property
    def longest_s(self) -> float:
        """Of a timing whose smallest piece of work takes longer than `seconds`."""
        return 10 * self.seconds


@dataclass(frozen=True)
class Spread:
    """Of repeats."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    return Spread(median(values), min(values), max(values))


@dataclass(frozen=True)
class Versus:
    """Rates of ours and of a plain loop, timed by turns; the ratio is taken turn by turn."""

    ours: Spread
    plain: Spread
    ratio: Spread
    units: int
    """That ours did in all repeats."""
    plain_units: int


@dataclass(frozen=True)
class Timing:
    units: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.units / max(self.seconds, INSTANT)


def timed(action: Action, clock: Clock = time.perf_counter) -> Timing:
    began = clock()
    units = action()
    return Timing(units, clock() - began)


def repeated(prepare: Prepare, repeats: int, clock: Clock = time.perf_counter) -> list[Timing]:
    return [timed(prepare(), clock) for _ in range(repeats)]


def by_turns(
    ours: Prepare, plain: Prepare, repeats: int, clock: Clock = time.perf_counter
) -> Versus:
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
    """How many rounds of an action take about that long, at least one."""
    timed(prepare(1), clock)  # it may compile, or fill a cache
    count = 1
    while count < MOST:
        took = timed(prepare(count), clock).seconds
        if took >= seconds / 5:
            return max(1, round(count * seconds / took))
        count *= 4
    return count


# ---------------------------------------------------------------- of the machine


@dataclass(frozen=True)
class Limits:
    """What the machine does at most with that many workers at a time, each in a thread."""

    device: str
    workers: int
    names: tuple[str, ...]
    """Of the processors."""
    cores: int
    load: float | None
    """Processes that were running, a mean over the last minute, where the system tells."""
    versions: dict[str, str]
    flop_per_s: Spread
    """Of float32 matrix products that fit the cache."""
    bytes_per_s: Spread
    """Of copies of arrays that do not; read and written bytes count."""


@dataclass(frozen=True)
class Start:
    """What people wait for; seconds."""

    help_s: Spread
    first_frame_s: Spread | None
    no_frame: str | None
    """Why there is none."""


# ---------------------------------------------------------------- of a preset


@dataclass(frozen=True)
class Step:
    """What a bead-step cannot do without."""

    samples: int
    flop: int
    """Of products: forward, and twice as many on the way back."""
    evaluation_flop: int
    """Of the looks at what is judged, which the plain loop does without, for each step."""
    bytes: int
    """Samples read; weights and the optimizer's state read and written: what a step moves where
    nothing of it is in a cache."""


@dataclass(frozen=True)
class TrainingRow:
    """So many beads at a time, against one model after another."""

    beads: int
    steps: int
    """Of each bead in a round."""
    rounds: int
    """Of a timing."""
    bead_steps: Versus
    samples_per_s: float
    arithmetic: float | None = None
    """Share of the machine's limit that `Step.flop` comes to."""
    memory: float | None = None
    """Share of the machine's limit that `Step.bytes` come to."""


@dataclass(frozen=True)
class TooLong:
    """What was left out."""

    beads: int | None
    """That train at a time; None: the profiles."""
    why: str


@dataclass(frozen=True)
class Profiles:
    """Segments measured at once, against one interpolated model after another."""

    segments: int
    grid: int
    """Points of each, ends included."""
    samples: int
    """That each point is measured on."""
    of_samples: int
    """That there are."""
    points: Versus


@dataclass(frozen=True)
class Costs:
    """Of what a search writes; seconds, and bytes of the files."""

    beads: int
    """On the string."""
    checkpoint_s: Spread
    """With the string file beside it, both safe on the disk."""
    checkpoint_bytes: int
    event_s: Spread
    progress_s: Spread
    progress_bytes: int


@dataclass(frozen=True)
class Memory:
    """The most that the process had held after each part, in bytes."""

    imports: int
    problem: int
    training: int
    profiles: int
    costs: int
    gpu: int | None = None
    """The most that tensors took, on all GPUs together."""


@dataclass(frozen=True)
class PresetReport:
    preset: str
    network: str
    parameters: int
    optimizer: str
    batching: str
    device: str
    workers: int
    check_every: int
    """Steps of a round in a search; rounds on all data may be longer where they are compiled."""
    step: Step
    training: tuple[TrainingRow, ...]
    too_long: tuple[TooLong, ...]
    profiles: Profiles | None
    costs: Costs
    memory: Memory

    def against(self, limits: Limits) -> PresetReport:
        """With each row as a share of the machine's limits."""
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
    failed: bool = False
    """Whether that is our failure."""
