"""Draws a sheet, and writes it as an SVG, PDF or PNG file that is the same to the last bit."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from dss_tui.figures import counts, levels, paths, planes, trees
from dss_tui.figures.style import styled
from engine.errors import InputError
from engine.record import writing
from engine.record.figures.sheet import Cell, Sheet

#: What draws each kind of figure, from its sheet and a width in mm.
DRAWERS: dict[str, Callable[[Sheet, float], Figure]] = {
    "levels": levels.draw,
    "methods": counts.draw_methods,
    "disconnectivity": trees.draw_disconnectivity,
    "path": paths.draw_path,
    "string": planes.draw_string,
    "plane": planes.draw_plane,
    "depths": counts.draw_depths,
    "quantities": paths.draw_quantities,
}


def write(sheet: Sheet, path: Path, width_mm: float) -> None:
    """Draws a sheet and writes it, in the format that the path's ending names.

    Raises SaveError where the file cannot be written.
    """
    writing.replace(path, encode(sheet, path.suffix.removeprefix("."), width_mm))


def encode(sheet: Sheet, form: str, width_mm: float) -> bytes:
    """Returns the bytes of a figure in a format: svg, pdf or png.

    Raises InputError where the sheet holds no numbers.
    """
    if not sheet.rows:
        raise InputError(f"there are no numbers in this figure of {sheet.kind}")
    held = io.BytesIO()
    with styled():
        figure = DRAWERS[sheet.kind](_plain(sheet), width_mm)
        figure.savefig(held, format=form, metadata=_about(sheet, form))
    return held.getvalue()


def _plain(sheet: Sheet) -> Sheet:
    """Returns a sheet whose words matplotlib takes as they are, and not for formulas."""

    def plain(cell: Cell) -> Cell:
        if not isinstance(cell, str):
            return cell
        return "".join(filter(str.isprintable, cell)).replace("$", r"\$")

    facts = tuple((name, str(plain(value))) for name, value in sheet.facts)
    return replace(sheet, facts=facts, rows=tuple(tuple(map(plain, row)) for row in sheet.rows))


def _about(sheet: Sheet, form: str) -> dict[str, str | None]:
    """Returns what a file says of itself: its facts, and no time."""
    title = f"{sheet.kind} of {sheet.fact('of')}"
    facts = "; ".join(f"{name}: {value}" for name, value in sheet.facts)
    creator = sheet.fact("version", "dss-tui")
    match form:
        case "pdf":
            undated = {"CreationDate": None, "ModDate": None}
            return {"Title": title, "Subject": facts, "Creator": creator, **undated}
        case "svg":
            return {"Title": title, "Description": facts, "Creator": creator, "Date": None}
        case _:
            return {"Title": title, "Description": facts, "Software": creator}
