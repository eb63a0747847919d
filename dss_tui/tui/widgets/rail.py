"""Draws a string as a line of beads at their true distances, with the states of its segments."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan

from rich.text import Text

from dss_tui.tui.palette import Palette, styled
from dss_tui.viewing.scene import Scene
from engine.record.progress import SegmentProgress

Piece = tuple[str, str]

#: The glyphs of a bead: at or below the level, above it, and of a loss that is not known.
BEADS = BELOW, ABOVE, UNKNOWN = "●", "▲", "○"


def column(share: float, columns: int) -> int:
    """Returns the column of a share of the length."""
    return min(max(int(share * columns), 0), columns - 1)


def crowd(scene: Scene, columns: int) -> int:
    """Returns the largest number of beads that share a column."""
    at = [column(share, columns) for share in scene.at]
    return max(map(at.count, set(at)))


def rail(scene: Scene, columns: int, selected: int | None, palette: Palette) -> Text:
    """Returns a line such as ●━━●┅┅◌┅┅●┅╳┅●═════● of `columns` glyphs.

    Beads stand in the columns of their places. A column that several beads or segments share shows
    the worst of their states. `selected` counts beads and segments in turn from 0, so that even
    numbers are beads and odd ones segments; its columns are marked.
    """
    cells: list[tuple[int, Piece]] = [(-2, (" ", ""))] * columns
    marked: set[int] = set()
    for number, (at, badness, piece) in enumerate(_items(scene, columns, palette)):
        for place, glyph in zip(at, piece[0], strict=True):
            if badness > cells[place][0]:
                cells[place] = badness, (glyph, piece[1])
        if number == selected:
            marked = set(at)
    return styled(
        (glyph, f"{style} {palette.selected}".strip() if place in marked else style)
        for place, (_, (glyph, style)) in enumerate(cells)
    )


def _items(scene: Scene, columns: int, palette: Palette) -> Iterator[tuple[range, int, Piece]]:
    """Yields columns, badness and glyphs of each bead and of the segment after it, in turn.

    The badness grows in the order: closed, bead, open, training, bead above the level, failed.
    """
    at = [column(share, columns) for share in scene.at]
    for number, (here, loss) in enumerate(zip(at, scene.losses, strict=True)):
        piece = bead_piece(loss / scene.bound, palette)
        yield range(here, here + 1), 4 if piece[0] == ABOVE else 1, piece
        if number < len(scene.segments):
            between = range(here + 1, at[number + 1])
            between = between if len(between) else range(here, here + 1)
            segment = scene.segments[number]
            badness = {"closed": 0, "open": 2, "training": 3, "failed": 5}[segment.state]
            yield between, badness, _link(segment, len(between), scene.bound, palette)


def bead_piece(over_bound: float, palette: Palette) -> Piece:
    """Returns the glyph and the style of a bead, by its loss as a multiple of the bound."""
    glyph = UNKNOWN if isnan(over_bound) else ABOVE if over_bound > 1 else BELOW
    return glyph, palette.of_ratio(over_bound)


def _link(segment: SegmentProgress, width: int, bound: float, palette: Palette) -> Piece:
    """Returns the glyphs of a segment with their style."""
    style = palette.of_ratio(segment.peak / bound)
    match segment.state:
        case "closed":
            return ("━" if segment.bound is None else "═") * width, style
        case "training":
            return "◌".center(width, "┅"), palette.training
        case "failed":
            return "╳".center(width, "┅"), palette.failed
    return "┅" * width, style
