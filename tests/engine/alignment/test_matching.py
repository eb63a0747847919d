"""Units that were relabelled find their places again, in networks of many makes."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
import torch

from engine.alignment.evidence import Evidence, faint, of_activations, of_weights
from engine.alignment.forward import Forward
from engine.alignment.matching import assigned, matched
from engine.alignment.relabelling import Relabelling, relabelled, unchanged
from engine.alignment.scaling import balance, balanced
from engine.networks.modules.units.groups import Along, Group, Units
from tests.support import unit_zoo

SIZES: dict[str, list[int]] = {
    "mlp": [5, 6],
    "mlp-tanh": [5, 6],
    "residual": [30, 50],
    "cnn": [4, 5, 6],
    "resnet-bn": [4, 4, 6, 6],
    "resnet-ln": [4, 4, 6, 6],
    "vgg": [4, 4, 6, 8],
    "depthwise": [6, 5, 2, 4],
    "grouped": [3, 2, 3, 4],
    "padded": [4, 2, 2],
    "concatenated": [4, 3, 5, 6],
    "lstm": [4, 5, 5],
    "lstm-both": [4, 5, 5],
    "gru": [4, 5],
    "rnn": [4, 5],
    "transformer": [8, 2, 4, 4, 6, 2, 4, 4, 6],
    "transformer-tied": [8, 2, 4, 4, 6, 2, 4, 4, 6],
}
"""The sizes of the groups of each network of the zoo, counted by hand."""


@pytest.mark.parametrize("name", [*unit_zoo.IMAGES, *unit_zoo.TOKENS])
def test_a_planted_order_is_found_again(name: str) -> None:
    """Every unit that may move moves, the function stays, and both ways of matching undo it."""
    problem = unit_zoo.problem_of(name)
    forward = Forward(problem)
    traced = forward.traced(unit_zoo.SAMPLES)
    units = traced.units
    assert [group.size for group in units.groups] == SIZES[name]
    ours = forward.named(problem.initial(5))
    theirs = relabelled(units, ours, unit_zoo.planted(units, seed=2))
    first, second = forward.vector(ours), forward.vector(theirs)
    assert (first - second).abs().max() > 0.3
    x = forward.samples(unit_zoo.SAMPLES)
    expected = forward.output(first, x)
    assert (forward.output(second, x) - expected).abs().max() < 1e-12 * expected.abs().max()

    scales = balance(units, ours), balance(units, theirs)
    pair = balanced(units, ours, scales[0]), balanced(units, theirs, scales[1])
    by_weights = of_weights(units, *pair)
    seen = of_activations(forward, traced, unit_zoo.SAMPLES, first, second)
    for evidence in (by_weights, [*seen, *faint(by_weights)]):
        back = relabelled(units, pair[1], matched(units, evidence))
        assert all(torch.allclose(back[key], pair[0][key], atol=1e-12) for key in ours)


@pytest.mark.parametrize("by", ["weights", "activations"])
def test_units_that_differ_in_their_biases_alone_are_told_by_them(by: str) -> None:
    """A public report on another implementation (otfusion, issue 4) asks what becomes of biases."""
    problem = unit_zoo.problem_of("mlp")
    forward = Forward(problem)
    traced = forward.traced(unit_zoo.SAMPLES)
    units, ones = traced.units, unchanged(traced.units).scales
    drawn = forward.named(problem.initial(5))
    ours = {n: each if each.ndim == 1 else torch.full_like(each, 0.1) for n, each in drawn.items()}
    theirs = relabelled(units, ours, replace(unit_zoo.planted(units, seed=2), scales=ones))
    assert any(not torch.equal(theirs[name], each) for name, each in ours.items())
    evidence = of_weights(units, ours, theirs)
    if by == "activations":
        first, second = forward.vector(ours), forward.vector(theirs)
        seen = of_activations(forward, traced, unit_zoo.SAMPLES, first, second)
        evidence = [*seen, *faint(evidence)]
    back = relabelled(units, theirs, replace(matched(units, evidence), scales=ones))
    assert all(torch.allclose(back[name], each, atol=1e-12) for name, each in ours.items())


def test_one_group_gets_the_best_of_all_orders() -> None:
    draws = torch.Generator().manual_seed(4)
    ours, theirs = torch.randn(2, 5, 3, generator=draws, dtype=torch.float64)
    units = Units((Group("w:0", 5),), (), {}, {})
    evidence = [Evidence(ours, theirs, (Along(5, 0), Along(3, None)))]
    found = matched(units, evidence).orders[0]
    best = max(permutations(range(5)), key=lambda order: float((ours * theirs[[*order]]).sum()))
    assert found.tolist() == [*best]


def test_units_within_units_get_the_best_of_all_orders() -> None:
    """As those of attention's heads: heads change places, and units within each of them."""
    draws = torch.Generator().manual_seed(5)
    ours, theirs = torch.randn(2, 3, 3, 4, generator=draws, dtype=torch.float64)
    units = Units((Group("w:0", 3), Group("w:0/1", 3, parent=0)), (), {}, {})
    axes = (Along(3, 0), Along(3, 1, parent=0), Along(4, None))
    by = matched(units, [Evidence(ours, theirs, axes)])
    found = _worth(ours, theirs, by)
    every = [torch.tensor(order) for order in permutations(range(3))]
    worth = [
        sum(
            max(float((a * b[order]).sum()) for order in every)
            for a, b in zip(ours, heads, strict=True)
        )
        for heads in (theirs[order] for order in every)
    ]
    assert found == pytest.approx(max(worth), rel=1e-12)


def _worth(ours: torch.Tensor, theirs: torch.Tensor, by: Relabelling) -> float:
    heads, inner = by.orders
    moved = torch.stack([theirs[heads[k]][inner[k]] for k in range(len(heads))])
    return float((ours * moved).sum())


def test_related_models_keep_their_order() -> None:
    """The same model with noise is its own best match."""
    problem = unit_zoo.problem_of("mlp")
    forward = Forward(problem)
    units = forward.traced(2).units
    ours = forward.named(problem.initial(3))
    draws = torch.Generator().manual_seed(6)
    theirs = {n: w + 0.01 * torch.randn(w.shape, generator=draws) for n, w in ours.items()}
    found = matched(units, of_weights(units, ours, theirs))
    assert all(
        torch.equal(order, same)
        for order, same in zip(found.orders, unchanged(units).orders, strict=True)
    )


def test_assignments_come_in_batches() -> None:
    worth = torch.tensor([[[0.0, 1.0], [1.0, 0.0]], [[3.0, 0.0], [2.5, 1.0]]], dtype=torch.float64)
    assert assigned(worth).tolist() == [[1, 0], [0, 1]]
