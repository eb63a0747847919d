"""The command `dss-tui data`: lists each data set, its files, its source, and what is here.

It also tells the sizes of a preset's data, and writes data into a file that is mapped into memory.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from dss_tui.viewing.words import bytes_of, thousands
from engine.data import DataKeys, is_named, keys_of, surveys
from engine.data.files import data_folder
from engine.data.survey import File, State, Survey
from engine.errors import InputError
from engine.record.events import dump_json
from engine.spec.shipped import load_preset, path_of
from engine.spec.trust import check_file

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


def data(
    name: str | None, *, as_json: bool, to: Path | None = None, run_factories: bool = False
) -> int:
    """Prints the data sets, or converts one, and returns 0; 2 where one that is here is damaged.

    `name` is that of a data set, or a preset, of whose data the sizes are told. With `to`, its data
    are written there. Raises InputError for a name that is neither.
    """
    preset = name is not None and _is_preset(name)
    if to is not None:
        if name is None:
            raise InputError("names no data set; give one, or a preset", key="--to")
        keys = _keys(name, preset=preset, run_factories=run_factories)
        return _converted(keys, to, as_json=as_json)
    if preset and name is not None:
        return _sizes(name, as_json=as_json, run_factories=run_factories)
    found = surveys(name)
    if as_json:
        print(dump_json([asdict(survey) for survey in found]))
    else:
        print("\n\n".join("\n".join(_lines(survey)) for survey in found))
        if data_folder() is None:
            print("\n$DSS_TUI_DATA is not set: set it to the folder around mnist, cifar10, …")
    return 2 if any(survey.state is State.DAMAGED for survey in found) else 0


# ---------------------------------------------------------------- data of a preset


def _is_preset(name: str) -> bool:
    """Returns whether a name is that of a preset, and of no data set."""
    if is_named(name):
        return False
    try:
        path_of(name)
    except InputError:
        return False
    return True


def _keys(name: str, *, preset: bool, run_factories: bool) -> DataKeys:
    """Returns the keys of a data set, or of a preset's. Raises InputError."""
    if preset:
        return _of_preset(name, run_factories=run_factories)
    found = surveys(name)
    if len(found) > 1:
        names = ", ".join(survey.name for survey in found)
        raise InputError(f"are several data sets; choose from {names}", file=name)
    return keys_of(found[0])


def _of_preset(name: str, *, run_factories: bool) -> DataKeys:
    """Returns the keys of a preset's data. Raises InputError, also for a stranger's preset."""
    found = load_preset(name).problem.data
    check_file(found, path_of(name), run_factories=run_factories)
    return found


def _sizes(preset: str, *, as_json: bool, run_factories: bool) -> int:
    """Prints the sizes of a preset's data and returns 0."""
    from engine.data.conversion import sizes

    spec = _of_preset(preset, run_factories=run_factories)
    found = sizes(spec)
    if as_json:
        print(dump_json({"preset": preset, "kind": spec.kind} | asdict(found)))
        return 0
    print(f"{preset}: data of kind {spec.kind}")
    lines = {
        "samples": f"{thousands(found.train)} to train + {thousands(found.held_out)} held out",
        "x": _array_words(found.x.dtype, found.x.shape),
        "y": _array_words(found.y.dtype, found.y.shape),
        "size": _size_words(found.disk_bytes, found.memory_bytes, found.mapped_bytes),
    }
    for label, words in lines.items():
        print("\n".join(_labelled(label, words)))
    return 0


def _converted(spec: DataKeys, to: Path, *, as_json: bool) -> int:
    """Writes data into a file, prints the keys that read it, and returns 0."""
    from engine.data.conversion import convert

    keys, size = convert(spec, to), to.stat().st_size
    if as_json:
        print(dump_json({"path": str(to), "bytes": size, "data": keys}))
        return 0
    print(f"{to}: {bytes_of(size)}, mapped into memory where it is read")
    words = ", ".join(f"{key}: {value}" for key, value in keys.items())
    print("\n".join(_labelled("preset", f"problem.data: {{{words}}}")))
    return 0


def _array_words(dtype: str, shape: tuple[int, ...]) -> str:
    """Returns the type of values and the shape of a sample in words."""
    return f"{dtype}, {' × '.join(map(str, shape))}" if shape else dtype


def _size_words(disk: int | None, memory: int | None, mapped: int = 0) -> str:
    """Returns bytes on disk and in memory in words, as far as they are known."""
    parts = ((disk, "on disk"), (memory, "in memory"), (mapped, "mapped from a file"))
    return ", ".join(f"{bytes_of(count)} {where}" for count, where in parts if count)


# ---------------------------------------------------------------- data sets that have a name


def _lines(found: Survey) -> Iterator[str]:
    """Yields the lines about one data set."""
    yield f"{found.name}: {found.title}, {STATES[found.state]}"
    if found.train is not None and found.held_out is not None:
        counts = f"{thousands(found.train)} to train + {thousands(found.held_out)} held out"
        yield from _labelled("samples", counts)
    if size := _size_words(found.disk_bytes, found.memory_bytes):
        yield from _labelled("size", size)
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
