"""Files of loss planes: written whole, read typed, damaged in every way."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.errors import SaveError
from engine.record.loss_plane import (
    LossPlane,
    NoPlane,
    PlaneBead,
    path_of,
    read_answer,
    read_plane_file,
    write_answer,
)
from engine.record.reading import Damaged, stamp
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter
from engine.spec.level import LevelOn

BEADS = (5, 1, 12)
PLANE = LossPlane(
    beads=BEADS,
    level_on=LevelOn(metric="error_rate", split="held_out"),
    level=0.25,
    tolerance=0.5,
    time=3.5,
    precision="float64",
    x=(-1.0, 0.5, 4.0),
    y=(-0.5, 2.0),
    losses=((0.1, 0.7, math.nan), (0.3, 0.2, 0.9)),
    corners=(
        PlaneBead(5, 0.0, 0.0, 0.0, 0.2),
        PlaneBead(1, 3.0, 0.0, 0.0, 0.1),
        PlaneBead(12, 1.0, 1.5, 0.0, 0.3),
    ),
    string=(PlaneBead(1, 3.0, 0.0, 0.0, 0.1), PlaneBead(7, 0.5, 0.25, 0.75, 0.15)),
)
REFUSED = NoPlane(beads=BEADS, time=2.5, reason="there is no bead 12; choose from 1, 5, 2")


def test_a_plane_comes_back_as_it_was_written(run: RunDir) -> None:
    assert read_answer(run, BEADS) is None and stamp(path_of(run, BEADS)) is None
    path = write_answer(run, PLANE)
    assert path == run.path / "planes" / "5-1-12.json" == path_of(run, BEADS)
    back = read_answer(run, BEADS)
    assert isinstance(back, LossPlane)
    assert math.isnan(back.losses[0][2])
    whole = ((0.1, 0.7, 0.0), (0.3, 0.2, 0.9))
    assert replace(back, losses=whole) == replace(PLANE, losses=whole)
    assert json.loads(path.read_text())["losses"][0] == [0.1, 0.7, None]
    assert back.values == [0.1, 0.7, 0.3, 0.2, 0.9]
    assert back.bound == 0.375
    assert read_answer(run, (1, 5, 12)) is None  # another plane


def test_an_answer_replaces_the_one_before(run: RunDir) -> None:
    write_answer(run, PLANE)
    before = stamp(path_of(run, BEADS))
    write_answer(run, REFUSED)
    assert read_answer(run, BEADS) == REFUSED
    assert stamp(path_of(run, BEADS)) not in (None, before)


def test_leftovers_of_a_lost_engine_are_cleared(run: RunDir) -> None:
    kept = write_answer(run, REFUSED)
    lost = kept.with_name(".5-1-12.json.4711.tmp")
    lost.write_bytes(b"half")
    with RunWriter(run):
        assert sorted(run.planes.iterdir()) == [kept]


def test_a_link_in_place_of_the_folder_is_not_followed(run: RunDir, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / ".5-1-12.json.4711.tmp").write_bytes(b"somebody else's")
    (outside / "5-1-12.json").write_bytes(b"somebody else's")
    run.planes.symlink_to(outside)
    with pytest.raises(SaveError, match="planes: is a link"):
        write_answer(run, REFUSED)
    with pytest.raises(Damaged, match="planes: it is no folder"):
        read_answer(run, BEADS)
    with RunWriter(run):
        pass
    assert {path.read_bytes() for path in outside.iterdir()} == {b"somebody else's"}
    assert len(list(outside.iterdir())) == 2


def test_a_file_in_place_of_the_folder_is_said(run: RunDir) -> None:
    run.planes.write_bytes(b"")
    with pytest.raises(SaveError, match="planes: cannot be made"):
        write_answer(run, REFUSED)
    with pytest.raises(Damaged, match="no folder"):
        read_answer(run, BEADS)


TREE: dict[str, Any] = json.loads(
    json.dumps(
        {
            "kind": "plane",
            "beads": list(BEADS),
            "level_on": {"metric": "loss", "split": "train"},
            "level": 0.25,
            "time": 3.5,
            "precision": "float32",
            "x": [0.0, 1.0],
            "y": [0.0, 2.0],
            "losses": [[0.1, 0.7], [0.3, 0.2]],
            "corners": [
                {"bead": b, "x": 0.0, "y": 0.0, "distance": 0.0, "loss": 0.1} for b in BEADS
            ],
            "string": [],
        }
    )
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "picture"}, "kind is 'picture', but must be one of"),
        ({"beads": [1, 2]}, "beads is a list of 2, but must be a list of 3"),
        ({"level": 0}, "level is 0, but must be above 0"),
        ({"level": -1}, "level is -1"),
        ({"x": [0.0]}, "x holds 1 items"),
        ({"x": [1.0, 1.0]}, "x does not ascend"),
        ({"y": [0.0, None]}, "y does not ascend"),
        ({"y": [-1e308, 1e308]}, "y does not ascend from one finite"),
        ({"losses": [[0.1, 0.7]]}, "losses has no row of 2 values for each y"),
        ({"losses": [[0.1, 0.7], [0.3]]}, "losses has no row of 2 values"),
        ({"losses": [[0.1, "high"], [0.3, 0.2]]}, "losses.0.1 is 'high'"),
        ({"corners": TREE["corners"][::-1]}, "corners are not the places of its beads"),
        (
            {"corners": [*TREE["corners"][:2], TREE["corners"][2] | {"x": None}]},
            "corners holds a place that is not finite",
        ),
        ({"string": [{"bead": 1}]}, "string.0.x is missing"),
        ({"precision": "bf16"}, "precision is 'bf16'"),
    ],
)
def test_what_is_no_plane_is_named(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / "5-1-12.json"
    path.write_text(json.dumps(TREE))
    assert isinstance(read_plane_file(path), LossPlane)
    path.write_text(json.dumps(TREE | changes))
    with pytest.raises(Damaged) as error:
        read_plane_file(path)
    assert words in str(error.value) and str(path) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"\xff", b"[" * 10**6])
def test_what_is_no_json_object_is_damaged(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "5-1-12.json"
    path.write_bytes(content)
    with pytest.raises(Damaged):
        read_plane_file(path)


def test_losses_between_grid_points_are_linear_in_both_directions() -> None:
    """Of f(x, y) = 2 + x − 3 y + x y, which such an interpolation finds exactly."""
    x, y = (-1.0, 0.5, 4.0), (-0.5, 2.0, 2.5)
    losses = tuple(tuple(2 + a - 3 * b + a * b for a in x) for b in y)
    plane = replace(PLANE, x=x, y=y, losses=losses)
    places, heights = [-1.0, -0.3, 0.5, 3.9, 4.0], [-0.5, 0.0, 2.25, 2.5]
    for b, row in zip(heights, plane.at(places, heights), strict=True):
        assert row == pytest.approx([2 + a - 3 * b + a * b for a in places])
    assert plane.at([-7.0], [9.0]) == [[pytest.approx(losses[2][0])]]  # moved to the edge


def test_nothing_is_known_beside_a_loss_that_is_not_finite() -> None:
    ((left, right),) = PLANE.at([0.0, 2.0], [0.0])
    assert math.isfinite(left) and math.isnan(right)
