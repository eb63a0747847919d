"""The rail at stated widths: true distances, states by glyph, and what is selected."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from dss_tui.tui.palette import Palette
from dss_tui.tui.widgets.rail import column, crowd, rail
from dss_tui.viewing.scene import Scene
from engine.record.progress import SegmentProgress
from tests.support.scenes import HILL, scene, segment

PALETTE = Palette.dark()


def drawn(shown: Scene, columns: int) -> str:
    return rail(shown, columns, None, PALETTE).plain


def test_beads_stand_at_their_true_distances_with_the_states_between() -> None:
    string = scene(
        segment(1, 5, 6.0),
        segment(5, 4, 4.0, bound=0.0195),
        segment(4, 6, 5.0, state="open", profile=HILL),
        segment(6, 3, 4.0, state="training", bead=9),
        segment(3, 2, 3.0, state="failed", profile=HILL),
    )
    assert drawn(string, 23) == "●━━━━━●═══●┅┅┅┅●┅◌┅●╳┅●"


def test_beads_above_the_level_and_of_unknown_loss_differ_by_glyph() -> None:
    string = scene(segment(1, 3), segment(3, 2), losses=(0.05, math.nan, 0.01))
    assert drawn(string, 9) == "▲━━━○━━━●"


@pytest.mark.parametrize(
    ("state", "more", "glyph"),
    [("failed", {}, "╳"), ("training", {"bead": 9}, "◌"), ("open", {}, "┅")],
)
def test_a_state_is_seen_even_where_its_segment_has_no_column(
    state: str, more: dict[str, Any], glyph: str
) -> None:
    tiny = segment(5, 4, 1e-3, state=state, **more)
    assert glyph in drawn(scene(segment(1, 5), tiny, segment(4, 2)), 30)


def test_the_worst_of_those_that_share_a_column_is_seen() -> None:
    many: list[SegmentProgress] = [segment(k, k + 1, 1.0) for k in range(10, 210)]
    many[120] = segment(130, 131, 1.0, state="failed", profile=HILL)
    shown = scene(*many)
    line = drawn(shown, 40)
    assert len(line) == 40 and line.count("╳") == 1 and abs(line.index("╳") - 24) <= 1
    assert crowd(shown, 40) >= 5


def test_the_selected_item_is_marked() -> None:
    string = scene(segment(1, 3, 4.0), segment(3, 2, 4.0))
    for selected, marked in ((0, {0}), (1, {1, 2, 3}), (2, {4}), (3, {5, 6, 7}), (4, {8})):
        line = rail(string, 9, selected, PALETTE)
        found = {
            at
            for span in line.spans
            if PALETTE.selected in str(span.style)
            for at in range(span.start, span.end)
        }
        assert found == marked
    assert not any("reverse" in str(s.style) for s in rail(string, 9, None, PALETTE).spans)


def test_any_string_fills_its_columns() -> None:
    draw = random.Random(5)
    for _ in range(200):
        count, columns = draw.randint(1, 60), draw.randint(10, 120)
        states = draw.choices(["closed", "open", "training", "failed"], k=count)
        string = scene(
            *(segment(k, k + 1, draw.expovariate(1), state=s) for k, s in enumerate(states, 1))
        )
        line = drawn(string, columns)
        assert len(line) == columns and " " not in line
        for state, glyph in (("failed", "╳"), ("training", "◌")):
            if state in states and state == "failed":
                assert glyph in line
        assert column(1.0, columns) == columns - 1
