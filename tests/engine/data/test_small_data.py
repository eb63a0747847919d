"""Data that are written out in a preset or made from a linear map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dss_tui.cli import main
from engine.data import Dataset, load_data
from engine.data.linear_map import LinearMapData
from engine.data.points import PointsData
from engine.errors import InputError
from engine.problem.problem import build_problem
from presets import load_preset
from tests.support.workers import vmapped

X, Y = ((1.0, 0.5), (-0.25, 0.75), (3.0, -4.0)), ((2.0,), (-1.0,), (0.5,))


def points(x: tuple[tuple[float, ...], ...] = X, y: tuple[tuple[float, ...], ...] = Y) -> Dataset:
    return load_data(PointsData(kind="points", x=x, y=y))


def linear_map(**keys: Any) -> Dataset:
    return load_data(LinearMapData(kind="linear_map", **({"features": 4, "outputs": 3} | keys)))


# ---------------------------------------------------------------- points


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


# ---------------------------------------------------------------- a linear map


def test_as_many_samples_are_held_out_as_there_are_to_train_on() -> None:
    data = linear_map(samples=50)
    assert (data.x.shape, data.x_held_out.shape) == ((50, 4), (50, 4))
    assert (data.y.shape, data.y_held_out.shape) == ((50, 3), (50, 3))
    arrays = (data.x, data.y, data.x_held_out, data.y_held_out)
    assert all(array.dtype == np.float32 for array in arrays)
    assert (data.features, data.outputs, data.classes) == (4, 3, None)
    assert not np.isin(data.x, data.x_held_out).any()


def test_without_noise_one_map_makes_all_of_y() -> None:
    data = linear_map(samples=50, noise=0.0)
    matrix, *_ = np.linalg.lstsq(data.x.astype(np.float64), data.y, rcond=None)
    np.testing.assert_allclose(data.x @ matrix, data.y, atol=1e-5)
    np.testing.assert_allclose(data.x_held_out @ matrix, data.y_held_out, atol=1e-5)


@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_noise_has_its_standard_deviation_and_the_map_its_size(noise: float) -> None:
    data = linear_map(features=20, outputs=30, samples=4000, noise=noise)
    matrix, *_ = np.linalg.lstsq(data.x.astype(np.float64), data.y, rcond=None)
    # Five standard errors of each of the estimates.
    residual = data.y_held_out - data.x_held_out @ matrix
    assert residual.std() == pytest.approx(noise, rel=5 / (2 * 4000 * 30) ** 0.5 + 20 / 4000)
    assert abs(residual.mean()) < 5 * noise / (4000 * 30) ** 0.5
    assert (matrix**2).sum(0).mean() == pytest.approx(1, abs=5 * (2 / 20 / 30) ** 0.5)
    assert data.x.std() == pytest.approx(1, abs=5 / (2 * data.x.size) ** 0.5)


def test_a_linear_map_follows_its_seed() -> None:
    one, same, other = (linear_map(seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.x, same.x)
    np.testing.assert_array_equal(one.y, same.y)
    np.testing.assert_array_equal(one.y_held_out, same.y_held_out)
    assert not np.isin(one.x, other.x).any()
    assert one.checksum() == same.checksum() != other.checksum()


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("problem.data.features=0", "problem.data.features"),
        ("problem.data.outputs=-1", "problem.data.outputs"),
        ("problem.data.samples=1", "problem.data.samples"),
        ("problem.data.noise=-0.1", "problem.data.noise"),
        ("problem.data.features=5", "problem.network.sizes"),
        ("problem.data.outputs=2", "problem.network.sizes"),
        ("problem.loss=cross_entropy", "problem.loss"),
    ],
)
def test_linear_maps_that_cannot_be_are_refused(
    override: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(["run", "linear", "--set", override, "--headless", "--out", str(out)]) == 2
    assert key in capsys.readouterr().err
    assert not out.exists()


# ---------------------------------------------------------------- nothing held out


def test_the_loss_of_a_split_without_samples_is_not_a_number() -> None:
    problem = build_problem(load_preset("permutation-control").problem)
    theta = torch.stack([problem.initial(seed) for seed in range(4)])
    assert vmapped(problem).losses(theta, "held_out").isnan().tolist() == [True] * 4
    assert vmapped(problem).losses(theta).isfinite().all()


def strict(text: str) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not standard JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_run_without_held_out_samples_works_from_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(["run", "permutation-control", "--headless", "--out", str(out)]) == 0
    progress = strict((out / "progress.json").read_text())
    segments = progress["segments"]
    assert segments
    for segment in segments:
        assert segment["beside"]
        assert set(segment["beside"]) == {None}
        assert None not in segment["profile"]
    for line in (out / "events.jsonl").read_text().splitlines():
        strict(line)
    capsys.readouterr()
    exported = tmp_path / "path.npz"
    assert main(["verify", str(out / "string.safetensors")]) == 0
    assert main(["export", str(out), "--out", str(exported), "--with-data"]) == 0
    assert main(["verify", str(exported)]) == 0
    assert main(["ls"]) == 0
    assert "nan" not in capsys.readouterr().out.lower()
