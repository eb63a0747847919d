"""The lines at the top of a run's screen: its name, its phases, its numbers, and what is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.text import Text

from dss_tui.tui.device import Gauge, gauge_words
from dss_tui.tui.palette import Palette, fitting, styled
from dss_tui.tui.widgets.sparkline import sparkline
from dss_tui.viewing.follow import Snapshot
from dss_tui.viewing.phases import at_work, phases, to_limit
from dss_tui.viewing.words import flowed, short_clock, thousands
from engine.record.events import RunStarted
from engine.record.progress import Progress
from engine.spec.keys import Limits
from engine.spec.level import LevelOn, both, multiple

#: The styles of the states of runs and sweeps.
STATE_STYLES = {
    "connected": "bold green",
    "running": "bold cyan",
    "starting": "bold cyan",
    "paused": "bold yellow",
    "replay": "bold yellow",
}
#: The columns from which on the phases stand in the first line.
WIDE = 110
#: The limits of a run whose files do not name them.
NO_LIMITS = Limits(beads=None)
#: The columns below which numbers are told in fewer words.
NARROW = 70
#: The number of cells of a sparkline.
TREND = 8
#: What stands behind the worst peak and the length, before their trends.
LEVEL, STRAIGHT = " × level", " × straight"


@dataclass(frozen=True)
class Frame:
    """What the head shows besides a snapshot, and its room."""

    name: str
    """The name of the run."""
    seconds: float
    """The running time of the run, or of the moment that is replayed."""
    width: int
    lines: int
    """The number of lines for numbers, limits and the engine's work, at most."""
    frozen: bool = False
    """Whether the view is held still."""
    replay: str = ""
    """How far a replay is, in words."""
    gauges: tuple[Gauge, ...] = ()
    """How busy the GPUs of the run are."""


@dataclass(frozen=True)
class Trends:
    """What a head with enough room tells beside its numbers."""

    peaks: Text = field(default_factory=Text)
    """The worst peak so far, to be put after it."""
    length: Text = field(default_factory=Text)
    """The length of the string so far, to be put after it."""
    turns: bool = False
    """Whether the angles by which the string turns are told."""


#: The head of a narrow screen tells none of that.
NO_TRENDS = Trends()


def head(now: Snapshot, frame: Frame, palette: Palette) -> Text:
    """Returns the lines of the head."""
    wide = frame.width >= WIDE
    lines = [_first(now, frame, wide=wide)]
    if not wide:
        lines += _second(now, frame)
    lines += _more(now, frame, palette)[: frame.lines]
    lines += [
        Text(fitting(frame.width, damaged.short), style="bold red") for damaged in now.damaged[:2]
    ]
    return Text("\n").join(lines)


def style_of(state: str) -> str:
    """Returns the style of a state of a run or a sweep."""
    return STATE_STYLES.get(state, "bold")


def apart(left: Text, right: Text, width: int) -> Text:
    """Returns a line with two texts at its ends; the left one is cut where there is no room."""
    left.truncate(max(10, width - right.cell_len - 2), overflow="ellipsis")
    return Text.assemble(left, " " * max(1, width - left.cell_len - right.cell_len), right)


def _first(now: Snapshot, frame: Frame, *, wide: bool) -> Text:
    """Returns the line with the run's name and facts to the left and its state to the right."""
    started = now.view.started
    state = frame.replay or now.state.replace("_", " ")
    style = style_of(now.state)
    parts: list[str | tuple[str, str]] = []
    if wide and (known := phases(now)):
        parts += [" ".join(phase.words for phase in known), "  "]
    if frame.frozen:
        parts.append("view frozen  ")
    parts += [(state, style)]
    if not frame.replay:
        parts.append(f"  {short_clock(frame.seconds)}")
    if wide and (limit := to_limit(now, frame.seconds)):
        parts.append(f"  {limit}")
    right = Text.assemble(*parts)
    room = frame.width - right.cell_len - cell_len(frame.name) - 4
    about = fitting(room, *_about(started, wide=wide)) if started is not None and room > 0 else ""
    return apart(Text.assemble((frame.name, "bold"), f"  {about}"), right, frame.width)


def _second(now: Snapshot, frame: Frame) -> list[Text]:
    """Returns the line of the phases and the nearest limit on a screen that is not wide."""
    said = " ".join(phase.words for phase in phases(now))
    limit = to_limit(now, frame.seconds)
    both = f"{said}   {limit}" if limit else said
    return [Text(fitting(frame.width, both, said), no_wrap=True)] if said else []


def _more(now: Snapshot, frame: Frame, palette: Palette) -> list[Text]:
    """Returns the lines of numbers and words, the most important first."""
    lines = []
    if work := at_work(now, frame.seconds):
        lines.append(Text(fitting(frame.width, work), style="italic"))
    if now.state == "interrupted":
        words = "Its process is gone. r resumes it from its checkpoint."
        lines.append(Text(fitting(frame.width, words, "process gone; r resumes"), style="bold"))
    if now.state == "lost":
        words = f"{now.life.words}; r resumes it here"
        lines.append(Text(fitting(frame.width, words, "no heartbeat; r resumes"), style="bold"))
    if now.progress is None:
        of_live = "waiting for the engine" if now.starting else "no figures yet"
        waiting = of_live if now.going else "no progress recorded"
        return [*lines, Text("before the start" if now.replayed else waiting)]
    lines += _numbers(now, frame, palette)
    graphs = frame.width >= NARROW
    return lines + _joined(
        [gauge_words(gauge, palette, graphs=graphs) for gauge in frame.gauges], frame.width
    )


