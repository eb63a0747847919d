"""Makes the matrix, the plots and the lines of a sweep's dashboard from the sweep's view."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.text import Text

from dss_tui.tui.palette import Palette
from dss_tui.tui.plot import Curve, Plot
from dss_tui.tui.widgets.matrix import Mark, MatrixData, MatrixRow
from dss_tui.viewing.glossary import Glyph
from dss_tui.viewing.sweeps import figures_of_level, word_of
from dss_tui.viewing.words import clock, flowed, plus_minus, rounded, short_count, thousands
from engine.record.compare_folder import ComparePlan
from engine.record.compare_tables import MethodRow
from engine.record.plans import AnyRow
from engine.record.progress import Progress
from engine.record.sweep_tables import LevelRow
from engine.record.sweeps import CellState, LevelState, SweepView, measured
from engine.spec.level import multiple
from engine.spec.published import Published

#: The glyph of each state of a cell, and the role of its style in the palette.
GLYPHS = {
    "connected": ("●", "closed"),
    "proven": ("✓", "closed"),
    "under way": ("◌", "training"),
    "paused": ("‖", "near"),
    "waiting": ("·", "dim"),
    "stopped": ("◦", "dim"),
    "interrupted": ("◦", "dim"),
    "lost": ("◦", "dim"),
    "not connected": ("╳", "failed"),
    "limit reached": ("□", "near"),
    "endpoint not trained": ("△", "failed"),
    "failed": ("!", "above"),
    "damaged": ("#", "above"),
}
#: The glyph and the role of a state that this version does not know.
UNKNOWN = ("?", "near")

#: Those glyphs with their meanings, for the help.
LEGEND = tuple(Glyph(glyph, word, f"a pair: {word}") for word, (glyph, _) in GLYPHS.items())

#: The titles of what is said of a row: a level, or a method of a comparison.
FOUND = "level found ± s.e."
TITLES = ("connected", "length ± s.e.", "beads ± s.e.", "median steps", "ETA")
OF_METHODS = ("connected", "length ± s.e.", "beads ± s.e.", "gradients", "ETA")

#: The quantities that are plotted: the field of the tables, the title and the label of the axis.
QUANTITIES = (
    ("normalized_length", "length ÷ distance of the ends", "length"),
    ("beads", "beads, the ends included", "beads"),
)


def mark(word: str, palette: Palette) -> Mark:
    """Returns the mark of a cell's state."""
    glyph, role = GLYPHS.get(word, UNKNOWN)
    return Mark(glyph, getattr(palette, role))


def matrix(view: SweepView, palette: Palette) -> MatrixData:
    """Returns the matrix of a sweep or a comparison: a row for each level or method.

    There is a column for each pair.
    """
    found = any(came_about(level.row) for level in view.levels)
    return MatrixData(
        view.plan.axis if view.plan is not None else "",
        view.plan.columns if view.plan is not None else (),
        _titles(view, found=found),
        tuple(
            MatrixRow(
                level.row.label,
                tuple(mark(word_of(cell), palette) for cell in level.cells),
                _facts(level, going=view.going, found=found),
            )
            for level in view.levels
        ),
    )


def came_about(row: AnyRow) -> bool:
    """Returns whether a row is that of a level that comes about in each search."""
    return isinstance(row, LevelRow) and isinstance(row.level, str)


def _titles(view: SweepView, *, found: bool) -> tuple[str, ...]:
    """Returns the titles of what is said of a row, with `FOUND` where it is asked."""
    if isinstance(view.plan, ComparePlan):
        return OF_METHODS
    return (TITLES[0], FOUND, *TITLES[1:]) if found else TITLES


def _facts(level: LevelState, *, going: bool, found: bool) -> tuple[str, ...]:
    """Returns what is said of a row, in the order of its titles."""
    row = level.row
    return (
        f"{row.connected}/{row.pairs}" if row.pairs else "–",
        *([figures_of_level(row)] if found and isinstance(row, LevelRow) else []),
        plus_minus(row.normalized_length, 3),
        plus_minus(row.beads, 1),
        _work_of(row),
        _eta(level.eta_s) if going else "",
    )


def _work_of(row: AnyRow) -> str:
    """Returns the median work of the pairs of a row: sample gradients of a method, or steps."""
    if isinstance(row, MethodRow):
        return short_count(row.median_sample_gradients)
    return thousands(round(row.median_bead_steps)) if row.pairs else "–"


def _eta(seconds: float | None) -> str:
    """Returns the time left, nothing where there is none, or a dash where it is not known."""
    if seconds is None:
        return "–"
    return f"~{clock(seconds)}" if seconds > 0 else ""


def counted(view: SweepView) -> list[str]:
    """Returns the counts of a sweep's cells in words."""
    rows = [level.row for level in view.levels]
    connected, proven = sum(row.connected for row in rows), sum(row.proven for row in rows)
    under_way = view.count("running", "paused")
    said = [f"{view.ended} of {view.asked} ended", f"{connected} connected ({proven} proven)"]
    said += [f"{under_way} under way"] if under_way else []
    if view.going and view.eta_s is not None:
        said.append(f"ETA ~{clock(view.eta_s)}")
    return said


def legend_of(view: SweepView, palette: Palette) -> list[tuple[Mark, str]]:
    """Returns the marks that the matrix holds, each with its meaning."""
    words = {word_of(cell) for cell in view.cells}
    known = [word for word in GLYPHS if word in words]
    others = sorted(words - GLYPHS.keys())
    return [(mark(word, palette), word) for word in (*known, *others)]


