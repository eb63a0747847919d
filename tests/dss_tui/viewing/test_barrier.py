"""The words, the JSON and the CSV of a barrier."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from io import StringIO

from dss_tui.viewing import barrier as words
from engine.record.events import dump_json
from engine.run.barrier import Barrier
from engine.run.lines import Line, OnSplit
from engine.spec.level import LevelOn

WHY = "a proof would take too long"
TRAIN = OnSplit(
    Line(LevelOn(), (0.25, 0.5, 1.25, 0.0007080123), 1.5, 0.625, 1.375, 1.50001),
    Line(LevelOn(metric="error_rate"), (0.0, 0.25, 0.5, 0.0), 0.5, 0.667, 0.5, 0.625),
)
HELD_OUT = OnSplit(
    Line(LevelOn(split="held_out"), (0.5, 0.75, 1.5, 0.5), 1.5, 0.667, 1.0, unproven=WHY),
    Line(LevelOn(metric="error_rate", split="held_out"), (0.125, 0.25, 0.5, 0.125), 0.5, 0.7, 0.4),
)
ROW = "training loss 0.25 0.000708 1.5 1.5 0.625 1.375 1.375"

FOUND = Barrier(
    names=("a.pt", "b.pt"),
    t=(0.0, 0.3, 0.7, 1.0),
    train=TRAIN,
    held_out=HELD_OUT,
    aligned=None,
    repaired=False,
    distance=12.5,
    precision="float64",
    normalized_by="",
    remarks=(),
)


def test_json_is_what_the_interface_promises() -> None:
    tree = json.loads(dump_json(words.tree(FOUND)))
    assert list(tree) == ["t", "train", "held_out", "aligned"]
    assert tree["t"] == [0.0, 0.3, 0.7, 1.0] and tree["aligned"] is None
    assert tree["train"]["loss"] == {
        "values": [0.25, 0.5, 1.25, 0.0007080123],
        "peak": 1.5,
        "over_mean": 1.5 - 0.2507080123 / 2,
        "over_interpolation": 1.375,
        "proven": 1.50001,
        "unproven": None,
    }
    assert tree["held_out"]["loss"]["proven"] is None
    assert tree["held_out"]["loss"]["unproven"] == WHY
    assert tree["held_out"]["error"]["over_mean"] == 0.375
    alone = replace(FOUND, train=OnSplit(TRAIN.loss, None), held_out=None, aligned="weights")
    tree = json.loads(dump_json(words.tree(alone)))
    assert tree["train"]["error"] is None and tree["held_out"] is None
    assert tree["aligned"] == "weights"


def test_values_that_are_not_finite_are_null() -> None:
    broken = replace(TRAIN.loss, values=(0.25, float("nan"), 0.5), peak=float("nan"))
    tree = json.loads(dump_json(words.tree(replace(FOUND, train=OnSplit(broken, None)))))
    assert tree["train"]["loss"]["values"] == [0.25, None, 0.5]
    assert tree["train"]["loss"]["peak"] is None and tree["train"]["loss"]["over_mean"] is None


def test_repaired_values_say_so_wherever_they_go() -> None:
    repaired = replace(FOUND, repaired=True)
    assert words.tree(repaired)["repaired"] is True
    assert words.as_csv(repaired).startswith("t,repaired_train_loss,repaired_train_error,")
    said = " ".join(words.notes(repaired, 80))
    assert "not on the straight line, and no part of a string" in said


def test_csv_has_a_row_for_each_point() -> None:
    rows = list(csv.reader(StringIO(words.as_csv(FOUND))))
    assert rows[0] == ["t", "train_loss", "train_error", "held_out_loss", "held_out_error"]
    assert [float(cell) for cell in rows[3]] == [0.7, 1.25, 0.5, 1.5, 0.5]
    assert len(rows) == 5
    alone = replace(FOUND, train=OnSplit(TRAIN.loss, None), held_out=None)
    assert words.as_csv(alone).splitlines()[0] == "t,train_loss"


def test_the_table_has_columns_that_never_touch() -> None:
    heads, *rows = words.table(FOUND)
    assert heads.split("  ")[-1].strip() == "over chord"
    assert len(rows) == 4 and all(len(row) == len(heads) <= 80 for row in rows)
    assert rows[0].split() == ROW.split()
    assert "50.00 %" in rows[1] and "37.50 %" in rows[3]


def test_what_is_proven_is_told_and_why_the_rest_is_not() -> None:
    heads, loss, error, unproven, silent = words.table(FOUND)
    column = slice(heads.index("peak") + 4, heads.index("proven") + 6)
    assert [row[column].split() for row in (loss, error)] == [["1.5"], ["62.50", "%"]]
    assert [row[column].strip() for row in (unproven, silent)] == ["–", "–"]
    said = " ".join(words.notes(FOUND, 80))
    assert "proven: what is not exceeded anywhere on the line, rounding included" in said
    assert f"Not proven (held-out loss): {WHY}." in said
    bare = replace(FOUND, train=OnSplit(replace(TRAIN.loss, proven=None, unproven=WHY), None))
    bare = replace(bare, held_out=None)
    said = " ".join(words.notes(bare, 60))
    assert f"Not proven: {WHY}. No samples are held out." in said and "proven: what" not in said
    assert all(len(line) <= 60 for line in words.notes(bare, 60))


def test_the_head_says_what_was_measured() -> None:
    told = words.head(
        replace(FOUND, aligned="weights", normalized_by="statistics of all", remarks=("r",))
    )
    assert told[1] == "second  b.pt, relabelled by weights"
    assert "12.5 apart; 4 points, float64" in told[2]
    assert [line.strip() for line in told[3:]] == ["normalized by statistics of all", "r"]