def _joined(parts: Sequence[Text], width: int) -> list[Text]:
    """Returns parts joined into lines of at most `width` columns, as `flowed` joins words."""
    lines: list[Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + 3 + part.cell_len <= width:
            lines[-1] = Text.assemble(lines[-1], "   ", part, no_wrap=True, end="")
        else:
            lines.append(part)
    return lines


def _numbers(now: Snapshot, frame: Frame, palette: Palette) -> list[Text]:
    """Returns the counters in lines, with trends after the worst peak and the length."""
    trends = Trends(
        _trend_of_peaks(now, palette, origin=frame.width >= NARROW),
        _trend_of_length(now, palette) if frame.width >= WIDE else Text(),
        turns=frame.width >= WIDE,
    )
    lines = flowed(counted(now, frame.seconds, trends), frame.width)
    found = [Text(line, no_wrap=True) for line in lines]
    for before, trend in ((LEVEL, trends.peaks), (STRAIGHT, trends.length)):
        for line in found:
            at = line.plain.find(before + trend.plain)
            for span in trend.spans if at >= 0 else []:
                start = at + len(before)
                line.stylize(span.style, start + span.start, start + span.end)
    return found


def counted(now: Snapshot, seconds: float, trends: Trends = NO_TRENDS) -> list[str]:
    """Returns the counters of a run and the use of its limits in words, the important first."""
    progress = now.progress
    if progress is None:
        return []
    limits = progress.limits or NO_LIMITS
    said = _of_level(progress, trends) + _of_string(progress, limits, trends)
    return said + _spent(now, progress, limits, seconds)


def _of_level(progress: Progress, trends: Trends) -> list[str]:
    """Returns how the level came about, and how far the string is from it."""
    said = []
    if progress.bracket is not None:
        said.append(progress.bracket.words)
    if progress.peak_over_level is not None:
        worst = multiple(progress.peak_over_level, 3)
        said.append(f"worst peak {worst}{LEVEL}{trends.peaks.plain}")
        said += [both(progress.level, progress.tolerance)] * bool(progress.tolerance)
    return said


def _of_string(progress: Progress, limits: Limits, trends: Trends) -> list[str]:
    """Returns the counters of a string, its length and its turns."""
    counters, said = progress.counters, []
    if progress.segments:
        said.append(f"beads {_of(counters.beads, limits.beads)}")
    if progress.segments and math.isfinite(counters.normalized_length):
        said.append(f"length {counters.normalized_length:.3f}{STRAIGHT}{trends.length.plain}")
    if trends.turns and counters.turn_mean is not None and counters.turn_max is not None:
        said.append(f"turn {counters.turn_mean:.0f}° mean, {counters.turn_max:.0f}° max")
    if progress.aim is not None and progress.aim > progress.level:
        said.append(f"aim {progress.aim:.3g} → {progress.level:g}")
    if progress.segments:
        said += [f"depth {counters.depth}", f"open {counters.open} of {len(progress.segments)}"]
    said += [f"training {counters.in_training}"] * bool(counters.in_training)
    said += [f"failed {counters.failed}"] * bool(counters.failed)
    return said


def _spent(now: Snapshot, progress: Progress, limits: Limits, seconds: float) -> list[str]:
    """Returns the steps and seconds of a run, their limits, and the age of its checkpoint."""
    said, counters = [], progress.counters
    if now.whole:
        said.append(f"{_of(counters.bead_steps, limits.steps)} steps")
    going = now.live and now.state != "paused" and counters.in_training
    if going and now.steps_per_s is not None:
        said.append(f"{thousands(round(now.steps_per_s))}/s")
    if limits.seconds is not None:
        said.append(f"{_of(round(seconds), round(limits.seconds))} s")
    if now.live and progress.checkpoint_time is not None:
        said.append(f"saved {max(0.0, seconds - progress.checkpoint_time):.0f} s ago")
    return said


def _of(count: int, most: int | None) -> str:
    """Returns a count, and the limit on it where there is one, such as 41/2 000."""
    return thousands(count) + ("" if most is None else f"/{thousands(most)}")


def _trend_of_peaks(now: Snapshot, palette: Palette, *, origin: bool) -> Text:
    """Returns a sparkline of the worst peak so far, in logarithms, and its first with `origin`."""
    level = now.level or 0.0
    peaks = [peak for _, peak in now.view.history if peak > 0]
    if len(peaks) < 2 or level <= 0:
        return styled([])
    logs = [math.log(peak) for peak in peaks]
    cells = min(TREND, len(logs))
    drawn = sparkline(logs, cells, min(logs), max(logs), math.log(now.bound or level), palette)
    first = f" (from {peaks[0] / level:.3g})" if origin else ""
    return Text.assemble(" ", drawn, first, end="")


def _trend_of_length(now: Snapshot, palette: Palette) -> Text:
    """Returns a sparkline of the length of the string so far."""
    lengths = [length for _, length in now.view.length_history if math.isfinite(length)]
    if len(lengths) < 2:
        return styled([])
    cells = min(TREND, len(lengths))
    drawn = sparkline(lengths, cells, min(lengths), max(lengths), math.inf, palette)
    return styled([(" ", ""), (drawn.plain, palette.train)])


def _about(started: RunStarted, *, wide: bool) -> tuple[str, ...]:
    """Returns the wordings of what a run is asked for, the longest first.

    They tell the method, its level and tolerance, and the objective if it is not the training loss.
    """
    on = "" if started.level_on == LevelOn().words else f" {started.level_on}"
    tolerance = f", tolerance {started.tolerance:g}" if started.tolerance else ""
    level = f"level {started.level_words}"
    more = f" · seed {started.seed} · {', '.join(started.devices)}" if wide else ""
    told = f"{started.method} · {level}{on}{tolerance}"
    return f"{told}{more}", told, f"{level}{on}{tolerance}", level, ""
