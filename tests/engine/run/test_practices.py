"""What training blocks ask of their steps is possible, or refused in one sentence."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.errors import InputError
from engine.problem.problem import build_problem
from engine.run.choose_backend import choose_backend
from engine.run.practices import check_practices
from engine.run.prepare import prepare
from engine.spec.checks import check_method
from engine.spec.keys import Spec
from engine.spec.validation import validated
from engine.steps.recipe import Recipe
from engine.steps.rows import Group, fresh
from tests.support.workers import vmapped

HERE = __name__


class Own(nn.Module):
    """A module of a user's own with dropout in three places."""

    def __init__(self, drops: bool = True) -> None:
        super().__init__()
        dropout = [nn.Dropout(0.3)] if drops else []
        self.first = nn.Sequential(nn.Linear(64, 12), nn.ReLU(), *dropout)
        self.second, self.drops = nn.Linear(12, 10), drops

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.flatten(1))
        return self.second(functional.dropout(x, 0.2, self.training and self.drops))  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


MLP = {"kind": "mlp", "sizes": [64, 8, 10]}
CUSTOM = {"kind": "custom", "factory": f"{HERE}:Own"}


def spec_of(
    network: dict[str, Any] = MLP,
    endpoints: dict[str, Any] | None = None,
    greedy: dict[str, Any] | None = None,
    **problem: Any,
) -> Spec:
    usual = {"data": {"kind": "digits"}, "network": network, "loss": "cross_entropy"}
    tree = {
        "problem": usual | problem,
        "endpoints": endpoints or {},
        "search": {"level": 0.1, "greedy": greedy or {}},
        "device": "cpu",
    }
    return validated(Spec, tree)


def refusal(spec: Spec) -> str:
    with pytest.raises(InputError) as caught:
        check_practices(spec, build_problem(spec.problem))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_labels_are_smoothed_for_classes_alone() -> None:
    said = refusal(spec_of(endpoints={"label_smoothing": 0.1}, loss="mse"))
    assert said.startswith("endpoints.label_smoothing: is 0.1, but problem.loss is mse")
    weighted = {"kind": "cross_entropy", "class_weights": [1.0] * 10}
    for loss in ("cross_entropy", weighted):
        spec = spec_of(endpoints={"label_smoothing": 0.1}, loss=loss)
        check_practices(spec, build_problem(spec.problem))


def test_images_alone_are_augmented() -> None:
    points = {"kind": "polynomial", "coefficients": [0.1, 0.3], "points": 20}
    line = {"kind": "mlp", "sizes": [1, 3, 1]}
    spec = spec_of(line, greedy={"augment": {"flip": 0.5}}, data=points, loss="mse")
    assert refusal(spec).startswith("search.greedy.augment: is for images")
    nothing = spec_of(line, greedy={"augment": {}}, data=points, loss="mse")
    check_practices(nothing, build_problem(nothing.problem))


def test_dropout_needs_something_to_drop() -> None:
    assert refusal(spec_of(endpoints={"dropout": True})).startswith(
        "endpoints.dropout: is true, but the network of kind mlp drops nothing"
    )
    plain = CUSTOM | {"args": {"drops": False}}
    assert "calls no dropout" in refusal(spec_of(plain, greedy={"dropout": True}))
    for network in (MLP | {"dropout": 0.3}, CUSTOM):
        spec = spec_of(network, endpoints={"dropout": True}, greedy={"dropout": True})
        problem = build_problem(spec.problem)
        check_practices(spec, problem)
        assert not problem.network.training


def test_averages_of_ends_need_ends_that_are_trained_alone() -> None:
    spec = spec_of(endpoints={"ema": 0.9})
    check_method(spec)
    search = spec.search.model_copy(update={"method": "constrained"})
    with pytest.raises(InputError, match=r"endpoints\.ema: is 0\.9, but with search\.method"):
        check_method(spec.model_copy(update={"search": search}))
    with pytest.raises(InputError, match="leave one of them null"):
        spec_of(endpoints={"ema": 0.9, "swa": 3})


# ---------------------------------------------------------------- backends


@pytest.mark.parametrize(
    ("network", "keys", "why"),
    [
        (MLP | {"dropout": 0.2}, {}, "its steps have no dropout"),
        (MLP, {"label_smoothing": 0.1, "micro_batch": 9}, "no micro_batch and label_smoothing"),
        (MLP, {"batch_size": 16, "augment": {"flip": 0.5}}, "its steps have no augment"),
    ],
    ids=str,
)
def test_compiled_code_is_not_chosen_where_its_steps_would_be_others(
    network: dict[str, Any], keys: dict[str, Any], why: str
) -> None:
    spec = spec_of(network, greedy=keys)
    problem = build_problem(spec.problem)
    asked = spec.search.model_copy(update={"batching": "fused"})
    with pytest.raises(InputError, match=why):
        choose_backend(spec.model_copy(update={"search": asked}), problem)
    if "augment" not in keys:  # of samples that are no images
        chosen, _ = choose_backend(spec, problem)
        assert chosen.search.batching in ("vmap", "loop")


def test_modules_that_are_computed_again_are_computed_one_by_one() -> None:
    spec = spec_of(CUSTOM | {"recompute": ["first"]}, endpoints={"dropout": True})
    prepared = prepare(spec)
    assert prepared.spec.search.batching == "loop"
    asked = spec.search.model_copy(update={"batching": "vmap"})
    with pytest.raises(InputError, match=r"cannot be batched \(problem\.network\.recompute"):
        prepare(spec.model_copy(update={"search": asked}))


def groups_of(theta: Tensor, recipe: Recipe) -> list[Group]:
    """A group for each weight vector, which no round has changed yet."""
    return [
        Group((bead,), fresh(theta[bead : bead + 1].clone(), recipe.slots, 0.0, 99, [bead]))
        for bead in range(len(theta))
    ]


def test_ends_alone_with_dropout_leave_compiled_code_to_the_rest() -> None:
    """Compiled code cannot drop, so the steps of the ends are taken by torch."""
    spec = spec_of(MLP | {"dropout": 0.2}, endpoints={"dropout": True}, greedy={"dropout": False})
    problem = build_problem(spec.problem)
    chosen, backend = choose_backend(spec, problem)
    if chosen.search.batching != "fused":
        pytest.skip("numba cannot be imported")
    theta = torch.stack([problem.initial(seed) for seed in range(2)])
    found = {}
    for key, training in (("ends", spec.endpoints), ("beads", spec.search.greedy)):
        recipe = Recipe(training.model_copy(update={"check_every": 3}))
        ours, theirs = (
            way.advance(recipe, groups_of(theta, recipe)) for way in (backend, vmapped(problem))
        )
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one.rows.theta, other.rows.theta, rtol=1e-4, atol=1e-6)
        found[key] = ours[0].rows.theta
    assert not torch.allclose(found["ends"], found["beads"], rtol=1e-3, atol=1e-4)
