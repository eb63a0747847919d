"""The tree of splits of a known string."""

from __future__ import annotations

from dss_tui.tui.palette import Palette
from dss_tui.tui.widgets.landscape import LEFT
from dss_tui.tui.widgets.tree import depths, rows, tree
from tests.support.scenes import scene, segment

PALETTE = Palette.dark()
#: Bead 3 splits 1–2, beads 4 and 5 its halves, bead 6 the first quarter.
STRING = scene(
    *(segment(left, right) for left, right in ((1, 6), (6, 4), (4, 3), (3, 5), (5, 2))),
    parents={3: (1, 2), 4: (1, 3), 5: (3, 2), 6: (1, 4)},
    depths={3: 1, 4: 2, 5: 2, 6: 3},
)


def drawn(count: int, selected: int | None = None) -> list[str]:
    return [line.plain for line in tree(STRING, 21, count, PALETTE, selected)]


def test_each_bead_hangs_under_the_segment_that_it_split() -> None:
    assert drawn(5) == [
        " depth 1 ╭───────────●───────╮",
        " depth 2 ╭───────●───┬───●───╮",
        " depth 3 ╭───●───╮            ",
    ]


def test_the_last_line_takes_the_deeper_beads() -> None:
    assert drawn(2) == [
        " depth 1 ╭───────────●───────╮",
        "  2 to 3     ●   ●       ●    ",
    ]
    assert drawn(1)[0][LEFT:].count("●") == 4
    assert drawn(0) == []
    assert (depths(STRING), rows(STRING, 2)) == ([1, 2, 3], [[1], [2, 3]])


def test_a_bead_whose_neighbour_was_taken_out_has_no_bracket() -> None:
    string = scene(
        segment(1, 7), segment(7, 2), parents={7: (1, 4), 9: (1, 2)}, depths={7: 2, 9: 1}
    )
    (line,) = tree(string, 21, 3, PALETTE, None)
    assert line.plain == " depth 2           ●          "


def test_the_selected_bead_is_marked() -> None:
    marked = [
        line.plain[span.start : span.end]
        for line in tree(STRING, 21, 3, PALETTE, 4)
        for span in line.spans
        if PALETTE.selected in str(span.style)
    ]
    assert marked == ["●"]
