"""The plots of a run screen, made from what its directory holds."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from rich.text import Text

from dss_tui.tui.plots import Curve, Plot
from engine.errors import InputError
from engine.record import string_file
from engine.record.geometry import loss_along
from engine.record.geometry import projection as project
from engine.record.progress import Progress, SegmentProgress
from engine.record.reading import Damaged, check_regular
from engine.record.rundir import RunDir
from engine.spec.keys import LevelOn

EMPTY = Plot(title="", curves=(), x_label="", y_label="")

#: A string file larger than this, in bytes, is not projected while it is watched.
PROJECTED = 64 * 2**20


def _even(count: int) -> tuple[float, ...]:
    return tuple(np.linspace(0.0, 1.0, count).tolist())


def about(segment: SegmentProgress, level: float) -> str:
    """Returns a line about a segment."""
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
    """γ(t) of one segment, in what is judged and in what is shown beside it."""
    on, other = progress.level_on, _beside(progress)
    curve, beside = segment.profile, segment.beside
    return Plot(
        title=f"γ(t) between beads {segment.left} and {segment.right}",
        curves=(
            Curve(_even(len(curve)), curve, on.words, "train"),
            Curve(_even(len(beside)), beside, other, "held_out"),
        ),
        x_label="t",
        y_label=_axis(on),
        level=level,
        verticals=(segment.t_star,),
        log_y=log_y,
    )


def _beside(progress: Progress) -> str:
    samples, words = progress.beside_samples, progress.beside.words
    return words if samples is None else f"{words} ({samples} samples)"


def _axis(on: LevelOn) -> str:
    return on.metric.replace("_", " ")


def path(
    segments: tuple[SegmentProgress, ...],
    on: LevelOn,
    selected: tuple[int, int] | None,
    level: float | None,
    log_y: bool,
) -> Plot:
    """The profiles of the whole string against arc length, the selected segment highlighted."""
    if not segments:
        return EMPTY
    lengths = np.array([segment.length for segment in segments])
    profiles = np.array([segment.profile for segment in segments])
    x, y = loss_along(lengths, profiles)
    curves = [Curve(tuple(x.tolist()), tuple(y.tolist()), on.words, "train")]
    points = profiles.shape[1]
    for number, segment in enumerate(segments):
        if segment.pair == selected:
            here = slice(number * points, (number + 1) * points)
            curves.append(
                Curve(tuple(x[here].tolist()), tuple(y[here].tolist()), "selected", "highlight")
            )
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
    """The highest peak on the string against time."""
    return Plot(
        title="highest peak on the string",
        curves=(Curve(tuple(t for t, _ in peaks), tuple(p for _, p in peaks), "peak", "train"),),
        x_label="seconds",
        y_label=_axis(on),
        level=level,
        log_y=log_y,
    )


def depths(counts: tuple[int, ...], times: tuple[float, ...], width: int) -> Text:
    """A bar for each depth: how many beads it has, and when the newest came."""
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
    """The newest string in the plane of its first two principal components."""
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
    try:
        held = string_file.read(run.string)
    except InputError:
        return EMPTY  # replaced while it was read; the next look finds it whole
    beads = held.string.beads
    if not np.isfinite(beads).all() or len(beads) < 3:
        return Plot("a plane needs three beads", (), "", "")
    x, y = project(beads).T
    inside = held.string.losses <= (level or np.inf)
    points = tuple(zip(x.tolist(), y.tolist(), strict=True))
    above = tuple(p for p, good in zip(points, inside, strict=True) if not good)
    curves = [Curve(tuple(x.tolist()), tuple(y.tolist()), "string", "train")]
    below = tuple(p for p, good in zip(points, inside, strict=True) if good)
    for some, label, role in (
        (below, "at or below level", "points"),
        (above, "above", "highlight"),
    ):
        if some:
            curves.append(
                Curve(
                    tuple(p[0] for p in some),
                    tuple(p[1] for p in some),
                    label,
                    role,  # type: ignore[arg-type]
                    lines=False,
                )
            )
    return Plot(
        title=f"{len(beads)} beads in the plane of their first two principal components",
        curves=tuple(curves),
        x_label="first",
        y_label="second",
    )
