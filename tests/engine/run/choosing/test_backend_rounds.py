"""Whole rounds in one launch: where they are chosen on a GPU, and why they are refused."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import InputError
from engine.problem.problem import build_problem
from engine.run.choosing import backend as choosing
from engine.run.choosing import choose_backend, possible
from engine.run.choosing.fastest import Found
from engine.spec.keys import Spec
from engine.spec.validation import validated

LINE = {"kind": "polynomial", "coefficients": [0.1, 0.3, 0.4], "points": 23}
MLP = {"kind": "mlp", "sizes": [1, 4, 1], "bias": False}
LINEAR = {"kind": "linear", "sizes": [4, 5, 2]}
PROBLEMS: dict[str, dict[str, Any]] = {
    "mlp": {"data": LINE, "network": MLP, "loss": "l1"},
    "deep linear": {
        "data": {"kind": "linear_map", "features": 4, "outputs": 2, "samples": 23},
        "network": LINEAR,
        "loss": "mse",
    },
    "too wide": {"data": LINE, "network": {"kind": "mlp", "sizes": [1, 70, 70, 1]}, "loss": "mse"},
}


def spec_of(problem: str, device: str = "cuda:0", **search: Any) -> Spec:
    tree = {
        "problem": PROBLEMS[problem],
        "search": {"level": 0.5} | search,
        "limits": {"memory": 1.0},
        "device": "cpu",
        "workers": 1,
    }
    return validated(Spec, tree).model_copy(update={"device": device})


@pytest.fixture(autouse=True)
def lacks(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """What the machine lacks, which a test may change. None of its GPUs is asked."""
    reasons: list[str | None] = [None]
    monkeypatch.setattr(possible, "why_not", lambda: reasons[0])
    monkeypatch.setattr(possible, "why_rounds_fail", lambda spec, problem: None)
    monkeypatch.setattr(choosing, "fastest", lambda *_, **__: Found("vmap", "measured"))
    return reasons


def chosen(spec: Spec) -> str:
    choice = choose_backend(spec, build_problem(spec.problem))
    assert choice.backend.name == choice.spec.search.batching
    return choice.backend.name


def test_small_networks_take_whole_rounds_on_a_gpu(
    lacks: list[str | None], caplog: pytest.LogCaptureFixture
) -> None:
    assert chosen(spec_of("mlp")) == "triton"
    assert chosen(spec_of("deep linear")) == "triton"
    assert chosen(spec_of("mlp", batching="triton")) == "triton"
    assert chosen(spec_of("mlp", method="constrained")) == "vmap"
    assert chosen(spec_of("too wide")) == "vmap"
    assert caplog.messages == []
    lacks[0] = "there is no C compiler"
    assert chosen(spec_of("mlp")) == "vmap"
    assert caplog.messages == [
        "no whole rounds on the GPU (there is no C compiler): small networks train slower"
    ]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (spec_of("mlp", "cpu", batching="triton"), "the device is cpu"),
        (spec_of("mlp", batching="triton"), "there is no C compiler"),
        (spec_of("too wide", batching="triton"), "its network does not fit one block of a GPU's"),
    ],
)
def test_what_no_kernel_takes_is_refused(spec: Spec, reason: str, lacks: list[str | None]) -> None:
    lacks[0] = "there is no C compiler"
    with pytest.raises(InputError, match=rf"^search\.batching: is triton, but {reason}"):
        chosen(spec)
