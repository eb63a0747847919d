"""Palettes: readable on their ground, and without colour where there is none."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from rich.cells import cell_len
from rich.color import Color
from rich.style import Style

from dss_tui.tui.palette import STEPS, Palette, fitting, styled
from tests.support.imports import imported_by

PALETTES = [
    Palette.dark(),
    Palette.light(),
    Palette.ansi(),
    Palette.ansi(dark=False),
    Palette.plain(),
]


def luminance(color: Color) -> float:
    """Relative luminance of WCAG 2."""
    channels = (channel / 255 for channel in color.get_truecolor())
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Color, other: Color) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def styles(palette: Palette) -> dict[str, str]:
    """Every style by its role, those of the ramp by their numbers."""
    roles = asdict(palette)
    del roles["ink"]  # it stands on the ramp
    steps = {f"ramp {number}": style for number, style in enumerate(roles.pop("ramp"))}
    return roles | steps


@pytest.mark.parametrize("palette", PALETTES)
def test_every_role_is_a_style_of_rich(palette: Palette) -> None:
    for style in styles(palette).values():
        assert Style.parse(style).bgcolor is None


@pytest.mark.parametrize(
    ("palette", "ground"),
    [(Palette.dark(), "#121212"), (Palette.dark(), "#2b2e3b"), (Palette.light(), "#d8d8d8")],
)
def test_colours_stand_out_from_the_ground(palette: Palette, ground: str) -> None:
    colors = {role: Style.parse(style).color for role, style in styles(palette).items()}
    assert colors.pop("selected") is None
    for role, color in colors.items():
        assert color is not None, role
        assert contrast(color, Color.parse(ground)) >= 4.5, role


def test_sixteen_colours_avoid_what_cannot_be_read() -> None:
    for palette, unreadable in (
        (Palette.ansi(), {"black", "blue", "bright_black", "red", "green"}),
        (Palette.ansi(dark=False), {"white", "yellow", "bright_white", "bright_yellow"}),
    ):
        for role, style in styles(palette).items():
            color = Style.parse(style).color
            assert color is None or color.name not in unreadable, role
            assert color is None or color.is_default or (color.number or 0) < 16, role


def test_plain_has_no_colours() -> None:
    assert all(Style.parse(style).color is None for style in styles(Palette.plain()).values())


@pytest.mark.parametrize("palette", PALETTES)
def test_good_and_bad_differ(palette: Palette) -> None:
    assert len({palette.below, palette.near, palette.above}) == 3
    assert palette.closed not in {palette.failed, palette.training}


def test_style_of_a_loss() -> None:
    palette = Palette.dark()
    styles = [palette.of_loss(loss) for loss in (0.0, 0.89, 0.9, 1.0, 1.001, float("inf"))]
    near, below, above = palette.near, palette.below, palette.above
    assert styles == [below, below, near, near, above, above]
    assert palette.of_loss(float("nan")) == palette.dim


def test_neighbours_of_one_style_share_a_span() -> None:
    text = styled([("a", "bold"), ("b", "bold"), ("c", ""), ("d", "bold")])
    assert text.plain == "abcd"
    assert [(span.start, span.end, span.style) for span in text.spans] == [
        (0, 2, "bold"),
        (3, 4, "bold"),
    ]


def test_the_first_wording_that_fits() -> None:
    assert fitting(9, "ten beads!", "ten beads", "10") == "ten beads"
    assert fitting(4, "ten beads!", "ten beads") == "ten "
    assert fitting(0, "ten") == fitting(-3, "ten") == ""
    assert cell_len(fitting(3, "日本語")) == 3


def test_renderers_are_light() -> None:
    modules = ("palette", "plots", "widgets.sparkline")
    code = "\n".join(f"import dss_tui.tui.{module}" for module in modules)
    assert not imported_by(code) & {"torch", "textual", "plotext", "numpy"}
    along = ("landscape", "rail", "tree", "selection", "head", "card")
    code = "\n".join(f"import dss_tui.tui.widgets.{module}" for module in along)
    assert not imported_by(code) & {"torch", "textual", "plotext"}


@pytest.mark.parametrize("palette", PALETTES)
def test_a_ramp_tells_both_sides_of_the_level_apart(palette: Palette) -> None:
    assert len(palette.ramp) == len(STEPS) + 1
    assert palette.of_ratio(1.0) == palette.ramp[7] != palette.ramp[8] == palette.of_ratio(1.0001)
    assert not set(palette.ramp[:8]) & set(palette.ramp[8:])
    assert palette.of_ratio(float("nan")) == palette.dim


def test_a_ramp_grows_lighter_as_far_as_its_ground_allows() -> None:
    for ramp in (Palette.dark().ramp, Palette.light().ramp[:8]):
        lights = [luminance(Color.parse(style)) for style in ramp]
        assert lights == sorted(lights) and lights[0] < lights[-1]


def test_a_glyph_stands_out_from_every_colour_that_fills_an_area() -> None:
    assert [palette.in_colour for palette in PALETTES].count(True) == 2
    for palette in filter(lambda palette: palette.in_colour, PALETTES):
        ink = luminance(Color.parse(palette.ink))
        for colour in palette.ramp:
            dark, light = sorted((ink, luminance(Color.parse(colour))))
            assert (light + 0.05) / (dark + 0.05) > 4.5  # readable, as WCAG has it
