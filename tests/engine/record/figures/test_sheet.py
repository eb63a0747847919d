"""Sheets of figures: what is written is what is read, and what is no sheet is refused."""

from __future__ import annotations

from math import inf, isnan, nan
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InputError
from engine.record.figures.kinds import KINDS
from engine.record.figures.sheet import read_sheet, table
from tests.support.sheets import ROWS, by_hand

COLUMNS = {"odd": ("part", "value", "count")}


@pytest.mark.parametrize("kind", ROWS)
def test_a_sheet_of_each_kind_is_read_as_it_was_written(kind: str, tmp_path: Path) -> None:
    path, sheet = tmp_path / "figure.csv", by_hand(kind)
    path.write_text(sheet.to_csv())
    found = read_sheet(path, {name: each.columns for name, each in KINDS.items()})
    assert found == sheet
    assert found.to_csv() == sheet.to_csv()


def test_every_kind_has_a_sheet_by_hand() -> None:
    assert set(ROWS) == set(KINDS)


def test_the_file_holds_the_facts_and_then_a_table() -> None:
    rows: list[dict[str, Any]] = [
        {"part": "a, b", "value": 0.1, "count": 3},
        {"part": None, "value": nan},
    ]
    sheet = table("odd", {"preset": "quadratic\n(mine)"}, COLUMNS["odd"], [*rows, {"value": inf}])
    assert sheet.to_csv().splitlines() == [
        "# dss-tui figure: odd",
        "# preset: quadratic (mine)",
        "part,value,count",
        '"a, b",0.1,3',
        ",,",
        ",,",
    ]


def test_a_column_is_asked_for_by_what_its_rows_hold() -> None:
    sheet = table("odd", {"x": "y"}, COLUMNS["odd"], [{"part": "a", "value": 1.5}, {"part": "b"}])
    assert sheet.numbers("value", part="a") == [1.5]
    (none,) = sheet.numbers("value", part="b")
    assert isnan(none)
    assert sheet.words("part") == ["a", "b"] and sheet.distinct("part", part="b") == ["b"]
    assert (sheet.fact("x"), sheet.fact("z", "nothing")) == ("y", "nothing")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("level,pairs\n0.1,3\n", "its first line is not `# dss-tui figure: KIND`"),
        ("# dss-tui figure: none\npart,value,count\n", "its first line is not"),
        ("# dss-tui figure: odd\npart,value\n", "has other columns than those of a figure odd"),
        ("# dss-tui figure: odd\n# a: b\npart,value,count\na,1\n", "line 4 has 2 cells, not 3"),
        ("# dss-tui figure: odd\npart,value,count\na,x,1\n", "line 3: value is 'x', not a number"),
        ("# dss-tui figure: odd\npart,value,count\na,inf,1\n", "line 3: value is 'inf'"),
        (f"# dss-tui figure: odd\npart,value,count\n{'a' * 2**18}\n", "holds no table of numbers"),
        ("", "its first line is not"),
    ],
)
def test_what_is_no_sheet_is_refused(content: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        read_sheet(path, COLUMNS)
    with pytest.raises(InputError, match="no such file"):
        read_sheet(tmp_path / "other.csv", COLUMNS)
