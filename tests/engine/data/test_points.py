"""A handful of points written into the preset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dss_tui.cli import main
from engine.data import Dataset, load_data
from engine.data.points import PointsData
from engine.errors import InputError

X, Y = ((1.0, 0.5), (-0.25, 0.75), (3.0, -4.0)), ((2.0,), (-1.0,), (0.5,))


def points(x: tuple[tuple[float, ...], ...] = X, y: tuple[tuple[float, ...], ...] = Y) -> Dataset:
    return load_data(PointsData(kind="points", x=x, y=y))


def test_points_are_as_written_and_none_is_held_out() -> None:
    data = points()
    np.testing.assert_array_equal(data.x, np.array(X, np.float32))
    np.testing.assert_array_equal(data.y, np.array(Y, np.float32))
    assert data.x.dtype == data.y.dtype == data.x_held_out.dtype == np.float32
    assert (data.x_held_out.shape, data.y_held_out.shape) == ((0, 2), (0, 1))
    assert (data.features, data.outputs, data.classes) == (2, 1, None)


@pytest.mark.parametrize(
    ("x", "y", "key", "words"),
    [
        (X, Y[:2], "problem.data.y", "has 2 rows, but x has 3"),
        (X[:1], Y, "problem.data.y", "has 3 rows, but x has 1"),
        ((*X[:2], (1.0,)), Y, "problem.data.x", "[1, 2] values"),
        (X, (*Y[:2], (1.0, 2.0, 3.0)), "problem.data.y", "[1, 3] values"),
        (((), (), ()), Y, "problem.data.x", "[0] values"),
        (X, ((), (), ()), "problem.data.y", "[0] values"),
    ],
)
def test_points_that_do_not_fit_are_refused(
    x: tuple[tuple[float, ...], ...], y: tuple[tuple[float, ...], ...], key: str, words: str
) -> None:
    with pytest.raises(InputError) as caught:
        points(x, y)
    assert str(caught.value).startswith(f"{key}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("problem.data.x=[]", "problem.data.x"),
        ("problem.data.y=[]", "problem.data.y"),
        ("problem.data.x=[[1, two], [3, 4], [5, 6]]", "problem.data.x"),
        ("problem.data.x=[1, 2, 3]", "problem.data.x"),
        ("problem.data.x=[[1, .nan], [3, 4], [5, 6]]", "problem.data.x"),
        ("problem.data.y=[[1, 2], [3, 4]]", "problem.data.y"),
        ("problem.data.y=[[1], [3], [5]]", "problem.network.sizes"),
        ("problem.loss=cross_entropy", "problem.loss"),
        ("problem.data.seed=3", "problem.data.seed"),
        ("problem.data.x=[[1e60, 2], [3, 4], [5, 6]]", "problem.data.x"),
    ],
)
def test_presets_with_points_that_do_not_fit_are_refused_before_anything_is_written(
    override: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    sets = ["--set", override, "--set", "limits.steps=1", "--headless", "--out", str(out)]
    assert main(["run", "permutation-control", *sets]) == 2
    captured = capsys.readouterr()
    assert key in captured.err
    assert len(captured.err.splitlines()) == 1
    assert not out.exists()
