"""The command `dss-tui figure`: a figure for a publication, and the numbers that it shows."""

from __future__ import annotations

import argparse
from pathlib import Path

from dss_tui.commands.measure import plane_of, three
from engine.errors import InputError
from engine.record import string_file
from engine.record.figures.kinds import KINDS, refusals, sheet_of
from engine.record.figures.plane import sheet_of as sheet_of_plane
from engine.record.figures.sheet import Sheet, is_sheet
from engine.record.figures.source import Source, facts_of, facts_of_string, source_of
from engine.record.lock import is_live
from engine.record.loss_plane import LossPlane, path_of, read_plane_file, write_answer
from engine.record.reading import check_regular
from engine.record.writing import replace

#: The endings of figures, and that of their numbers alone.
ENDINGS, NUMBERS = (".svg", ".pdf", ".png"), ".csv"

#: The widths in mm of figures by the columns that they take, as most journals have them.
COLUMNS_MM = {"one": 85.0, "two": 178.0}
#: The narrowest and the widest figure in mm.
NARROWEST, WIDEST = 40.0, 400.0

#: What `--kind` takes besides the kinds, to tell which of them there are.
LIST = "list"


def figure(asked: argparse.Namespace) -> int:
    """Writes a figure with its numbers beside it, or lists what can be drawn, and returns 0.

    Raises InputError where the source or a file to write cannot be used, where the source lacks
    what the kind takes, and without matplotlib, which only a .csv file does without.
    """
    beads = None if asked.plane is None else three(asked.plane)
    source = source_of(asked.source, beads)
    if asked.kind == LIST:
        return _list(source)
    out = _out(asked.out)
    kind = asked.kind or ("plane" if beads is not None else None)
    if beads is not None and kind != "plane":
        raise InputError(f"belongs to --kind plane, not {kind}; leave one out", key="--plane")
    width_mm = _width_mm(asked.width)
    if out.suffix != NUMBERS:
        _check_installed()
    sheet = _sheet(source, kind, run_factories=asked.run_factories)
    _write(sheet, out, width_mm)
    return 0


def _sheet(source: Source, kind: str | None, *, run_factories: bool) -> Sheet:
    """Returns the sheet of a figure. Measures a loss plane that is not there yet."""
    if kind == "plane" and source.beads is not None and source.what in ("run", "string"):
        return _plane(source, run_factories=run_factories)
    return sheet_of(source, kind)


def _plane(source: Source, *, run_factories: bool) -> Sheet:
    """Returns the sheet of the plane through three beads, measured where it is not there yet."""
    run, beads = source.run, source.beads
    assert beads is not None
    if source.what == "run" and isinstance(read_plane_file(path_of(run, beads)), LossPlane):
        return sheet_of(source, "plane")
    path, owner = source.string_path, run if source.what == "run" else None
    file = string_file.read(path)
    plane = plane_of(owner, path, file, beads, run_factories=run_factories)
    if source.what == "run" and not is_live(run):
        write_answer(run, plane)
    if source.what == "string":
        return sheet_of_plane(plane, facts_of_string(source, file))
    spec = run.load_spec()
    return sheet_of_plane(plane, facts_of(source, spec, [spec.seed]))


def _list(source: Source) -> int:
    """Prints the kinds of figures of a source, and why some cannot be made now."""
    known = refusals(source)
    for name, reason in known.items():
        natural = ", drawn without --kind" if name == next(iter(known)) else ""
        print(f"{name:<16}{KINDS[name].words}{natural}")
        if reason is not None:
            print(f"{'':<16}not now: it {reason}")
    return 0


def _out(out: Path | None) -> Path:
    """Returns the path to write to. Raises InputError where it is not one of a figure."""
    if out is None:
        raise InputError("says where to write; give a name such as figure.svg", key="--out")
    if out.suffix not in (*ENDINGS, NUMBERS):
        raise InputError(
            f"ends in {out.suffix!r}; choose one of {', '.join((*ENDINGS, NUMBERS))}", key="--out"
        )
    if not out.absolute().parent.is_dir():
        raise InputError("its folder does not exist; make it first", file=out, key="--out")
    numbers = out.with_suffix(NUMBERS)
    if check_regular(numbers) and not is_sheet(numbers):
        raise InputError(
            "is there and holds something else than the numbers of a figure, which are written "
            "beside it; choose another name",
            file=numbers,
            key="--out",
        )
    return out


def _width_mm(text: str) -> float:
    """Returns a width in mm: of one or two columns, or a number. Raises InputError."""
    if text in COLUMNS_MM:
        return COLUMNS_MM[text]
    try:
        width_mm = float(text)
    except ValueError:
        raise InputError(f"is {text!r}; give one, two, or a width in mm", key="--width") from None
    if not NARROWEST <= width_mm <= WIDEST:
        raise InputError(
            f"is {text} mm, but must be from {NARROWEST:g} to {WIDEST:g}", key="--width"
        )
    return width_mm


def _check_installed() -> None:
    """Raises InputError where matplotlib is missing."""
    try:
        import dss_tui.figures.draw  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "matplotlib":
            raise
        raise InputError(
            "needs the package matplotlib; install it with `pip install matplotlib`, or dss-tui "
            "with its extra `figures`; --out NAME.csv writes the numbers without it",
            key="figure",
        ) from None


def _write(sheet: Sheet, out: Path, width_mm: float) -> None:
    """Writes the numbers of a figure, and the figure drawn from them."""
    numbers = out.with_suffix(NUMBERS)
    replace(numbers, sheet.to_csv().encode())
    print(f"written to {numbers}")
    if out.suffix != NUMBERS:
        from dss_tui.figures.draw import write

        write(sheet_of(Source("table", numbers)), out, width_mm)
        print(f"written to {out}")
