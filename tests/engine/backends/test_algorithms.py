"""The switches by which GPUs choose algorithms: the fastest, or those with the same bits."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch

from engine.backends.algorithms import ROOM, WORKSPACE, choose_algorithms
from engine.backends.in_place import InPlaceBackend
from engine.errors import InputError
from engine.run.prepare import prepare
from engine.run.search import Search
from engine.spec.keys import Spec
from engine.spec.yaml_file import parse
from tests.support.gpus import Gpus
from tests.support.launches import preset


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Restores torch's switches and the environment."""
    monkeypatch.delenv(WORKSPACE, raising=False)
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic
    yield
    cudnn.benchmark, cudnn.deterministic = before
    torch.use_deterministic_algorithms(False)
    os.environ.pop(WORKSPACE, None)


def switches() -> tuple[bool, bool, bool]:
    cudnn = torch.backends.cudnn
    return cudnn.benchmark, cudnn.deterministic, torch.are_deterministic_algorithms_enabled()


def test_cudnn_tries_its_algorithms_where_shapes_stay_the_same() -> None:
    choose_algorithms("loop", deterministic=False)
    assert switches() == (True, False, False) and WORKSPACE not in os.environ
    for way in ("vmap", "graph"):
        choose_algorithms(way, deterministic=False)
        assert switches() == (False, False, False)


def test_the_same_bits_take_other_algorithms(monkeypatch: pytest.MonkeyPatch) -> None:
    choose_algorithms("loop", deterministic=True)
    assert switches() == (False, True, True) and os.environ[WORKSPACE] == ROOM
    monkeypatch.setenv(WORKSPACE, ":16:8")
    choose_algorithms("vmap", deterministic=True)
    assert os.environ[WORKSPACE] == ":16:8"


def spec_on(device: str, way: str, *, deterministic: bool) -> Spec:
    return parse(preset("greedy", device, batching=way) | {"deterministic": deterministic})


@pytest.mark.parametrize("gpus", [1], indirect=True)
def test_a_search_on_a_gpu_sets_them(gpus: Gpus) -> None:
    """And finds the same beads twice."""
    with Search(prepare(spec_on(gpus.words, "loop", deterministic=False))) as search:
        next(search)
        assert switches() == (True, False, False)
    found = []
    for _ in range(2):
        with Search(prepare(spec_on(gpus.words, "loop", deterministic=True))) as search:
            search.run()
            assert switches() == (False, True, True)
            found.append(search.string().string.beads.tobytes())
    assert found[0] == found[1]


def test_on_the_cpu_nothing_is_switched() -> None:
    before = switches()
    with Search(prepare(spec_on("cpu", "loop", deterministic=True))) as search:
        next(search)
        assert switches() == before


@pytest.mark.parametrize("gpus", [1], indirect=True)
def test_an_operation_without_such_an_algorithm_is_told_before_the_run(
    gpus: Gpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("nll_loss2d does not have a deterministic implementation, but\nmore")

    monkeypatch.setattr(InPlaceBackend, "loss_and_grad_on", refuse)
    with pytest.raises(InputError, match=r"^deterministic: is true, but nll_loss2d does not have"):
        prepare(spec_on(gpus.words, "loop", deterministic=True))
