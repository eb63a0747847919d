"""Shapes and types of the engine's annotations are checked while the tests run."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from jaxtyping import install_import_hook

if TYPE_CHECKING:
    from tests.support.gpus import Gpus

# Threads of one operation that wait for each other take a whole core each, and there are as many
# processes as cores already.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Read once by Textual where it is imported. What scrolls or fades gets to its end at once: the
# frames in between are Textual's, and they are a tenth of the time of the screens' tests.
os.environ["TEXTUAL_ANIMATIONS"] = "none"

# A change is accepted or not by the same examples each time; whoever runs the tests by hand draws
# new ones. A busy machine draws them slowly, which says nothing of the code.
hypothesis.settings.register_profile(
    "ci", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

CHECKED = [
    "problem.problem",
    "steps.optimizers",
    "training.trainer",
    "path.segments",
    "methods.greedy",
    "methods.endpoints",
]
install_import_hook([f"engine.{module}" for module in CHECKED], "beartype.beartype")


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Returns three workers for two cores: some tests wait for a screen or for another process."""
    cores = yield
    return cores if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS") else cores + (cores + 1) // 2


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Keeps what was imported and collected out of later searches for garbage.

    There are a million such objects, and the searches took an eighth of all tests' time. What tests
    make themselves is searched less often than by default, which takes another fifth of those of
    screens.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One intra-op thread: more of them fight for busy cores."""
    import torch

    torch.set_num_threads(1)
    yield


@pytest.fixture(params=[1, 2], ids=["one_gpu", "two_gpus"])
def gpus(request: pytest.FixtureRequest) -> Iterator[Gpus]:
    """One and two GPUs: real ones where torch sees any, else acted ones; or so many as asked for.

    Streams that touch the same memory without an order fail the test.
    """
    from tests.support.gpus import gpus_for_a_test

    with gpus_for_a_test(request.param) as found:
        yield found
        found.check()


@pytest.fixture(autouse=True)
def batched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The few beads of a test are batched as many are elsewhere."""
    monkeypatch.setattr("engine.backends.vmapped.FEW_TOGETHER", 2)


def settle(
    patch: pytest.MonkeyPatch, runs: Path, factory: pytest.TempPathFactory, config: pytest.Config
) -> Path:
    """Names a runs folder and a new cache in the environment, and returns the runs folder.

    Compiled code alone is shared by all tests, and by one session and the next: to compile it
    takes longer than most tests.
    """
    cache, compiled = factory.mktemp("cache"), config.rootpath / ".pytest_cache" / "compiled"
    compiled.mkdir(parents=True, exist_ok=True)
    (cache / "compiled").symlink_to(compiled)
    patch.setenv("DSS_TUI_RUNS", str(runs))
    patch.setenv("DSS_TUI_CACHE", str(cache))
    patch.setenv("XDG_CONFIG_HOME", str(cache / "config"))
    patch.delenv("DSS_TUI_DATA", raising=False)
    return runs


@pytest.fixture(autouse=True, scope="session")
def _session(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[None]:
    """Keeps what fixtures of whole modules compute out of the user's own folders."""
    with pytest.MonkeyPatch.context() as patch:
        settle(patch, tmp_path_factory.mktemp("runs"), tmp_path_factory, pytestconfig)
        yield


@pytest.fixture(autouse=True)
def runs(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
) -> Path:
    """Returns the runs folder of this test, which does not exist yet."""
    return settle(monkeypatch, tmp_path / "runs", tmp_path_factory, pytestconfig)
