"""Two runs compared by what their folders hold."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from engine.record.comparison import compare, differences
from engine.record.finding import create
from engine.record.progress import SegmentProgress
from engine.record.rundir import RunDir
from engine.spec.keys import Spec
from tests.support.run_folders import CONNECTED, progress, write


def segment(left: int, right: int, length: float, profile: tuple[float, ...]) -> SegmentProgress:
    peak = max(profile)
    return SegmentProgress(
        left, right, 1, "closed", length, peak, 0.5, profile, (), None, bound=None
    )


def made(spec: Spec, path: Path, segments: tuple[SegmentProgress, ...]) -> RunDir:
    run = create(spec, "cubic", path)
    write(run, CONNECTED)
    order = (1, 3, 2) if len(segments) == 2 else (1, 2)
    told = progress(order=order, losses=(0.01,) * len(order), segments=segments)
    run.progress.write_bytes(told.to_json())
    return run


def test_landscapes_share_an_axis(spec: Spec, tmp_path: Path) -> None:
    """By hand: lengths 3 and 1, level 0.02."""
    bent = (segment(1, 3, 3.0, (0.01, 0.03, 0.01)), segment(3, 2, 1.0, (0.01, 0.02, 0.0)))
    first = made(spec, tmp_path / "a", bent)
    second = made(spec, tmp_path / "b", (segment(1, 2, 7.0, (0.01, 0.04)),))
    one, two = compare((first, second)).sides
    bent_along = [(0, 0.5), (0.375, 1.5), (0.75, 0.5), (0.75, 0.5), (0.875, 1), (1, 0)]
    for side, along in ((one, bent_along), (two, [(0, 0.5), (1, 2)])):
        for seen, known in zip(side.landscape, along, strict=True):
            assert seen == pytest.approx(known)
    assert (one.summary.name, two.summary.name) == ("a", "b")


def test_a_string_without_a_length_has_no_landscape(spec: Spec, tmp_path: Path) -> None:
    for number, length in enumerate((0.0, math.nan)):
        runs = tuple(
            made(spec, tmp_path / f"{name}{number}", (segment(1, 2, length, (0.01, 0.04)),))
            for name in "ab"
        )
        assert compare((runs[0], runs[1])).sides[0].landscape == ()


def test_the_keys_that_differ_are_told(spec: Spec, tmp_path: Path) -> None:
    search = spec.search.model_copy(update={"level": 0.5, "method": "auto"})
    other = spec.model_copy(update={"seed": 9, "search": search, "description": "mine"})
    first = made(spec, tmp_path / "a", ())
    second = made(other, tmp_path / "b", ())
    compared = compare((first, second))
    assert set(compared.keys) == {
        ("seed", "6", "9"),
        ("search.level", "0.02", "0.5"),
        ("search.method", '"greedy"', '"auto"'),
    }
    assert compared.plane is None and compared.why == "a: has no string yet"
    assert compare((first, first)).keys == ()


def test_keys_that_only_one_has_are_told() -> None:
    assert list(differences({"a": {"b": 1, "c": []}}, {"a": {"b": 1}, "d": "x"})) == [
        ("a.c", "[]", "–"),
        ("d", "–", '"x"'),
    ]


def test_damaged_files_are_told_and_the_rest_is_shown(spec: Spec, tmp_path: Path) -> None:
    first = made(spec, tmp_path / "a", (segment(1, 2, 7.0, (0.01, 0.04)),))
    second = made(spec, tmp_path / "b", (segment(1, 2, 7.0, (0.01, 0.04)),))
    second.progress.write_text("[")
    second.spec.write_text("a: [")
    second.string.write_bytes(b"")
    compared = compare((first, second))
    assert len(compared.sides[0].landscape) == 2 and compared.sides[1].progress is None
    assert any(fault.startswith("b: damaged: progress.json: ") for fault in compared.faults)
    assert any(fault.startswith("b: run.yaml: YAML: ") for fault in compared.faults)
    assert compared.why == "a: has no string yet"
    assert replace(compared.sides[1].summary, damaged=()).name == "b"


def test_a_run_that_is_gone_is_compared_in_words(spec: Spec, tmp_path: Path) -> None:
    first = made(spec, tmp_path / "a", ())
    compared = compare((first, RunDir(tmp_path / "gone")))
    assert compared.sides[1].summary.state == "damaged"
    assert compared.plane is None
