"""The colours by role, and the functions that put styled glyphs into a line."""

from __future__ import annotations

import math
import os
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

if TYPE_CHECKING:  # drawing as text needs no application
    from textual.app import App

NEAR = 0.9
"""The share of the level from which on a loss counts as near it."""


#: The multiples of the level up to which each colour of a ramp but the last reaches. They lie
#: closer the closer they are to the level.
STEPS = (0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0, 1.05, 1.15, 1.3, 1.5, 2.0, 3.0, 5.0)


@dataclass(frozen=True)
class Palette:
    """The style of each role, as Rich writes styles.

    Every state has a glyph of its own too, so that colour only repeats it.
    """

    below: str
    """The style of a loss below 0.9 × level."""
    near: str
    """The style of a loss from 0.9 × level up to the level."""
    above: str
    """The style of a loss above the level."""
    training: str
    """The style of a segment with a bead in training."""
    failed: str
    """The style of a segment that was given up."""
    closed: str
    """The style of a closed segment."""
    level: str
    """The style of the mark of the level."""
    dim: str
    """The style of less important words and marks."""
    selected: str
    """The style that is laid over that of a selected item."""
    axis: str
    """The style of frames, ticks and their numbers."""
    train: str
    """The style of the main curve, such as the objective."""
    held_out: str
    """The style of the second curve, such as the secondary metric."""
    highlight: str
    """The style of the curve of the selected segment."""
    points: str
    """The style of single beads in a plot."""
    ramp: tuple[str, ...]
    """The styles of losses from far below the level to far above it, one more than `STEPS`. The
    first half are those up to the level."""
    ink: str = "#000000"
    """The colour of glyphs on the colours of the ramp."""

    @property
    def in_colour(self) -> bool:
        """Whether there are colours enough for areas that are filled by the ramp."""
        return self.ramp[0].startswith("#")

    def of_ratio(self, over_level: float) -> str:
        """Returns the ramp's style of a loss given as a multiple of the level; dim for NaN."""
        if math.isnan(over_level):
            return self.dim
        return self.ramp[bisect_left(STEPS, over_level)]

    def of_loss(self, over_level: float) -> str:
        """Returns the style of a loss given as a multiple of the level; dim for NaN."""
        if math.isnan(over_level):
            return self.dim
        if over_level > 1:
            return self.above
        return self.near if over_level >= NEAR else self.below

    @classmethod
    def dark(cls) -> Palette:
        """Returns colours for dark themes. Teal and orange stay apart for colour-blind eyes."""
        return cls(
            below="#4ec9b0",
            near="#e5c07b",
            above="#ff8a66",
            training="#7fb2ff",
            failed="bold #ff79b0",
            closed="#4ec9b0",
            level="#c3a6ff",
            dim="#9aa3b2",
            selected="reverse",
            axis="#9aa3b2",
            train="#7fb2ff",
            held_out="#e5c07b",
            highlight="bold #ffffff",
            points="#4ec9b0",
            # The map cividis, lightened at its dark end to be seen on dark ground.
            ramp=(
                *("#8798be", "#8b9bbb", "#909db8", "#94a0b4"),
                *("#9aa2af", "#9fa5aa", "#a4a7a3", "#aaa99d"),
                *("#baad79", "#c5b56e", "#cfbd63", "#dbc759"),
                *("#e6d151", "#f0da48", "#f7e140", "#fee838"),
            ),
        )

    @classmethod
    def light(cls) -> Palette:
        """Returns colours for light themes."""
        return cls(
            below="#005f56",
            near="#6b4a00",
            above="#a82400",
            training="#0b4a9e",
            failed="bold #8e0f4b",
            closed="#005f56",
            level="#5e1b8c",
            dim="#4a5160",
            selected="reverse",
            axis="#4a5160",
            train="#0b4a9e",
            held_out="#6b4a00",
            highlight="bold #000000",
            points="#005f56",
            # The map cividis, darkened at its light end to be seen on light ground.
            ramp=(
                *("#00224e", "#0c2c5a", "#173767", "#244171"),
                *("#324b7a", "#3e547f", "#46587d", "#4f5d7a"),
                *("#685d25", "#6b5c15", "#6f5b05", "#725a00"),
                *("#745900", "#775800", "#795600", "#7b5500"),
            ),
            ink="#ffffff",
        )

    @classmethod
    def ansi(cls, dark: bool = True) -> Palette:
        """Returns 16 colours: the bright codes on dark ground, the plain ones on light ground."""
        bright = "bright_" if dark else ""
        # Yellow on white is unreadable, and so is blue on black.
        yellow, blue = ("bright_yellow", "bright_cyan") if dark else ("default", "blue")
        return cls(
            below=f"{bright}green",
            near=yellow,
            above=f"{bright}red",
            training=blue,
            failed=f"bold {bright}magenta",
            closed=f"{bright}green",
            level=f"{bright}magenta",
            dim="default",
            selected="reverse",
            axis="default",
            train=blue,
            held_out=yellow,
            highlight="bold default",
            points=f"{bright}green",
            ramp=(blue,) * 8 + (yellow if dark else "red",) * 8,
        )

    @classmethod
    def plain(cls) -> Palette:
        """Returns no colours but bold, dim and underline, for NO_COLOR."""
        return cls(
            below="",
            near="underline",
            above="bold",
            training="dim",
            failed="bold",
            closed="",
            level="bold",
            dim="dim",
            selected="reverse",
            axis="dim",
            train="",
            held_out="",
            highlight="bold",
            points="bold",
            ramp=("",) * 8 + ("bold",) * 8,
        )


def palette_of(app: App[Any]) -> Palette:
    """Returns the palette that goes with the theme of an application.

    With NO_COLOR in the environment it has no colours, whatever the theme.
    """
    if "NO_COLOR" in os.environ:
        return Palette.plain()
    if app.theme.startswith("ansi"):
        return Palette.ansi()
    return Palette.dark() if app.current_theme.dark else Palette.light()


def styled(pieces: Iterable[tuple[str, str]]) -> Text:
    """Returns glyphs with their styles as one text that never wraps.

    Neighbours of one style share a span, since every span costs bytes on a slow line.
    """
    text = Text(no_wrap=True, overflow="crop", end="")
    for style, run in groupby(pieces, key=lambda piece: piece[1]):
        text.append("".join(glyphs for glyphs, _ in run), style or None)
    return text


def fitting(width: int, *wordings: str) -> str:
    """Returns the first wording that fits into `width` columns, or the start of the last one."""
    for wording in wordings:
        if cell_len(wording) <= width:
            return wording
    return set_cell_size(wordings[-1], max(width, 0))
