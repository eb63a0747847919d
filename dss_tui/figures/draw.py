"""Draws a sheet, and writes it as an SVG, PDF or PNG file that is the same to the last bit."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from dss_tui.figures import counts, levels, paths, planes, trees
from dss_tui.figures.style import styled
from engine.record.figures.sheet import Sheet
from engine.record.writing import replace

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
    replace(path, encode(sheet, path.suffix.removeprefix("."), width_mm))


def encode(sheet: Sheet, form: str, width_mm: float) -> bytes:
    """Returns the bytes of a figure in a format: svg, pdf or png."""
    held = io.BytesIO()
    with styled():
        figure = DRAWERS[sheet.kind](sheet, width_mm)
        figure.savefig(held, format=form, metadata=_about(sheet, form))
    return held.getvalue()


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
