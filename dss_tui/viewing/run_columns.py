"""The columns of a list of runs: what each holds, how it is sorted, and which ones fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dss_tui.viewing.shown import shown_in_line
from dss_tui.viewing.words import age, bytes_of, clock, peak_of
from engine.record.runs import Summary

#: What a cell shows where no file tells its value.
UNKNOWN = "–"

SortKey = float | str | None
"""The value that a column sorts by; None is sorted last in either direction."""


@dataclass(frozen=True)
class Column:
    """A column of a list of runs."""

    key: str
    """The column's name, which is its title too."""
    cell: Callable[[Summary], str]
    """Returns what the column shows of a run."""
    by: Callable[[Summary], SortKey]
    """Returns what the column sorts a run by."""
    right: bool = False
    """Whether cells end at the right edge, as numbers do."""
    falls: bool = False
    """Whether the largest value comes first when the column is sorted for the first time."""


def _column(key: str, by: Callable[[Summary], SortKey], form: str = "", **more: bool) -> Column:
    """Returns a column that shows the very value that it sorts by, in a format."""
    return Column(key, lambda run: _shown(by(run), form), by, **more)


def _shown(value: SortKey, form: str) -> str:
    """Returns a value in a format, or the sign of an unknown one."""
    return UNKNOWN if value is None else format(value, form)


def _lasted(seconds: float) -> str:
    """Returns a running time in words: in seconds up to a minute, then in the form h:mm:ss."""
    return f"{seconds:.1f} s" if seconds < 60 else clock(seconds)


def _state(run: Summary) -> str:
    """Returns the state of a run, and of a sweep with how many of its searches have ended."""
    words = run.state.replace("_", " ")
    return words if run.pairs is None else f"{words} {run.pairs[0]}/{run.pairs[1]}"


def _level(run: Summary) -> str:
    """Returns the level of a run, and how it comes about where the preset names no number."""
    number = _shown(run.level, ".4g" if run.level_asked else "g")
    return f"{run.level_asked} {number}" if run.level_asked else number


def _of_start(name: str) -> Callable[[Summary], SortKey]:
    """Returns a function that returns a field of the event that began a run, None without one."""
    return lambda run: getattr(run.started, name, None)


#: All columns, in the order in which they stand.
COLUMNS: tuple[Column, ...] = (
    _column("name", lambda run: shown_in_line(run.name)),
    Column("state", _state, lambda run: run.state),
    _column("preset", lambda run: run.preset),
    _column("method", _of_start("method")),
    Column("level", _level, lambda run: run.level, right=True),
    _column("seed", _of_start("seed"), right=True),
    _column("beads", lambda run: run.beads, right=True, falls=True),
    Column(
        "peak/level",
        lambda run: peak_of(run.peak_over_level, run.tolerance),
        lambda run: run.peak_over_level,
        right=True,
        falls=True,
    ),
    _column("length", lambda run: run.normalized_length, ".3f", right=True, falls=True),
    Column(
        "time",
        lambda run: UNKNOWN if run.elapsed_s is None else _lasted(run.elapsed_s),
        lambda run: run.elapsed_s,
        right=True,
        falls=True,
    ),
    Column("age", lambda run: age(run.age_s), lambda run: -run.made_s, right=True),
    Column(
        "size",
        lambda run: UNKNOWN if run.size_bytes is None else bytes_of(run.size_bytes),
        lambda run: run.size_bytes,
        right=True,
        falls=True,
    ),
    Column("note", lambda run: run.note, lambda run: run.note or None),
)

BY_KEY: Mapping[str, Column] = {column.key: column for column in COLUMNS}

#: The columns from the most to the least important. Where room is short, the last ones go first.
IMPORTANCE = (
    "name",
    "state",
    "peak/level",
    "beads",
    "age",
    "note",
    "level",
    "time",
    "method",
    "seed",
    "length",
    "preset",
    "size",
)


def fitting(widths: Mapping[str, int], chosen: Iterable[str], room: int) -> tuple[str, ...]:
    """Returns the chosen columns that fit, in the order in which they stand.

    They are taken by importance; one that does not fit is left out. The name always stays.

    Args:
        widths: The width of each column with the blanks around it.
        chosen: The columns that the user wants to see.
        room: The width of the list.
    """
    wanted = set(chosen)
    kept, left = {"name"}, room - widths["name"]
    for key in IMPORTANCE:
        if key in wanted - kept and widths[key] <= left:
            kept.add(key)
            left -= widths[key]
    return tuple(column.key for column in COLUMNS if column.key in kept)


def ordered(runs: Iterable[Summary], key: str, *, falls: bool) -> list[Summary]:
    """Returns the runs sorted by a column. Those without a value there come last either way."""
    by = BY_KEY[key].by
    every = list(runs)
    known = [run for run in every if by(run) is not None]
    known.sort(key=by, reverse=falls)  # type: ignore[arg-type]  # a column holds one type
    return known + [run for run in every if by(run) is None]


def matching(runs: Iterable[Summary], wanted: str) -> list[Summary]:
    """Returns the runs that have a text in any of their cells, whatever its case."""
    if not wanted:
        return list(runs)
    low = wanted.casefold()
    return [run for run in runs if any(low in cell.casefold() for cell in cells(run))]


def cells(run: Summary) -> Sequence[str]:
    """Returns what all columns show of a run, in their order."""
    return [column.cell(run) for column in COLUMNS]
