"""The command `dss-tui data`: lists each data set, its files, its source, and what is here."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from dss_tui.viewing.words import thousands
from engine.data import surveys
from engine.data.files import data_folder
from engine.data.survey import File, State, Survey
from engine.record.events import dump_json

NO_BREAK = "\N{NO-BREAK SPACE}"
#: The width in columns, and the column at which the text after a label begins.
WIDTH, INDENT = 80, 10
STATES = {
    State.SHIPPED: "shipped with dss-tui",
    State.FOUND: "found",
    State.SUBSET: "found, a subset",
    State.ABSENT: "not here",
    State.DAMAGED: "damaged or incomplete",
}


def data(name: str | None, *, as_json: bool) -> int:
    """Prints the data sets and returns 0, or 2 where one that is here is damaged.

    Raises InputError for an unknown name.
    """
    found = surveys(name)
    if as_json:
        print(dump_json([asdict(survey) for survey in found]))
    else:
        print("\n\n".join("\n".join(_lines(survey)) for survey in found))
        if data_folder() is None:
            print("\n$DSS_TUI_DATA is not set: set it to the folder around mnist, cifar10, …")
    return 2 if any(survey.state is State.DAMAGED for survey in found) else 0


def _lines(found: Survey) -> Iterator[str]:
    """Yields the lines about one data set."""
    yield f"{found.name}: {found.title}, {STATES[found.state]}"
    if found.train is not None and found.held_out is not None:
        counts = f"{thousands(found.train)} to train + {thousands(found.held_out)} held out"
        yield from _labelled("samples", counts)
    path = "" if found.path is None else f", path: {found.path}"
    yield from _labelled("preset", f"problem.data: {{kind: {found.kind}{path}}}")
    if found.state is State.SHIPPED:
        return
    yield from _labelled("needs", _needs(found))
    yield from _labelled("from", *filter(None, (found.address, found.mirror)))
    yield from _labelled("looked", *(found.looked or ["nowhere: $DSS_TUI_DATA is not set"]))
    if found.files:
        yield from _labelled("found", str(Path(found.files[0].path).parent))
        yield from _labelled("", *map(_file, found.files))
    yield from _labelled("problem", *found.problems)
    yield from _labelled("note", *filter(None, [found.caveat]))


def _needs(found: Survey) -> str:
    """Returns the files that a data set consists of, in words."""
    files = ", ".join(found.needs)
    return f"{files}, or any UTF-8 text" if found.kind == "text" else f"{files}, plain or .gz"


def _file(file: File) -> str:
    """Returns a file's name and contents in words."""
    name = Path(file.path).name
    if not file.holds:
        return f"{name}: damaged"
    counts = dict(file.holds)
    shape = [counts.pop(axis) for axis in ("channels", "rows", "columns") if axis in counts]
    parts = [f"{thousands(count)} {what}" for what, count in counts.items()]
    if shape:
        parts.append(" × ".join(map(str, shape)))
    words = ", ".join(map(_unbroken, [*parts, f"checksum {file.checksum}"]))
    return f"{name}: {words}"


def _unbroken(words: str) -> str:
    """Returns words between which no line is broken."""
    return words.replace(" ", NO_BREAK)


def _labelled(label: str, *entries: str) -> Iterator[str]:
    """Yields the lines of entries below each other, with a label before the first.

    Lines are wrapped at spaces only, so that paths stay whole.
    """
    for entry in entries:
        for line in textwrap.wrap(
            entry,
            WIDTH,
            initial_indent=f"  {label}".ljust(INDENT),
            subsequent_indent=" " * (INDENT + 2),
            break_long_words=False,
            break_on_hyphens=False,
        ):
            yield line.replace(NO_BREAK, " ")
        label = ""
