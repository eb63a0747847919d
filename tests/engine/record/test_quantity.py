"""Files of quantities: written whole, read typed, damaged in every way."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.errors import SaveError
from engine.record.quantity import (
    Quantity,
    Row,
    Series,
    Table,
    path_of,
    read_quantity,
    write_quantity,
)
from engine.record.reading import Damaged
from engine.record.rundir import RunDir

FOUND = Quantity(
    name="swa",
    title="the average",
    time=3.5,
    precision="float64",
    beads=(1, None, 2),
    arc=(0.0, 0.25, 1.0),
    series=(
        Series("train_loss", "training", "loss", (0.5, math.nan, 0.75)),
        Series("train_error", "training", "error rate", (0.0, 0.25, 0.125)),
        Series("held_out_loss", "held-out", "loss", (0.5, 2.5, 0.75)),
    ),
    table=Table(("training loss",), (Row("average", (0.25,)), Row("first end", (0.5,)))),
    notes=("A note.",),
)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path)


def test_a_quantity_comes_back_as_it_was_written(run: RunDir) -> None:
    assert read_quantity(run, "swa") is None
    path = write_quantity(run, FOUND)
    assert path == run.path / "measures" / "swa.json" == path_of(run, "swa")
    back = read_quantity(run, "swa")
    assert back is not None and math.isnan(back.series[0].values[1])
    assert replace(back, series=back.series[1:]) == replace(FOUND, series=FOUND.series[1:])
    assert json.loads(path.read_text())["series"][0]["values"] == [0.5, None, 0.75]
    assert read_quantity(run, "cka") is None
    write_quantity(run, replace(FOUND, table=None))
    again = read_quantity(run, "swa")
    assert again is not None and again.table is None


def test_charts_hold_the_series_of_one_unit() -> None:
    assert FOUND.charts == ("loss", "error rate")
    assert [each.key for each in FOUND.of_chart("loss")] == ["train_loss", "held_out_loss"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"arc": [0, 1]}, "arc has no place for each of beads"),
        ({"arc": [0, 0.5, 7]}, "arc"),
        (
            {"series": [{"key": "a", "words": "a", "chart": "a", "values": [1]}]},
            "no value for each",
        ),
        ({"table": {"heads": ["a"], "rows": [{"words": "a", "values": []}]}}, "of its heads"),
        ({"beads": [1, "x", 2]}, "beads"),
        ({"time": None}, "time"),
    ],
)
def test_what_contradicts_itself_is_damaged(
    run: RunDir, change: dict[str, Any], words: str
) -> None:
    path = write_quantity(run, FOUND)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(Damaged, match=words):
        read_quantity(run, "swa")


def test_nothing_is_followed_out_of_the_folder(run: RunDir, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run.measures.symlink_to(elsewhere)
    with pytest.raises(SaveError, match="is a link, which is not followed"):
        write_quantity(run, FOUND)
    with pytest.raises(Damaged, match="it is no folder"):
        read_quantity(run, "swa")
    run.measures.unlink()
    write_quantity(run, FOUND).unlink()
    path_of(run, "swa").symlink_to("/dev/zero")
    with pytest.raises(Damaged):
        read_quantity(run, "swa")
