"""Samples of a random linear map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dss_tui.cli import main
from engine.data import Dataset, load_data
from engine.data.linear_map import LinearMapData


def linear_map(**keys: Any) -> Dataset:
    return load_data(LinearMapData(kind="linear_map", **({"features": 4, "outputs": 3} | keys)))


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
