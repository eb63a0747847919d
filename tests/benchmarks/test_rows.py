"""Rows of a benchmark that was interrupted are found again."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.rows import Rows

ASKED = {"preset": "digits", "overrides": ("seed=1",)}


def test_rows_are_found_again_and_a_torn_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "rows.jsonl"
    rows = Rows(path, ASKED)
    rows.add({"pair": 0, "arm": "null", "peak": 0.1 + 0.2})
    rows.add({"pair": 1, "arm": "null", "peak": None})
    with path.open("a") as file:
        file.write('{"pair": 2, "arm": "nu')
    again = Rows(path, ASKED)
    assert again.find(pair=0, arm="null") == {"pair": 0, "arm": "null", "peak": 0.1 + 0.2}
    assert again.find(pair=2) is None and len(again.every(arm="null")) == 2
    again.add({"pair": 2, "arm": "null", "peak": 2.0})
    assert [row["pair"] for row in Rows(path, ASKED).every()] == [0, 1, 2]


def test_rows_of_other_options_are_not_mixed_in(tmp_path: Path) -> None:
    Rows(tmp_path / "rows.jsonl", ASKED)
    with pytest.raises(SystemExit, match="give another --out"):
        Rows(tmp_path / "rows.jsonl", {**ASKED, "preset": "quadratic"})
