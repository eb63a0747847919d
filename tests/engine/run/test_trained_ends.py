"""Ends that many searches share, in their files."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch

from engine.errors import InputError
from engine.problem.checkpoints.endpoints import Model, read_model
from engine.record.costs import Costs
from engine.run import trained_ends as ends
from engine.run.prepare import prepare
from engine.workers.pool import open_pool
from presets import load_preset
from tests.support.damage import flip_in_tensors, without_checksums
from tests.support.small_problem import small_problem


def test_models_come_back_from_their_files_to_the_bit(tmp_path: Path) -> None:
    problem = small_problem()
    models = Model(problem.initial(1), {}), Model(problem.initial(2), {})
    places = "new/a.safetensors", "new/b.safetensors", "new/ends.json"
    assert ends.read_told(tmp_path / places[-1]) is None
    ends.write(ends.Trained(models, "Made up.", Costs(7, 9)), problem, tmp_path, places)
    for model, place in zip(models, places[:2], strict=True):
        found = read_model(str(tmp_path / place), None, problem, None, None)
        assert torch.equal(found.theta, model.theta)
    told = ends.read_told(tmp_path / places[-1])
    assert told is not None and told.trained and told.sentence == "Made up."
    assert (told.sample_gradients, told.forward_samples) == (7, 9)


def test_a_model_of_which_a_bit_has_changed_is_refused(tmp_path: Path) -> None:
    problem, path = small_problem(), tmp_path / "a.safetensors"
    ends.write_model(Model(problem.initial(1), {}), problem, path, tmp_path)
    assert (
        safetensors.torch.load_file(path).keys() == problem.named(problem.initial(1)[None]).keys()
    )
    ends.check_whole(["a.safetensors"], "ends.json", tmp_path)
    flip_in_tensors(path)
    with pytest.raises(InputError, match=r"is not what was written.*ends\.json, so that") as caught:
        ends.check_whole(["a.safetensors"], "ends.json", tmp_path)
    assert caught.value.file == path
    with pytest.raises(InputError, match="is not a whole"):
        read_model(str(path), None, problem)
    with pytest.raises(InputError, match="it is missing"):
        ends.check_whole(["b.safetensors"], "ends.json", tmp_path)


def test_a_model_without_checksums_is_read(tmp_path: Path) -> None:
    problem, path = small_problem(), tmp_path / "a.safetensors"
    model = Model(problem.initial(1), {})
    ends.write_model(model, problem, path, tmp_path)
    without_checksums(path)
    ends.check_whole(["a.safetensors"], "ends.json", tmp_path)
    assert torch.equal(read_model(str(path), None, problem).theta, model.theta)


def test_training_that_is_stopped_leaves_nothing() -> None:
    prepared = prepare(load_preset("quadratic", ["problem.data.points=64"]).of_a_new_run())
    asked: list[bool] = []

    def stopped() -> bool:
        asked.append(len(asked) == 1)
        return asked[-1]

    with open_pool(prepared.backend, prepared.spec) as pool:
        assert ends.trained(prepared.spec, pool, stopped) is None
    assert len(asked) == 2
