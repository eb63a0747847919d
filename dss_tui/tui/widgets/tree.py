"""Draws the tree of splits: a line for each depth, with each bead below the segment it split."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from dss_tui.tui.palette import Palette, styled
from dss_tui.tui.widgets.landscape import LEFT
from dss_tui.tui.widgets.rail import bead_piece, column
from dss_tui.viewing.scene import Scene


def depths(scene: Scene) -> list[int]:
    """Returns the depths at which the string has beads that were put in, in order."""
    known = {scene.depths[bead] for bead in scene.beads if bead in scene.depths}
    return sorted(depth for depth in known if depth > 0)


def rows(scene: Scene, count: int) -> list[list[int]]:
    """Returns the depths that each of at most `count` lines shows; the last one takes the rest."""
    each = [[depth] for depth in depths(scene)]
    if len(each) <= count:
        return each
    return [*each[: count - 1], [depth for row in each[count - 1 :] for depth in row]]


def tree(
    scene: Scene, columns: int, count: int, palette: Palette, selected: int | None
) -> list[Text]:
    """Returns at most `count` lines of the tree of splits, each with its depth at the left.

    A bead stands in its column, under a bracket from one of the beads to the other between which
    it was put. The last line gathers the deeper beads, without brackets, where they have no lines.
    """
    if count <= 0:
        return []
    chosen = scene.beads[selected // 2] if selected is not None and selected % 2 == 0 else None
    at = {bead: column(share, columns) for bead, share in zip(scene.beads, scene.at, strict=True)}
    return [_row(scene, shown, at, columns, palette, chosen) for shown in rows(scene, count)]


def _row(
    scene: Scene,
    shown: list[int],
    at: dict[int, int],
    columns: int,
    palette: Palette,
    chosen: int | None,
) -> Text:
    """Returns the line of some depths."""
    glyphs = [(" ", "")] * columns
    beads = [bead for bead in scene.beads if scene.depths.get(bead) in shown]
    if len(shown) == 1:
        _join_to_parents(glyphs, [scene.parents[bead] for bead in beads], at, palette.dim)
    losses = dict(zip(scene.beads, scene.losses, strict=True))
    for bead in beads:
        glyph, style = bead_piece(losses[bead] / scene.bound, palette)
        style = f"{style} {palette.selected}".strip() if bead == chosen else style
        glyphs[at[bead]] = (glyph, style)
    label = f"depth {shown[0]}" if len(shown) == 1 else f"{shown[0]} to {shown[-1]}"
    return styled([(f"{label:>{LEFT - 1}} ", palette.axis), *glyphs])


def _join_to_parents(
    glyphs: list[tuple[str, str]],
    parents: Sequence[tuple[int, int]],
    at: dict[int, int],
    style: str,
) -> None:
    """Draws the brackets between pairs of parents of which both are on the string."""
    for pair in parents:
        left, right = (at.get(parent) for parent in pair)
        if left is not None and right is not None:
            _bracket(glyphs, min(left, right), max(left, right), style)


def _bracket(glyphs: list[tuple[str, str]], left: int, right: int, style: str) -> None:
    """Draws a bracket from one column to another, joined to those beside it."""
    for column_ in range(left, right + 1):
        if glyphs[column_][0] == " ":
            glyphs[column_] = ("─", style)
    for end, corner in ((left, "╭"), (right, "╮")):
        glyphs[end] = (corner if glyphs[end][0] in " ─" else "┬", style)
