"""What all figures share: sizes, fonts, colours, and artists that can be found again in an SVG."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from math import isfinite

import matplotlib.style
from matplotlib.figure import Figure

#: The width in mm from which on panels stand side by side.
WIDE_MM = 120.0

MM_PER_INCH = 25.4

#: Colours that people with any kind of colour vision tell apart (Okabe and Ito 2008).
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#7F7F7F"
CYCLE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK)
#: Markers and dashes, so that nothing is told by colour alone.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":")
#: Colours for numbers, whose lightness grows evenly, as people with any colour vision see it.
COLOURS = "cividis"

#: The ratio of a quantity's largest to its smallest value from which on its axis is logarithmic.
LOGARITHMIC = 30.0

#: Text stays text, in fonts that PDF files hold and SVG files name; nothing depends on the time.
SETTINGS = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "mathtext.fontset": "dejavusans",
    "font.size": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "dss-tui",
}


def styled() -> AbstractContextManager[None]:
    """Returns a block in which matplotlib draws as figures are to look, whatever the user's own."""
    context: AbstractContextManager[None] = matplotlib.style.context(["default", SETTINGS])
    return context


def page(width_mm: float, height_mm: float) -> Figure:
    """Returns an empty figure of a size in mm, whose parts make room for each other."""
    size = width_mm / MM_PER_INCH, height_mm / MM_PER_INCH
    return Figure(figsize=size, layout="constrained")


def gid(*words: str) -> str:
    """Returns the id by which an artist is found in an SVG, made of words."""
    return re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")


def is_logarithmic(values: Sequence[float]) -> bool:
    """Returns whether values are positive and span so much that they need a logarithmic axis."""
    known = [value for value in values if isfinite(value)]
    return bool(known) and min(known) > 0 and max(known) > LOGARITHMIC * min(known)
