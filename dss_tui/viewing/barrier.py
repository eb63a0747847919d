"""Puts the barrier between two models into words, JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dss_tui.viewing.words import told_in

if TYPE_CHECKING:
    from engine.run.barrier import Barrier, Line, OnSplit

#: The heads of the table's columns of numbers, and how wide each column is.
COLUMNS = (
    ("first", 10),
    ("second", 10),
    ("peak", 9),
    ("at t", 7),
    ("over mean", 11),
    ("over chord", 12),
)
#: The width of the table's column of words.
LABELS = 20

DEFINITIONS = (
    "over mean: the peak less the mean of the two models (barrier of Git Re-Basin); over chord: "
    "the highest rise above the straight line between their values (linear mode connectivity)."
)
REPAIRED = (
    "Repaired: the hidden units of each model between the two have the means and deviations that "
    "lie between those of the two (REPAIR). Such a model is not on the straight line, and no part "
    "of a string."
)


def head(found: Barrier) -> list[str]:
    """Returns the lines that say what was measured."""
    first, second = found.names
    points = f"{len(found.t)} points, {found.precision}"
    lines = [
        f"first   {first}",
        f"second  {second}" + (f", relabelled by {found.aligned}" if found.aligned else ""),
        f"        {found.distance:.4g} apart; {points}, peaks refined",
    ]
    if found.normalized_by:
        lines.append(f"        normalized by {found.normalized_by}")
    return [*lines, *(f"        {remark}" for remark in found.remarks)]


def table(found: Barrier) -> list[str]:
    """Returns the lines of the table: a metric over a split in each."""
    heads = "".join(f"{name:>{width}}" for name, width in COLUMNS)
    return [" " * LABELS + heads, *(_row(line) for line in found.lines)]


def _row(line: Line) -> str:
    """Returns the line of a metric over a split."""
    error = line.measure.metric == "error_rate"
    heights = (*line.ends, line.peak, line.over_mean, line.over_interpolation)
    first, second, peak, over_mean, over_chord = (
        f"{100 * value:.2f} %" if error else _short(value) for value in heights
    )
    told = (first, second, peak, f"{line.t_peak:.3f}", over_mean, over_chord)
    cells = "".join(f"{text:>{width}}" for text, (_, width) in zip(told, COLUMNS, strict=True))
    return f"{line.measure.words:<{LABELS}}{cells}"


def _short(value: float) -> str:
    """Returns a loss in at most eight columns."""
    digits = f"{value:.4g}"
    return digits if len(digits) <= 8 else f"{value:.2e}"


def notes(found: Barrier, width: int) -> list[str]:
    """Returns the sentences below the picture, in lines of at most `width` columns."""
    said = [DEFINITIONS, *([REPAIRED] if found.repaired else []), *_proofs(found)]
    if found.held_out is None:
        said.append("No samples are held out.")
    return [line for sentence in said for line in told_in(sentence, width, None)]


def _proofs(found: Barrier) -> list[str]:
    """Returns what is proven of the straight line, or why nothing is."""
    said = [
        f"PROVEN: the {line.measure.words} is at most {line.proven:.6g} everywhere on the line, so "
        f"that its barrier over the mean is at most {line.proven_over_mean:.6g}."
        for line in found.lines
        if line.proven is not None
    ]
    return said + ([f"Not proven: {found.unproven}."] if found.unproven else [])


# ---------------------------------------------------------------- for programs


def tree(found: Barrier) -> dict[str, Any]:
    """Returns a barrier as plain values for JSON.

    The key `repaired` is there only where models are repaired, and not on the line.
    """
    told = {
        "t": found.t,
        "train": _split(found.train),
        "held_out": None if found.held_out is None else _split(found.held_out),
        "aligned": found.aligned,
    }
    return told | ({"repaired": True} if found.repaired else {})


def _split(split: OnSplit) -> dict[str, Any]:
    """Returns what was measured over a split."""
    error = None if split.error is None else _measured(split.error)
    return {"loss": _measured(split.loss), "error": error}


def _measured(line: Line) -> dict[str, Any]:
    """Returns one metric along the line."""
    return {
        "values": line.values,
        "peak": line.peak,
        "over_mean": line.over_mean,
        "over_interpolation": line.over_interpolation,
    }


def as_csv(found: Barrier) -> str:
    """Returns the values at each t as CSV. Columns of repaired models say so in their names."""
    lines = [line for line in found.lines]
    before = "repaired_" if found.repaired else ""
    names = [f"{before}{line.measure.split}_{_metric(line)}" for line in lines]
    rows: Sequence[Sequence[object]] = [
        ["t", *names],
        *zip(found.t, *(line.values for line in lines), strict=True),
    ]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _metric(line: Line) -> str:
    """Returns what JSON and CSV call a metric."""
    return "error" if line.measure.metric == "error_rate" else line.measure.metric
