"""Makes the plots of a run screen from the run's progress, events and string file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import compress
from operator import not_

from rich.text import Text

from dss_tui.tui.plots import Curve, Plot, Role
from engine.errors import InputError
from engine.record import string_file
from engine.record.geometry import Place, even_grid, in_plane, loss_along
from engine.record.progress import Progress, SegmentProgress
from engine.record.reading import Damaged, check_regular
from engine.record.rundir import RunDir
from engine.spec.level import LevelOn

EMPTY = Plot(title="", curves=(), x_label="", y_label="")

#: The size in bytes up to which a string file is projected while it is watched.
PROJECTED = 64 * 2**20


def about(segment: SegmentProgress, level: float) -> str:
    """Returns a line about a segment: state, peak, ends and length."""
    peak = segment.peak
    ratio = f"{peak:.5g} = {peak / level:.3f} × level" if math.isfinite(peak) else "not finite"
    bead = f", bead {segment.bead} in training" if segment.bead is not None else ""
    ends = " and ".join(
        f"{loss:.4g}" if math.isfinite(loss) else "–"
        for loss in (segment.profile[0], segment.profile[-1])
    )
    return (
        f"segment {segment.left}–{segment.right}  {segment.state}{bead}  peak {ratio} "
        f"at t = {segment.t_star:.3f}  ends {ends}  length {segment.length:.3g}"
    )


def profile(segment: SegmentProgress, progress: Progress, level: float | None, log_y: bool) -> Plot:
    """Returns the plot of the objective and of the secondary metric along one segment."""
    on, other = progress.level_on, _secondary(progress)
    objective, secondary = segment.profile, segment.secondary
    return Plot(
        title=f"γ(t) between beads {segment.left} and {segment.right}",
        curves=(
            Curve(even_grid(len(objective)), objective, on.words, "train"),
            Curve(even_grid(len(secondary)), secondary, other, "held_out"),
        ),
        x_label="t",
        y_label=_axis(on),
        level=level,
        verticals=(segment.t_star,),
        log_y=log_y,
    )


def _secondary(progress: Progress) -> str:
    """Returns the secondary metric in words, with its number of samples if not all."""
    samples, words = progress.secondary_samples, progress.secondary.words
    return words if samples is None else f"{words} ({samples} samples)"


def _axis(on: LevelOn) -> str:
    """Returns the label of an axis for a metric."""
    return on.metric.replace("_", " ")


def path(
    segments: tuple[SegmentProgress, ...],
    on: LevelOn,
    selected: tuple[int, int] | None,
    level: float | None,
    log_y: bool,
) -> Plot:
    """Returns the plot of the objective against arc length, with the selected segment marked."""
    if not segments:
        return EMPTY
    along = loss_along([s.length for s in segments], [s.profile for s in segments])
    curves = [_curve([place for places in along for place in places], on.words, "train")]
    curves += [
        _curve(places, "selected", "highlight")
        for segment, places in zip(segments, along, strict=True)
        if segment.pair == selected
    ]
    return Plot(
        title=f"{_axis(on)} along the string",
        curves=tuple(curves),
        x_label="distance from the first bead",
        y_label=_axis(on),
        level=level,
        log_y=log_y,
    )


def history(
    peaks: tuple[tuple[float, float], ...], on: LevelOn, level: float | None, log_y: bool
) -> Plot:
    """Returns the plot of the highest peak on the string against time."""
    return Plot(
        title="highest peak on the string",
        curves=(_curve(peaks, "peak", "train"),),
        x_label="seconds",
        y_label=_axis(on),
        level=level,
        log_y=log_y,
    )


def depths(counts: tuple[int, ...], times: tuple[float, ...], width: int) -> Text:
    """Returns a bar for each depth: how many beads it has, and when the newest came."""
    if not counts:
        return Text("no beads yet")
    room = max(10, width - 34)
    lines = [
        f"depth {depth:>3}  {'█' * max(1, round(count / max(counts) * room))} {count}  "
        f"({seconds:.1f} s)"
        for depth, (count, seconds) in enumerate(zip(counts, times, strict=True))
        if count
    ]
    return Text("\n".join(["beads per depth (and the time of the newest)", "", *lines]))


def projection(run: RunDir, level: float | None) -> Plot:
    """Returns the plot of the newest string in the plane of its first two principal components."""
    try:
        if not check_regular(run.string):
            return EMPTY
        stat = run.string.stat()
    except Damaged as damaged:
        return Plot(damaged.short, (), "", "")
    except FileNotFoundError:
        return EMPTY
    if stat.st_size > PROJECTED:
        return Plot("the string is too large to project while it is watched", (), "", "")
    return _projection(run, stat.st_mtime_ns, level)


@lru_cache(maxsize=2)
def _projection(run: RunDir, written_ns: int, level: float | None) -> Plot:
    """Returns the plot of the string that was written at a time, which is kept until the next."""
    try:
        held = string_file.read(run.string)
    except InputError:
        return EMPTY  # replaced while it was read; it is whole the next time
    places = in_plane(held.string.beads)
    if not places:
        return Plot("a plane needs three beads with finite weights", (), "", "")
    below = [loss <= (level or math.inf) for loss in held.string.losses]
    parts: tuple[tuple[str, Role, list[Place]], ...] = (
        ("at or below level", "points", list(compress(places, below))),
        ("above", "highlight", list(compress(places, map(not_, below)))),
    )
    return Plot(
        title=f"{len(places)} beads in the plane of their first two principal components",
        curves=(
            _curve(places, "string", "train"),
            *(_curve(some, label, role, lines=False) for label, role, some in parts if some),
        ),
        x_label="first",
        y_label="second",
    )


def _curve(places: Sequence[Place], label: str, role: Role, *, lines: bool = True) -> Curve:
    """Returns a curve through places."""
    return Curve(tuple(x for x, _ in places), tuple(y for _, y in places), label, role, lines)
