"""Loss and error along a line: the field's definitions of a barrier."""

from __future__ import annotations

import pytest

import engine
from engine.problem.problem import TRAINING_LOSS, build_problem
from engine.run.lines import Line, measures_of, on_split
from engine.spec.level import LevelOn


def test_a_high_peak_is_no_barrier_where_the_ends_are_as_high() -> None:
    high, low = (2.0, 2.1, 2.4), (0.0, 2.1, 0.4)
    assert Line(TRAINING_LOSS, high, 2.4, 0.4, 0.0).over_mean == pytest.approx(0.2)
    assert Line(TRAINING_LOSS, low, 2.4, 0.4, 0.0).over_mean == pytest.approx(2.2)


def test_a_proof_of_the_peak_bounds_the_barrier_over_the_mean() -> None:
    line = Line(TRAINING_LOSS, (0.5, 2.0, 1.0), 2.25, 0.6, 1.2, proven=2.5)
    assert line.proven_over_mean == 1.75 and line.chord(0.25) == 0.625
    assert Line(TRAINING_LOSS, (0.5, 2.0, 1.0), 2.25, 0.6, 1.2).proven_over_mean is None


def test_what_there_is_to_measure() -> None:
    def told(preset: str, **more: object) -> list[str]:
        problem = build_problem(engine.load_preset(preset, more).problem)
        return [on.words for on in measures_of(problem)]

    assert told("quadratic", **{"problem.data.points": 8}) == ["training loss", "held-out loss"]
    both = ["training loss", "training error rate", "held-out loss", "held-out error rate"]
    assert told("digits") == both


def test_lines_are_told_by_their_split() -> None:
    error = LevelOn(metric="error_rate")
    lines = [Line(on, (0.0, 1.0), 1.0, 1.0, 0.0) for on in (TRAINING_LOSS, error)]
    found = on_split(lines, "train")
    assert found is not None and found.lines == tuple(lines)
    assert on_split(lines, "held_out") is None
