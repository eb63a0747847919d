"""The widget that puts landscape, rail and tree together, as lines of text."""

from __future__ import annotations

import math

import pytest
from rich.cells import cell_len

from dss_tui.tui.palette import Palette
from dss_tui.tui.widgets.arc import Layout, Shown, columns_of, picture, spot
from dss_tui.tui.widgets.landscape import LEFT
from dss_tui.viewing.scene import Scene
from tests.support.scenes import HILL, scene, segment

PALETTE = Palette.dark()
STRING = scene(
    segment(1, 3, 2.0),
    segment(3, 2, 2.0, profile=HILL, state="open"),
    parents={3: (1, 2)},
    depths={3: 1},
)


def lines(shown: Scene, width: int, height: int, *, legend: bool = True) -> list[str]:
    drawn = picture(
        Shown(shown, "training loss", 1, shown.cursor(1, None), False, legend, PALETTE),
        width,
        height,
    )
    return [line.plain for line in drawn]


@pytest.mark.parametrize("size", [(40, 4), (58, 8), (78, 12), (138, 25), (198, 45)])
def test_every_size_is_filled_and_not_exceeded(size: tuple[int, int]) -> None:
    width, height = size
    drawn = lines(STRING, width, height)
    assert len(drawn) == height
    assert all(cell_len(line) <= width for line in drawn)
    assert sum("θ₁" in line and "θ₂" in line for line in drawn) == 1
    assert not [line for line in drawn if len(line.strip()) == 1]  # no lone glyph


def test_the_parts_line_up() -> None:
    drawn = lines(STRING, 78, 14)
    rail = next(line for line in drawn if "θ₁" in line)
    tree = next(line for line in drawn if "depth 1" in line)
    bead = rail.index("●", LEFT + 1)
    assert tree[bead] == "●" and bead == LEFT + columns_of(78) // 2
    highest = next(line for line in drawn if set(line) & set("▁▂▃▄▅▆▇█"))
    peak = [x for x, glyph in enumerate(highest) if glyph in "▁▂▃▄▅▆▇█"]
    assert LEFT + 3 * columns_of(78) // 4 in peak  # the hill of the second segment


def test_what_is_left_out_is_said() -> None:
    lost = scene(segment(1, 3, math.nan), segment(3, 2), whole=False)
    title = lines(lost, 160, 14)[0]
    assert "as far as events tell it" in title and "distances are not known" in title
    many = scene(*(segment(k, k + 1) for k in range(1, 300)))
    assert "beads a column" in lines(many, 138, 14)[0]
    assert "beads a column" not in lines(STRING, 138, 14)[0]
    falling = scene(segment(1, 2, profile=HILL), level=0.012, aim=0.024)
    assert "aim 0.024 → 0.012" in lines(falling, 78, 14)[0]


@pytest.mark.parametrize("height", range(1, 60))
@pytest.mark.parametrize("depths", [0, 1, 4, 14])
def test_a_layout_uses_its_lines(height: int, depths: int) -> None:
    layout = Layout.of(height, depths, legend=True)
    parts = (layout.title, layout.landscape, layout.tree, layout.legend)
    assert all(part >= 0 for part in parts) and sum(parts) + 1 == height
    assert layout.tree <= depths
    if height >= 12 and depths >= 3:
        assert layout.tree >= 3 and layout.landscape >= 5


def test_a_place_on_the_axis_is_hit() -> None:
    columns = columns_of(78)
    bead = spot(STRING, LEFT + columns // 2, 78, True)
    assert bead is not None and bead.bead == 1
    beside = spot(STRING, LEFT + columns // 2, 78, False)
    assert beside is not None and beside.bead is None
    assert beside.share == pytest.approx(0.5, abs=1 / columns)
    assert spot(STRING, LEFT - 1, 78, True) is None
    assert spot(STRING, LEFT + columns, 78, True) is None
