"""What training blocks ask of their steps is possible, or refused in one sentence."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.backends.in_place import InPlaceBackend
from engine.errors import InputError
from engine.problem.problem import build_problem
from engine.run.choosing import choose_backend
from engine.run.practices import check_practices
from engine.run.prepare import prepare
from engine.spec.checks import check_method
from engine.spec.keys import Spec
from engine.spec.validation import validated
from engine.steps.groups import Group
from engine.steps.practice import Practice
from engine.steps.recipe import Recipe
from engine.steps.rows import fresh
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


class Attentive(nn.Module):
    """A module whose attention drops within torch, on images as rows of eight pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.3, batch_first=True)
        self.last = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layer(x.view(len(x), 8, 8)).mean(1))  # type: ignore[no-any-return]


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
    assert "drops nothing" in refusal(spec_of(plain, greedy={"dropout": True}))
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
        assert choose_backend(spec, problem).spec.search.batching in ("vmap", "loop")


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
    backend = choose_backend(spec, problem).backend
    if backend.name != "fused":
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


def test_layers_that_draw_within_torch_are_trained_one_by_one_and_the_same_each_time() -> None:
    network = {"kind": "custom", "factory": f"{HERE}:Attentive"}
    spec = spec_of(network, endpoints={"dropout": True, "batch_size": 16, "check_every": 3})
    prepared = prepare(spec)
    assert prepared.spec.search.batching == "loop"
    problem = prepared.backend.problem
    theta = torch.stack([problem.initial(seed) for seed in range(3)])
    recipe = Recipe(spec.endpoints)
    together = prepared.backend.advance(recipe, groups_of(theta, recipe))
    torch.randn(7)
    alone = prepared.backend.advance(recipe, groups_of(theta, recipe)[2:])
    assert torch.equal(alone[0].rows.theta, together[2].rows.theta)
    still = Recipe(spec.endpoints.model_copy(update={"dropout": False}))
    other = prepared.backend.advance(still, groups_of(theta, still)[2:])
    assert not torch.allclose(other[0].rows.theta, alone[0].rows.theta, rtol=1e-3, atol=1e-4)
    with pytest.raises(InputError, match="cannot be drawn again"):
        prepare(spec_of(network | {"recompute": ["layer"]}, endpoints={"dropout": True}))


def test_what_is_computed_again_takes_the_same_steps() -> None:
    found = []
    for names in ([], ["first"]):
        spec = spec_of(CUSTOM | {"recompute": names}, endpoints={"dropout": True, "batch_size": 16})
        problem = build_problem(spec.problem)
        theta = torch.stack([problem.initial(seed) for seed in range(2)])
        recipe = Recipe(spec.endpoints.model_copy(update={"check_every": 4}))
        groups = InPlaceBackend(problem).advance(recipe, groups_of(theta, recipe))
        found.append(torch.cat([group.rows.theta for group in groups]))
    assert torch.equal(*found)
    assert not torch.equal(found[0], theta)


def test_batch_normalization_sees_one_micro_batch_at_a_time() -> None:
    """As where a plain loop adds gradients up; a last part of one sample joins the one before."""
    network = {
        "kind": "resnet",
        "input": [1, 8, 8],
        "widths": [3],
        "blocks": 1,
        "norm": "batch",
        "outputs": 10,
    }
    problem = build_problem(spec_of(network).problem)
    theta, numbers = problem.initial(3)[None], torch.arange(11)[None]
    practice = Practice(micro_batch=5)
    _, grad = vmapped(problem).practised(theta, numbers, practice)
    expected = torch.zeros_like(theta)
    for part in (numbers[:, :5], numbers[:, 5:]):
        _, of_part = vmapped(problem).loss_and_grad_on(theta, part)
        expected += of_part * part.shape[1] / 11
    torch.testing.assert_close(grad, expected, rtol=1e-5, atol=1e-6)
    _, whole = vmapped(problem).loss_and_grad_on(theta, numbers)
    assert not torch.allclose(grad, whole, rtol=1e-2, atol=1e-4)


def test_a_pattern_of_names_that_fits_nothing_is_refused_with_its_key() -> None:
    exempt = {"optimizer": {"kind": "sgd", "weight_decay": 0.1, "decay_exempt": ["layers.0.*"]}}
    spec = spec_of(greedy=exempt)
    check_practices(spec, build_problem(spec.problem))
    exempt["optimizer"]["decay_exempt"] = ["bias", "embedding.*"]
    said = refusal(spec_of(greedy=exempt))
    assert said.startswith(
        "search.greedy.optimizer.decay_exempt: the pattern embedding.* fits no p"
    )
