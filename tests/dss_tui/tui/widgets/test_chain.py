"""The string as text at stated widths."""

from __future__ import annotations

import math
import random
from typing import Literal, get_args

import pytest
from rich.cells import cell_len
from rich.text import Text

from dss_tui.tui.palette import Palette
from dss_tui.tui.widgets.chain import Bead, Link, chain

State = Literal["closed", "open", "training", "failed"]

PALETTE = Palette.dark()
STATES: tuple[State, ...] = ("closed", "open", "training", "failed", "closed")
BEADS = [Bead(at, loss) for at, loss in enumerate((0.5, 0.95, 1.2, math.nan, 0.7, 0.8))]
LINKS = [Link(state, 1.3) for state in STATES]


def lines(text: Text) -> list[str]:
    return text.plain.split("\n")


def style_of(text: Text, glyph_at: int) -> str:
    return " ".join(str(s.style) for s in text.spans if s.start <= glyph_at < s.end)


def even(count: int, state: State = "closed") -> tuple[list[Bead], list[Link]]:
    return [Bead(at, 0.5) for at in range(count)], [Link(state, 0.8)] * (count - 1)


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (100, ["θ₁ ●━━━━━━●┅┅┅┅┅┅▲┅┅◌┅┅┅●┅┅╳┅┅┅●━━━━━━● θ₂"]),
        (30, ["θ₁ ●━━━●┅┅┅▲┅◌┅●┅╳┅●━━━● θ₂"]),
        (27, ["θ₁ ●━━━●┅┅┅▲┅◌┅●┅╳┅●━━━● θ₂"]),
        (26, ["θ₁ ●━━●┅┅▲◌┅●╳┅●━━● θ₂"]),
        (17, ["θ₁ ●━●┅▲◌●╳●━● θ₂"]),
        (16, ["θ₁ ●━━●┅┅▲◌┅", " ↳ ●╳┅●━━● θ₂"]),
        (10, ["θ₁ ●━●┅", " ↳ ▲◌●╳", " ↳ ●━● θ₂"]),
    ],
)
def test_links_shrink_and_then_rows_wrap(width: int, expected: list[str]) -> None:
    assert lines(chain(BEADS, LINKS, width, None, PALETTE)) == expected


def test_first_beads() -> None:
    assert chain([], [], 60, None, PALETTE).plain == "no beads yet: endpoints in training"
    assert chain([], [], 20, 0, PALETTE).plain == "no beads yet"
    assert chain(*even(1), 60, None, PALETTE).plain == "θ₁ ● θ₂"
    assert chain(*even(2, "training"), 60, None, PALETTE).plain == "θ₁ ●┅┅◌┅┅┅● θ₂"


def test_too_long_a_string_is_folded_and_says_so() -> None:
    beads, links = even(200)
    assert lines(chain(beads, links, 56, None, PALETTE)) == [
        "θ₁ " + "●" * 50,
        " ↳ " + "●" * 50 + " θ₂",
        "1 glyph = 2 beads",
    ]
    assert lines(chain(*even(6), 10, None, PALETTE, rows=2)) == ["θ₁ ●●● θ₂", "2 beads"]
    assert lines(chain(*even(4), 10, None, PALETTE, rows=1)) == ["θ₁ ●●●● θ₂", "1 = 1 bead"]


@pytest.mark.parametrize(
    ("bead_loss", "state", "glyph"),
    [
        (0.5, "closed", "●"),
        (0.5, "open", "┅"),
        (0.5, "training", "◌"),
        (1.2, "closed", "▲"),
        (1.2, "training", "▲"),
        (1.2, "failed", "╳"),
        (math.nan, "closed", "●"),
        (math.nan, "open", "┅"),
    ],
)
@pytest.mark.parametrize("at", [60, 61])
def test_a_glyph_that_stands_for_several_shows_the_worst(
    bead_loss: float, state: State, glyph: str, at: int
) -> None:
    beads, links = even(200)
    beads[at], links[at] = Bead(at, bead_loss), Link(state, 0.8)
    first, second, _ = lines(chain(beads, links, 56, None, PALETTE))
    assert first == "θ₁ " + "●" * 30 + glyph + "●" * 19
    assert second == " ↳ " + "●" * 50 + " θ₂"


