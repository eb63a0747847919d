"""Backends that many tasks share, or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch

from engine.errors import InputError
from engine.problem.checkpoints.endpoints import Model
from engine.run import backends as module
from engine.run.backends import KEPT, Backends, decided_as
from engine.run.prepare import prepare
from engine.run.trained_ends import tensors
from engine.spec.keys import Spec
from presets import load_preset

TINY = {"problem.data.points": 64, "device": "cpu", "workers": 1}


def spec(seed: int = 0, level: float = 0.05, **keys: Any) -> Spec:
    overrides = {**TINY, "search.level": level, **keys}
    return load_preset("quadratic", overrides, seed=seed).of_a_new_run()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Spec]:
    """The specs that were prepared."""
    specs: list[Spec] = []

    def counted(asked: Spec) -> Any:
        specs.append(asked)
        return prepare(asked)

    monkeypatch.setattr(module, "prepare", counted)
    return specs


def between(folder: Path, one: int, other: int, **keys: Any) -> Spec:
    """A spec between two of the models in a folder, which are written where they are missing."""
    problem = prepare(spec(**keys)).backend.problem
    files = [folder / f"{number}.safetensors" for number in (one, other)]
    for number, file in zip((one, other), files, strict=True):
        if not file.exists():
            model = Model(problem.initial(number), problem.fixed)
            safetensors.torch.save_file(tensors(model, problem), file)
    ends: dict[str, Any] = {
        "endpoints.kind": "files",
        "endpoints.a": str(files[0]),
        "endpoints.b": str(files[1]),
    }
    return spec(**keys, **ends)


def test_seeds_levels_and_ends_share_a_backend(made: list[Spec], tmp_path: Path) -> None:
    shared = Backends()
    one = shared.of(spec(0, 0.05))
    assert shared.of(spec(7, 0.02)) is one
    assert shared.of(one.spec) is one  # with everything decided
    other = shared.of(between(tmp_path, 0, 1))
    assert shared.of(between(tmp_path, 0, 2)) is other is not one
    assert len(made) == 2


def test_ends_that_hold_what_does_not_move_make_a_problem_each(
    made: list[Spec], tmp_path: Path
) -> None:
    shared, keys = Backends(), {"path_parameters": "*.weight"}
    one = shared.of(between(tmp_path, 0, 1, **keys))
    assert shared.of(between(tmp_path, 0, 2, **keys)) is not one
    assert shared.of(between(tmp_path, 0, 1, **keys)) is one
    assert len(made) == 2


def test_the_newest_few_are_kept(made: list[Spec]) -> None:
    shared = Backends()
    grids = [{"problem.data.points": 64 + number} for number in range(KEPT + 1)]
    for keys in grids:
        shared.of(shared.of(spec(**keys)).spec)
    shared.of(spec(**grids[-1]))
    count = len(made)
    shared.of(spec(**grids[0]))
    assert len(made) == count + 1 and len(shared._made) == KEPT


def test_what_machines_decide_is_decided_for_the_spec_that_asks() -> None:
    shared = Backends()
    first = shared.decide(spec(0, 0.05), [])
    second = shared.decide(spec(3, 0.02), [])
    assert (first.seed, second.seed, second.search.level) == (0, 3, 0.02)
    assert second.search.batching == "fused" and second.mini_batches == "shuffled"
    assert decided_as(spec(3, 0.02), first) == second


def test_a_search_that_does_not_fit_the_problem_is_refused() -> None:
    on: dict[str, Any] = {"search.level_on": {"metric": "error_rate"}}
    with pytest.raises(InputError, match="y holds no classes"):
        Backends().decide(spec(), [spec(**on)])
