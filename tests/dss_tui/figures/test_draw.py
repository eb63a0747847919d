"""Figures drawn from sheets: what an SVG holds, and that nothing depends on the time."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from xml.etree import ElementTree

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.legend import Legend

from dss_tui.figures.draw import DRAWERS, encode
from dss_tui.figures.style import styled
from engine.errors import InputError
from engine.record.figures.kinds import KINDS
from engine.record.figures.sheet import Sheet
from tests.support.sheets import ROWS, by_hand

SVG = "{http://www.w3.org/2000/svg}"
MM_PER_POINT = 25.4 / 72


def tree_of(sheet: Sheet, width_mm: float = 85.0) -> ElementTree.Element:
    return ElementTree.fromstring(encode(sheet, "svg", width_mm))


def group(tree: ElementTree.Element, name: str) -> ElementTree.Element:
    """The artist of that id."""
    (found,) = [each for each in tree.iter(f"{SVG}g") if each.get("id") == name]
    return found


def points(tree: ElementTree.Element, name: str) -> list[tuple[float, float]]:
    """The places of an artist's marks on the page, rightwards and upwards."""
    marks = group(tree, name).iter(f"{SVG}use")
    return [(float(mark.get("x", "")), -float(mark.get("y", ""))) for mark in marks]


def texts(tree: ElementTree.Element) -> set[str]:
    return {"".join(each.itertext()).strip() for each in tree.iter(f"{SVG}text")}


def test_every_kind_is_drawn() -> None:
    assert set(DRAWERS) == set(KINDS)


@pytest.mark.parametrize("width_mm", [85.0, 178.0])
@pytest.mark.parametrize("kind", ROWS)
def test_a_figure_has_its_width_and_its_words_as_text(kind: str, width_mm: float) -> None:
    tree = tree_of(by_hand(kind), width_mm)
    assert float(tree.get("width", "").removesuffix("pt")) * MM_PER_POINT == pytest.approx(width_mm)
    words = {
        "levels": "beads, the ends included",
        "path": "held-out loss",
        "string": "first principal axis (90.00 % of variance)",
        "plane": "level 0.05",
        "depths": "depth of splits (0: the ends)",
        "methods": "greedy",
        "quantities": "held-out",
        "disconnectivity": "not found to be joined",
    }
    assert words[kind] in texts(tree)


@pytest.mark.parametrize("width_mm", [85.0, 178.0])
@pytest.mark.parametrize("kind", ROWS)
def test_labels_and_legends_lie_on_the_page(kind: str, width_mm: float) -> None:
    with styled():
        figure = DRAWERS[kind](by_hand(kind), width_mm)
        FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
        page = figure.bbox
        words = [each for axes in figure.axes for each in (axes.xaxis.label, axes.yaxis.label)]
        words += [axes.title for axes in figure.axes]
        told = [each for each in words if each.get_visible() and each.get_text()]
        for found in [*told, *figure.findobj(Legend)]:
            box = found.get_window_extent()
            assert page.x0 <= box.x0 and box.x1 <= page.x1, found
            assert page.y0 <= box.y0 and box.y1 <= page.y1, found


def test_points_of_levels_stand_at_their_values() -> None:
    """Beads 9, 5 and 3 at levels .02, .1 and .4, on logarithmic axes."""
    found = points(tree_of(by_hand("levels")), "measured-beads")
    (x0, y0), (x1, y1), (x2, y2) = found
    assert x0 < x1 < x2 and y0 > y1 > y2
    assert (x2 - x1) / (x1 - x0) == pytest.approx(0.8614, abs=2e-3)  # log 4 / log 5
    assert (y1 - y2) / (y0 - y1) == pytest.approx(0.8691, abs=2e-3)  # log 5/3 / log 9/5


def test_levels_show_both_lengths_the_papers_points_and_laws_and_what_failed() -> None:
    tree = tree_of(by_hand("levels"))
    assert len(points(tree, "measured-normalized-length")) == 2
    assert len(points(tree, "measured-normalized-length-weights")) == 2
    assert len(points(tree, "published-beads")) == 2
    assert group(tree, "measured-law-beads") is not None
    assert {"measured", "measured, weights alone", "paper", "not connected"} <= texts(tree)


