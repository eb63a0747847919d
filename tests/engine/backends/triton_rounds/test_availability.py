"""Whether kernels can be had: what this machine lacks, and a trial of one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.backends.fused.layout import Layout
from engine.backends.triton_rounds import availability
from engine.backends.triton_rounds.availability import why_it_fails, why_not
from engine.backends.triton_rounds.backend import TritonBackend
from engine.spec.training import Training
from engine.steps.recipe import Recipe
from tests.support.small_problem import small_problem
from tests.support.torch_recipes import OPTIMIZERS
from tests.support.triton_twin import Broken, Hasty, Twin

LAYOUT = Layout((1, 4, 4, 1), True, "tanh", "identity", "mse")


def found(*names: str) -> Callable[[str], str | None]:
    return lambda name: f"/usr/bin/{name}" if name in names else None


@pytest.mark.parametrize(
    ("spec", "programs", "named", "reason"),
    [
        (None, ("gcc",), None, "Triton cannot be imported; builds of torch for CUDA bring it"),
        ("a module", (), None, "there is no C compiler (gcc or clang), which Triton needs"),
        ("a module", ("gcc",), "icc", "there is no C compiler (icc), which Triton needs"),
        ("a module", ("icc",), "icc", None),
        ("a module", ("clang",), None, None),
    ],
)
def test_what_is_missing_is_said(
    spec: str | None,
    programs: tuple[str, ...],
    named: str | None,
    reason: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(availability, "find_spec", lambda name: spec)
    monkeypatch.setattr("shutil.which", found(*programs))
    if named is None:
        monkeypatch.delenv("CC", raising=False)
    else:
        monkeypatch.setenv("CC", named)
    assert why_not() == reason


@pytest.mark.parametrize("batch_size", ["full", 8])
@pytest.mark.parametrize(
    ("kernels", "reason"),
    [
        (Twin, None),
        (Hasty, "they compute something else than torch"),
        (Broken, "no Python.h"),
    ],
)
def test_a_trial_compares_a_step_with_torchs(
    kernels: type[Twin], reason: str | None, batch_size: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    monkeypatch.setattr("engine.backends.triton_rounds.backend.TritonProblem", kernels)
    for optimizer in ("adam", "rmsprop", "sgd-nesterov"):
        training = Training(optimizer=OPTIMIZERS[optimizer], batch_size=batch_size)
        backend = TritonBackend(small_problem(), LAYOUT)
        assert why_it_fails(backend, backend.paced(Recipe(training))) == reason
