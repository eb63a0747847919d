"""Makes the plots of a run screen from the run's progress, events and string file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import compress, zip_longest
from operator import not_
from typing import TYPE_CHECKING

from rich.text import Text

from dss_tui.tui.plot import Curve, Plot, Role
from dss_tui.viewing.counters import target_of
from dss_tui.viewing.trails import Trails
from dss_tui.viewing.view_state import Pair, View
from engine.errors import InputError
from engine.record.arc import Place, even_grid, loss_along
from engine.record.progress import TRAINING_LOSS, Progress, SegmentProgress
from engine.record.reading import Damaged, check_regular
from engine.record.rundir import RunDir
from engine.spec.level import Measure, bound

if TYPE_CHECKING:
    from engine.record.geometry import Space
    from engine.record.string_file import Header

EMPTY = Plot(title="", curves=(), x_label="", y_label="")

#: The size in bytes up to which a string file is projected while it is watched.
PROJECTED = 64 * 2**20


def ends(trails: Trails, progress: Progress, log_y: bool) -> Plot:
    """Returns the plot of the losses of ends in training against time, down to their target.

    The engine records only the newest losses, so the curves begin where the viewer began to look.
    """
    shown = {bead: trail for bead, trail in trails.losses.items() if trail}
    times = [seconds for trail in shown.values() for seconds, _ in trail]
    target = target_of(progress)
    there = times and math.isfinite(target)
    line = ((min(times), target), (max(times), target)) if there else ()
    roles: tuple[Role, Role] = ("train", "points")
    curves = [
        _curve(trail, f"endpoint {bead} {trail[-1][1]:.3g}", roles[number % 2])
        for number, (bead, trail) in enumerate(sorted(shown.items()))
    ]
    return Plot(
        title="ends in training, as seen since you watch",
        curves=(*curves, _curve(line, f"target {target:.3g}", "held_out")),
        x_label="seconds",
        y_label=progress.level_on.metric_words,
        level=progress.level,
        log_y=not log_y,
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
        y_label=on.metric_words,
        level=level,
        verticals=(segment.t_star,),
        log_y=log_y,
    )


def _secondary(progress: Progress) -> str:
    """Returns the secondary metric in words, with its number of samples if not all."""
    samples, words = progress.secondary_samples, progress.secondary.words
    return words if samples is None else f"{words} ({samples} samples)"


def path(
    segments: tuple[SegmentProgress, ...],
    on: Measure,
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
        title=f"{on.metric_words} along the string",
        curves=tuple(curves),
        x_label="distance from the first bead",
        y_label=on.metric_words,
        level=level,
        log_y=log_y,
    )


def history(view: View, progress: Progress | None, level: float | None, log_y: bool) -> Plot:
    """Returns the plot of the highest peak on the string against time, in steps.

    It ends with what the engine said last. Marks stand where the search of a string began anew.
    """
    peaks = view.history
    on = progress.level_on if progress else TRAINING_LOSS
    if progress is not None and math.isfinite(progress.counters.max_peak):
        peaks = (*peaks, (progress.time, progress.counters.max_peak))
    restarts = ", ┊ begun anew" if view.restarts else ""
    return Plot(
        title=f"highest peak on the string{restarts}",
        curves=(replace(_curve(peaks, "peak", "train"), steps=True),),
        verticals=view.restarts,
        x_label="seconds",
        y_label=on.metric_words,
        level=level,
        log_y=log_y,
    )


def depths(counts: tuple[int, ...], times: tuple[float, ...], width: int, rows: int) -> Text:
    """Returns a bar for each depth: how many beads it has, and when the newest came, if known.

    They are at most `rows` lines; where there are more depths, the last line stands for the rest.
    """
    if not any(counts):
        return Text("no beads yet")
    each = zip_longest(counts, times[: len(counts)], fillvalue=-math.inf)
    known = [(f"{at:>3}", int(count), time) for at, (count, time) in enumerate(each) if count]
    most = max(rows - 1, 1)
    if len(known) > most:
        rest = known[most - 1 :]
        name = f"{rest[0][0].strip()} to {rest[-1][0].strip()}"
        known = [*known[: most - 1], (name, sum(n for _, n, _ in rest), max(t for *_, t in rest))]
    room, highest = max(10, width - 34), max(count for _, count, _ in known)
    lines = [
        f"depth {name:<7} {'█' * max(1, round(count / highest * room))} {count}"
        + (f"  ({seconds:.1f} s)" if math.isfinite(seconds) else "")
        for name, count, seconds in known
    ]
    return Text("\n".join(["beads per depth (and the time of the newest)", *lines]))


@dataclass(frozen=True)
class Side:
    """The side from which a projection is seen."""

    turn: int = 0
    """Degrees about the second axis."""
    tilt: int = 0
    """Degrees about the line to the right, from -90 to 90."""

    def by(self, turn: int, tilt: int) -> Side:
        """Returns the side after so many degrees more."""
        return Side((self.turn + turn + 180) % 360 - 180, min(max(self.tilt + tilt, -90), 90))

    @property
    def words(self) -> str:
        """The angles in words, or nothing for the side of the first two components."""
        angles = (("turned", self.turn), ("tilted", self.tilt))
        return ", ".join(f"{how} {degrees}°" for how, degrees in angles if degrees)


#: The side from which the first two components are seen.
FRONT = Side()


def projection(run: RunDir, progress: Progress | None, selected: Pair | None, side: Side) -> Plot:
    """Returns the plot of the newest string in the space of its first three principal components.

    It says so where that string is an older one than the chain of the progress.
    """
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
    found = _projected(run, stat.st_mtime_ns)
    if found is None:
        return EMPTY  # replaced while it was read; it is whole the next time
    space, header, losses = found
    if space is None:
        return Plot("a projection needs three beads with finite weights", (), "", "")
    older = progress is not None and progress.order not in ((), header.bead_ids)
    return _seen(space, header, losses, side, selected, older=older)


@lru_cache(maxsize=2)
def _projected(
    run: RunDir, written_ns: int
) -> tuple[Space | None, Header, tuple[float, ...]] | None:
    """Returns space, header and losses of the string written at a time, kept until the next."""
    # Only now: they import numpy, which takes longer than the first frame.
    from engine.record import string_file
    from engine.record.geometry import in_space

    try:
        held = string_file.read(run.string)
    except InputError:
        return None
    return in_space(held.string.beads), held.header, tuple(held.string.losses.tolist())


def _seen(
    space: Space,
    header: Header,
    losses: Sequence[float],
    side: Side,
    selected: Pair | None,
    *,
    older: bool,
) -> Plot:
    """Returns the plot of a string as it is seen from a side."""
    places, ids = space.seen(side.turn, side.tilt), header.bead_ids
    below = [loss <= bound(header.level, header.tolerance) for loss in losses]
    parts: tuple[tuple[str, Role, list[Place]], ...] = (
        ("at or below level", "points", list(compress(places, below))),
        ("above", "highlight", list(compress(places, map(not_, below)))),
    )
    chosen = [place for bead, place in zip(ids, places, strict=False) if bead in (selected or ())]
    shares = " + ".join(f"{share:.0%}" for share in space.shares)
    title = f"{len(places)} beads of {'an older' if older else 'the'} string, PCA {shares}"
    return Plot(
        title=", ".join(filter(None, [title, side.words, "equal scale"])),
        curves=(
            _curve(places, "string", "train"),
            *([_curve(chosen, "selected", "highlight")] if len(chosen) == 2 else []),
            *(_curve(some, label, role, lines=False) for label, role, some in parts if some),
        ),
        x_label="first and third component" if side.turn else "first component",
        y_label="second and others" if side.tilt else "second",
        equal=True,
        names=((places[0], "θ₁"), (places[-1], "θ₂")),
    )


def _curve(places: Sequence[Place], label: str, role: Role, *, lines: bool = True) -> Curve:
    """Returns a curve through places."""
    return Curve(tuple(x for x, _ in places), tuple(y for _, y in places), label, role, lines)