@pytest.mark.parametrize("worse", [1, 2, 3])
def test_failed_is_worse_than_training_and_that_than_open(worse: int) -> None:
    order: tuple[State, ...] = ("closed", "open", "training", "failed")
    for at in (60, 61):
        beads, links = even(200)
        links[60:62] = [Link(order[worse - 1], 0.8)] * 2
        links[at] = Link(order[worse], 0.8)
        assert chain(beads, links, 56, None, PALETTE).plain[33] == "●┅◌╳"[worse]


def test_folded_colour_is_that_of_the_worst_bead() -> None:
    beads, links = even(200)
    beads[61] = Bead(61, 0.95)
    text = chain(beads, links, 56, None, PALETTE)
    assert style_of(text, text.plain.index("●") + 30) == PALETTE.near


@pytest.mark.parametrize("selected", range(11))
def test_what_is_selected_is_reversed(selected: int) -> None:
    text = chain(BEADS, LINKS, 17, selected, PALETTE)
    first = text.plain.index("●")
    reversed_at = [at for at in range(len(text.plain)) if "reverse" in style_of(text, at)]
    assert reversed_at == [first + selected]


def test_a_selected_link_is_reversed_in_full() -> None:
    text = chain(BEADS, LINKS, 100, 3, PALETTE)
    spans = [span for span in text.spans if "reverse" in str(span.style)]
    assert [text.plain[span.start : span.end] for span in spans] == ["┅┅┅┅┅┅"]


def test_a_selection_within_a_folded_glyph_is_reversed() -> None:
    text = chain(*even(200), 56, 2 * 61 + 1, PALETTE)
    spans = [span for span in text.spans if "reverse" in str(span.style)]
    assert [(span.start, span.end) for span in spans] == [(33, 34)]


@pytest.mark.parametrize("selected", [None, -1, 11, 1000])
def test_nothing_else_is_reversed(selected: int | None) -> None:
    text = chain(BEADS, LINKS, 60, selected, PALETTE)
    assert not [span for span in text.spans if "reverse" in str(span.style)]


def test_losses_are_coloured_by_the_level() -> None:
    text = chain(BEADS, LINKS, 17, None, PALETTE)
    first = text.plain.index("●")
    assert [style_of(text, first + at) for at in range(11)] == [
        PALETTE.below,
        PALETTE.closed,
        PALETTE.near,
        PALETTE.above,
        PALETTE.above,
        PALETTE.training,
        PALETTE.dim,
        PALETTE.failed,
        PALETTE.below,
        PALETTE.closed,
        PALETTE.below,
    ]


def test_states_are_told_apart_without_colour() -> None:
    glyphs = {chain(*even(2, state), 9 + 1, None, Palette.plain()).plain for state in STATES}
    assert len(glyphs) == 4
    above = [Bead(0, 1.01), Bead(1, 0.5)]
    assert chain(above, [LINKS[0]], 10, None, Palette.plain()).plain == "θ₁ ▲━━● θ₂"


def test_every_bead_wants_a_link_to_the_next() -> None:
    with pytest.raises(ValueError, match="6 beads need 5 links, not 4"):
        chain(BEADS, LINKS[:-1], 60, None, PALETTE)


def test_no_line_is_wider_and_no_row_too_many_whatever_comes() -> None:
    chance = random.Random(5)
    for _ in range(1500):
        count, width = chance.randrange(400), chance.randrange(140)
        rows = chance.randrange(2, 6)
        beads = [Bead(at, chance.choice([0.3, 0.95, 1.4, math.nan])) for at in range(count)]
        links = [
            Link(chance.choice(get_args(State)), chance.choice([0.8, 1.4, math.nan]))
            for _ in range(count - 1)
        ]
        selected = chance.choice([None, chance.randrange(2 * count + 2)])
        shown = lines(chain(beads, links, width, selected, PALETTE, rows))
        assert max(map(cell_len, shown)) <= width
        assert len(shown) <= rows


def test_no_bead_is_left_out() -> None:
    for count in range(1, 150):
        beads, links = even(count)
        shown = chain(beads, links, 60, None, PALETTE).plain
        fold = 1
        if "glyph" in shown:
            fold = int(shown.rsplit("= ", 1)[1].split()[0])
        assert shown.count("●") == -(-count // fold)
        assert shown.count("θ₁") == shown.count("θ₂") == 1
