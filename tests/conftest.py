"""Shapes and types of the engine's annotations are checked while the tests run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

CHECKED = [
    "problem.problem",
    "steps.optimizers",
    "training.trainer",
    "path.segments",
    "methods.greedy",
    "methods.endpoints",
]
install_import_hook([f"engine.{module}" for module in CHECKED], "beartype.beartype")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One intra-op thread: more of them fight for busy cores."""
    import torch

    torch.set_num_threads(1)
    yield


@pytest.fixture(autouse=True)
def batched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The few beads of a test are batched as many are elsewhere."""
    monkeypatch.setattr("engine.problem.problem.FEW_TOGETHER", 2)


@pytest.fixture(autouse=True)
def runs(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
) -> Path:
    """A runs folder and a cache of the test's own, but for compiled code, which all tests share."""
    folder, cache = tmp_path / "runs", tmp_path_factory.mktemp("cache")
    (cache / "compiled").symlink_to(pytestconfig.cache.mkdir("compiled"))
    monkeypatch.setenv("DSS_TUI_RUNS", str(folder))
    monkeypatch.setenv("DSS_TUI_CACHE", str(cache))
    monkeypatch.delenv("DSS_TUI_DATA", raising=False)
    return folder