@pytest.mark.parametrize(
    ("kind", "name", "count"),
    [
        ("path", "beads", 2),
        ("string", "beads-second", 3),
        ("string", "beads-third", 3),
        ("plane", "string", 3),
        ("plane", "corners", 3),
        ("depths", "level-0-02", 4),
        ("depths", "level-0-1", 3),
        ("methods", "pairs-greedy-connected", 1),
        ("methods", "pairs-greedy-not-connected", 1),
        ("methods", "pairs-neb-connected", 2),
        ("methods", "mean-neb", 1),
        ("quantities", "swa-loss-held-out", 3),
        ("disconnectivity", "peaks-models", 5),
    ],
)
def test_every_point_is_drawn(kind: str, name: str, count: int) -> None:
    assert len(points(tree_of(by_hand(kind), 178.0), name)) == count


def test_lines_of_a_tree_say_what_is_proven_and_what_is_not_found() -> None:
    """A path that joins 0 and 1 is proven, one that joins 4 and 5 is not, and 2 hangs alone."""
    ids = {each.get("id") for each in tree_of(by_hand("disconnectivity")).iter(f"{SVG}g")}
    assert {"peaks-0-proven", "peaks-1-proven", "peaks-4-sampled"} <= ids
    assert {"peaks-2-not-found-to-be-joined", "peaks-3-not-found-to-be-joined"} <= ids


def test_places_along_a_path_are_drawn_to_scale() -> None:
    left, right = points(tree_of(by_hand("path")), "beads")
    assert left[1] == right[1]  # both beads are at .02
    tree = tree_of(by_hand("quantities"))
    xs = [x for x, _ in points(tree, "swa-loss-training")]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], rel=1e-3)


FORMS = ("svg", "pdf", "png")

HASHES = f"""
from dataclasses import replace
from hashlib import sha256
from dss_tui.figures.draw import encode
from tests.support.sheets import by_hand
for form in {FORMS!r}:
    print(sha256(encode(by_hand("levels"), form, 85.0)).hexdigest())
"""


def test_the_same_sheet_gives_the_same_bytes() -> None:
    """In another process too, with another hash seed, time zone and day."""
    other = {"PYTHONHASHSEED": "5", "SOURCE_DATE_EPOCH": "86400", "TZ": "Asia/Tokyo"}
    there = subprocess.run(
        [sys.executable, "-c", HASHES],
        env=os.environ | other,
        capture_output=True,
        text=True,
        check=True,
    )
    here = [sha256(encode(by_hand("levels"), form, 85.0)).hexdigest() for form in FORMS]
    assert there.stdout.split() == here


@pytest.mark.parametrize("form", FORMS)
def test_a_file_tells_version_preset_and_seeds_and_no_time(form: str) -> None:
    content = encode(by_hand("path"), form, 85.0)
    if form == "pdf":
        assert b"CreationDate" not in content and b"/FontFile2" in content  # embedded TrueType
        content = content.decode("utf-16-be", "ignore").encode() + content
    for words in (b"dss-tui 9.8.7", b"quadratic", b"3 to 6"):
        assert words in content
    assert b"dc:date" not in content and b"Creation Time" not in content


def test_words_are_no_formulas() -> None:
    """What stands between dollars is drawn as it is, and what cannot be printed is left out."""
    sheet = by_hand("methods")
    odd = "$\\frac{$ an$d \x1b[31m"
    rows = tuple(tuple(odd if cell == "neb" else cell for cell in row) for row in sheet.rows)
    found = texts(tree_of(replace(sheet, rows=rows)))
    assert "$\\frac{$ an$d [31m" in found


def test_a_sheet_without_numbers_is_refused() -> None:
    for kind in ROWS:
        with pytest.raises(InputError, match=f"no numbers in this figure of {kind}"):
            encode(replace(by_hand(kind), rows=()), "svg", 85.0)
    plane = by_hand("plane")
    with pytest.raises(InputError, match="no whole grid"):
        encode(replace(plane, rows=plane.rows[1:]), "svg", 85.0)


def test_losses_that_are_all_alike_or_not_known_are_drawn() -> None:
    plane = by_hand("plane")
    for value in (0.25, None):
        rows = tuple((*row[:-1], value if row[0] == "grid" else row[-1]) for row in plane.rows)
        assert len(points(tree_of(replace(plane, rows=rows)), "corners")) == 3


def test_the_users_own_style_changes_nothing() -> None:
    before = encode(by_hand("depths"), "svg", 85.0)
    with matplotlib.rc_context({"font.size": 20, "lines.linewidth": 9, "axes.grid": True}):
        assert encode(by_hand("depths"), "svg", 85.0) == before
        assert matplotlib.rcParams["font.size"] == 20
