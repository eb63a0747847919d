"""Makes the matrix of pairs and levels, and the tree, of components from what is known of them."""

from __future__ import annotations

from collections.abc import Sequence

from dss_tui.tui.palette import Palette
from dss_tui.tui.sweep_parts import GLYPHS as OF_CELLS
from dss_tui.tui.sweep_parts import UNKNOWN
from dss_tui.tui.widgets.matrix import Mark, MatrixData, MatrixRow
from dss_tui.viewing.components import JOINED, NO_MODEL, NOT_FOUND, NOT_SEARCHED, WORDS
from dss_tui.viewing.glossary import Glyph
from dss_tui.viewing.words import plus_minus, thousands
from engine.record.components_tables import ComponentsRow
from engine.record.sweeps import LevelState, SweepView

#: The glyph of each state of a pair at a level, and the role of its style in the palette.
GLYPHS = {
    **{WORDS.get(word, word): glyph for word, glyph in OF_CELLS.items()},
    NOT_FOUND: ("╳", "failed"),
    JOINED: ("=", "closed"),
    "waiting": ("◦", "near"),
    "stopped": ("‖", "dim"),
    NOT_SEARCHED: ("·", "dim"),
    NO_MODEL: (" ", "dim"),
}
#: Those glyphs with their meanings, for the help.
LEGEND = tuple(
    Glyph(glyph, word, f"a pair of models: {word}")
    for word, (glyph, _) in GLYPHS.items()
    if glyph != " "
)
#: The titles of what is said of a level.
TITLES = ("components", "found", "beads ± s.e.", "median steps")


def mark(word: str, palette: Palette) -> Mark:
    """Returns the mark of a pair's state."""
    glyph, role = GLYPHS.get(word, UNKNOWN)
    return Mark(glyph, getattr(palette, role))


def matrix(view: SweepView, words: Sequence[Sequence[str]], palette: Palette) -> MatrixData:
    """Returns the matrix: a row for each level, a column for each pair of models.

    `words` are those of each level's pairs.
    """
    plan = view.plan
    return MatrixData(
        "level" if plan is None else plan.axis,
        () if plan is None else plan.columns,
        TITLES,
        tuple(
            MatrixRow(level.row.label, tuple(mark(word, palette) for word in here), _facts(level))
            for level, here in zip(view.levels, words, strict=True)
        ),
    )


def _facts(level: LevelState) -> tuple[str, ...]:
    """Returns what is said of a level, in the order of its titles."""
    row = level.row
    assert isinstance(row, ComponentsRow)
    count = len(row.components)
    return (
        "–" if not count else f"≤ {count}" if count > 1 else "1",
        f"{row.connected}/{row.pairs}",
        plus_minus(row.beads, 1),
        thousands(round(row.median_bead_steps)) if row.pairs else "–",
    )


def legend_of(words: Sequence[Sequence[str]], palette: Palette) -> list[tuple[Mark, str]]:
    """Returns the marks that the matrix holds, each with its meaning."""
    here = {word for level in words for word in level} - {NO_MODEL}
    known = [word for word in GLYPHS if word in here]
    return [(mark(word, palette), word) for word in (*known, *sorted(here - GLYPHS.keys()))]