def about_level(level: LevelState, tolerance: float) -> list[str]:
    """Returns what is known of a level, in clauses that are not to be broken."""
    row = level.row
    within = f", tolerance {tolerance:g}" if tolerance else ""
    head = f"{row.label}:" if isinstance(row, MethodRow) else f"level {row.label}{within}:"
    if not row.pairs:
        return [f"{head} no pair has ended yet"]
    proven = f" ({row.proven} proven)" if row.proven else ""
    said = [f"{row.connected} of {row.pairs} connected{proven}"]
    said += [f"{count} {str(outcome).replace('_', ' ')}" for outcome, count in row.failed]
    if row.connected and isinstance(row.level, str):
        said.append(f"levels {figures_of_level(row)}")
    if row.connected:
        said.append(f"length {plus_minus(row.normalized_length, 4)}")
        said.append(f"beads {plus_minus(row.beads, 2)}")
    said.append(f"median {thousands(round(row.median_bead_steps))} steps")
    if isinstance(row, MethodRow):
        said += [f"{_work_of(row)} sample gradients", *_measured_by_one(row)]
    return [head, *_listed(said)]


def _measured_by_one(row: MethodRow) -> list[str]:
    """Returns what the evaluator has measured of a method's paths, in clauses."""
    if math.isnan(row.barrier.mean):
        return []
    return [
        f"peak {multiple(row.peak_over_level, 3)} × level",
        f"barrier {rounded(row.barrier.mean, 3)}",
        f"mean {rounded(row.mean_loss.mean, 3)}",
        f"turning {row.turning.mean:.0f}°",
    ]


def about_cell(cell: CellState, seed: int, progress: Progress | None) -> list[str]:
    """Returns what is known of a cell: its pair, its state, and how far its search has come.

    `seed` is that of pair 0.
    """
    end, pair = cell.brief.ended, cell.cell.pair
    said = [word_of(cell)]
    if end is not None and cell.ended:
        said += [] if end.level is None else [f"level {end.level:.4g}"]
        said.append(f"{thousands(end.totals.bead_steps)} steps")
    elif progress is not None:
        counters, peak = progress.counters, progress.peak_over_level
        said.append(progress.phase)
        said += [f"{counters.beads} beads", f"{thousands(counters.bead_steps)} steps"]
        said += [] if peak is None else [f"peak {multiple(peak, 3)} × level"]
    return [f"pair {pair}, seed {seed + pair}:", *_listed(said)]


def _listed(clauses: list[str]) -> list[str]:
    """Returns clauses with a comma after each but the last."""
    return [*(f"{clause}," for clause in clauses[:-1]), *clauses[-1:]]


def plot(rows: Sequence[AnyRow], published: Published | None, number: int, log: bool) -> Plot:
    """Returns the plot of one of `QUANTITIES`: against the level, beside the paper's points.

    That of a comparison is against the sample gradients, with the names of the methods.
    """
    methods = [row for row in rows if isinstance(row, MethodRow)]
    if methods:
        return _plot_of_methods(methods, number, log)
    field, title, label = QUANTITIES[number]
    ours = measured([row for row in rows if isinstance(row, LevelRow)], field)
    curves = [
        Curve(
            tuple(each.level for each in ours),
            tuple(each.mean for each in ours),
            "this sweep",
            "points",
            lines=False,
            errors=tuple(each.error for each in ours),
        )
    ]
    if published is not None:
        theirs = [(point.level, *getattr(point, field)) for point in published.points]
        curves.insert(
            0,
            Curve(
                tuple(level for level, _, _ in theirs),
                tuple(mean for _, mean, _ in theirs),
                f"paper (≤ {published.enforced:g} × level)",
                "held_out",
                lines=False,
                dot="◇",
                errors=tuple(error for _, _, error in theirs),
            ),
        )
    return Plot(title, tuple(curves), "level", label, log_x=log, log_y=log)


def _plot_of_methods(rows: Sequence[MethodRow], number: int, log: bool) -> Plot:
    """Returns the plot of one of `QUANTITIES` against what the methods have computed for it."""
    field, title, label = QUANTITIES[number]
    found = [
        (row.sample_gradients.mean, getattr(row, field), row.method)
        for row in rows
        if row.sample_gradients.mean > 0  # not where it is not known
    ]
    points = tuple((cost, each.mean) for cost, each, _ in found)
    errors = (each.standard_error for _, each, _ in found)
    curve = Curve(
        tuple(cost for cost, _ in points),
        tuple(mean for _, mean in points),
        "",
        "points",
        lines=False,
        errors=tuple(0.0 if math.isnan(error) else error for error in errors),
    )
    names = tuple((point, name) for point, (_, _, name) in zip(points, found, strict=True))
    return Plot(title, (curve,), "sample gradients", label, log_x=log, log_y=log, names=names)


def words_below(view: SweepView, width: int) -> list[Text]:
    """Returns lines of at most so many columns on how the sweep stands, where that needs words."""
    lines = []
    if view.state == "preparing":
        lines.append(Text("loading data, compiling, choosing a backend", style="dim"))
    elif view.state in ("unfinished", "lost"):
        said = view.said or "Its process is gone"
        said = f"{said.removesuffix('.')}; r goes on from the checkpoints."
        lines += [Text(line, style="bold") for line in flowed(said.split(), width, " ")]
    elif view.said:
        lines += [Text(line, style="bold") for line in flowed(view.said.split(), width, " ")]
    return [*lines, *(Text(fault.short, style="bold red") for fault in view.damaged)]
