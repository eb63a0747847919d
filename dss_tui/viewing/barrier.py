"""Puts the barrier between two models into words, JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dss_tui.viewing.words import told_in
from engine.errors import listed

if TYPE_CHECKING:
    from engine.run.barrier import Barrier
    from engine.run.lines import Line, OnSplit

#: The heads of the table's columns of numbers, and how wide each column is.
COLUMNS = (
    ("first", 9),
    ("second", 9),
    ("peak", 9),
    ("proven", 9),
    ("at t", 6),
    ("over mean", 10),
    ("over chord", 12),
)
#: The width of the table's column of words.
LABELS = 15

DEFINITIONS = (
    "over mean: the peak less the mean of the two models (barrier of Git Re-Basin); over chord: "
    "the highest rise above the straight line between their values (linear mode connectivity)."
)
PROVEN = (
    "proven: what is not exceeded anywhere on the line, rounding included; less the mean of the "
    "two models, it bounds the barrier over the mean."
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
    first, second, peak, proven, over_mean, over_chord = (
        _value(line, value)
        for value in (*line.ends, line.peak, line.proven, line.over_mean, line.over_interpolation)
    )
    told = (first, second, peak, proven, f"{line.t_peak:.3f}", over_mean, over_chord)
    cells = "".join(f"{text:>{width}}" for text, (_, width) in zip(told, COLUMNS, strict=True))
    return f"{_label(line):<{LABELS}}{cells}"


def _label(line: Line) -> str:
    """Returns what a metric on a split is called in few letters, such as *held-out error*."""
    return line.measure.words.removesuffix(" rate")


def _value(line: Line, value: float | None) -> str:
    """Returns a value of a metric in at most eight columns; that of a proof that is none as –."""
    if value is None:
        return "–"
    if line.measure.metric == "error_rate":
        return f"{100 * value:.2f} %"
    digits = f"{value:.4g}"
    return digits if len(digits) <= 8 else f"{value:.2e}"


def notes(found: Barrier, width: int) -> list[str]:
    """Returns the sentences below the picture, in lines of at most `width` columns."""
    said = [DEFINITIONS, *([REPAIRED] if found.repaired else []), *_proofs(found)]
    if found.held_out is None:
        said.append("No samples are held out.")
    return [line for sentence in said for line in told_in(sentence, width, None)]


def _proofs(found: Barrier) -> list[str]:
    """Returns what *proven* means, and why some metrics have no proof."""
    reasons: dict[str, list[str]] = {}
    for line in found.lines:
        if line.unproven:
            reasons.setdefault(line.unproven, []).append(_label(line))
    said = [PROVEN] if any(line.proven is not None for line in found.lines) else []
    for reason, labels in reasons.items():
        which = "" if len(labels) == len(found.lines) else f" ({listed(labels)})"
        said.append(f"Not proven{which}: {reason}.")
    return said


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
        "proven": line.proven,
        "unproven": line.unproven or None,
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
