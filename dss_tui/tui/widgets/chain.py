"""Draws the whole string from end to end: beads, the links between them, and their states."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.text import Text

from dss_tui.tui.palette import Palette, fitting, styled

Piece = tuple[str, str]
"""A few glyphs and their style."""

LONGEST_LINK = 6
"""The columns of a link where there is room."""

HEAD, TAIL, AGAIN = "θ₁ ", " θ₂", " ↳ "
"""The marks before the first row, after the last row, and before every further row."""


@dataclass(frozen=True)
class Bead:
    """A bead on the string, as it is drawn."""

    id: int
    loss_over_bound: float
    """The loss divided by (1 + tolerance) × level; NaN while not known."""


@dataclass(frozen=True)
class Link:
    """The segment between a bead and the next, as it is drawn."""

    state: Literal["closed", "open", "training", "failed"]
    peak_over_bound: float
    """The highest loss along it, divided by (1 + tolerance) × level; NaN while not known."""
    proven: bool = False
    """Whether the loss along it is proven to stay below the level for every t."""


@dataclass(frozen=True)
class _Layout:
    """The numbers of rows and columns of a drawn string."""

    rows: int
    per_row: int
    """The number of cells in a full row: beads with their links, or glyphs for several beads."""
    link: int
    """The columns of a link, or 0 where links are folded into the glyphs."""
    fold: int
    """The number of beads that one glyph stands for."""


def chain(
    beads: Sequence[Bead],
    links: Sequence[Link],
    width: int,
    selected: int | None,
    palette: Palette,
    rows: int = 3,
) -> Text:
    """Returns a string such as θ₁ ●━━●┅┅●┅◌┅●┅╳┅●━━● θ₂ in at most `rows` lines of `width` columns.

    ● is a bead up to the level with its tolerance, and ▲ a bead above. ═ is a proven link, ━ one
    that sampling closed, ┅ an open one, ◌ one whose new bead is in training, and ╳ one given up.
    `selected` counts beads and links in turn from 0, so that even numbers are beads and odd ones
    links. Where the rows do not hold the string, a glyph stands for several neighbours and shows
    the worst state among them. A line below then says so, also where `rows` is 1. Raises ValueError
    where beads and links do not fit each other in number.
    """
    if len(links) != max(len(beads) - 1, 0):
        raise ValueError(
            f"{len(beads)} beads need {max(len(beads) - 1, 0)} links, not {len(links)}"
        )
    if not beads:
        words = ("no beads yet: endpoints in training", "no beads yet", "no beads")
        return styled([(fitting(width, *words), palette.dim)])
    if width < 10:
        return styled([(fitting(width, f"{len(beads)} beads"), palette.dim)])
    layout = _layout(len(beads), width, rows)
    if layout.link:
        cells = list(_cells(beads, links, layout.link, selected, palette))
        return styled(_rows(cells, layout))
    folded = list(_folded(beads, links, layout.fold, selected, palette))
    return styled([*_rows(folded, layout), ("\n", ""), _caption(layout.fold, width, palette)])


def _layout(beads: int, width: int, rows: int) -> _Layout:
    """Returns the layout with the fewest rows, and then the longest links, that holds the beads.

    Where no layout does, glyphs stand for several beads.
    """
    room = width - len(HEAD) - len(TAIL)
    for count in range(1, rows + 1):
        for link in range(LONGEST_LINK, 0, -1):
            full, last = room // (1 + link), (room + link) // (1 + link)
            if (count - 1) * full + last >= beads:
                evenly = -(-beads // count)
                return _Layout(count, evenly if count == 1 else min(evenly, full), link, 1)
    most = max(rows - 1, 1)
    fold = -(-beads // (room * most))
    glyphs = -(-beads // fold)
    per_row = -(-glyphs // most)
    return _Layout(-(-glyphs // per_row), per_row, 0, fold)


def _rows(cells: Sequence[list[Piece]], layout: _Layout) -> Iterator[Piece]:
    """Yields the cells in rows, with the names of the ends."""
    for row in range(layout.rows):
        yield (HEAD if row == 0 else f"\n{AGAIN}"), ""
        for cell in cells[row * layout.per_row : (row + 1) * layout.per_row]:
            yield from cell
    yield TAIL, ""


def _cells(
    beads: Sequence[Bead],
    links: Sequence[Link],
    length: int,
    selected: int | None,
    palette: Palette,
) -> Iterator[list[Piece]]:
    """Yields each bead together with the link that follows it."""
    for at, bead in enumerate(beads):
        cell = [_marked(_bead(bead, palette), selected == 2 * at, palette)]
        if at < len(links):
            link = _link(links[at], length, palette)
            cell.append(_marked(link, selected == 2 * at + 1, palette))
        yield cell


def _folded(
    beads: Sequence[Bead],
    links: Sequence[Link],
    fold: int,
    selected: int | None,
    palette: Palette,
) -> Iterator[list[Piece]]:
    """Yields a glyph for `fold` beads and the links after them, with the worst of their states."""
    for start in range(0, len(beads), fold):
        here = range(start, start + fold)
        states: list[Bead | Link] = [*beads[start : start + fold], *links[start : start + fold]]
        worst = max(states, key=_badness)
        piece = _bead(worst, palette) if isinstance(worst, Bead) else _link(worst, 1, palette)
        yield [_marked(piece, selected is not None and selected // 2 in here, palette)]


def _badness(item: Bead | Link) -> float:
    """Returns a number that grows from good to bad states.

    The order is: below the level, open, training, above the level, failed. A closed link is never
    worse than a bead, so a stretch that is done shows a bead.
    """
    if isinstance(item, Bead):
        loss = 0.0 if math.isnan(item.loss_over_bound) else item.loss_over_bound
        return 4.0 if loss > 1 else max(loss, 0.0)
    return {"closed": -1, "open": 2, "training": 3, "failed": 5}[item.state]


def _bead(bead: Bead, palette: Palette) -> Piece:
    """Returns the glyph of a bead with its style."""
    glyph = "▲" if bead.loss_over_bound > 1 else "●"
    return glyph, palette.of_loss(bead.loss_over_bound)


def _link(link: Link, length: int, palette: Palette) -> Piece:
    """Returns the glyphs of a link with their style."""
    match link.state:
        case "closed":
            return ("═" if link.proven else "━") * length, palette.closed
        case "open":
            return "┅" * length, palette.of_loss(link.peak_over_bound)
        case "training":
            return "◌".center(length, "┅"), palette.training
        case "failed":
            return "╳".center(length, "┅"), palette.failed


def _marked(piece: Piece, selected: bool, palette: Palette) -> Piece:
    """Returns a piece, with the style of a selection laid over its own if it is selected."""
    glyphs, style = piece
    return (glyphs, f"{style} {palette.selected}".strip()) if selected else piece


def _caption(fold: int, width: int, palette: Palette) -> Piece:
    """Returns the line that says how many beads a glyph stands for."""
    beads = "1 bead" if fold == 1 else f"{fold} beads"
    return fitting(width, f"1 glyph = {beads}", f"1 = {beads}", beads), palette.dim
