"""What is compared: weights block by block, activations as deviations of length 1."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.alignment import evidence as module
from engine.alignment.evidence import Evidence, faint, of_activations, of_weights, samples_for
from engine.alignment.forward import Forward
from engine.networks.modules.units.groups import Along
from tests.support import unit_zoo


def test_products_of_activations_are_correlations() -> None:
    problem = unit_zoo.problem_of("mlp")
    forward = Forward(problem)
    traced = forward.traced(unit_zoo.SAMPLES)
    first, second = problem.initial(1), problem.initial(2)
    found = of_activations(forward, traced, unit_zoo.SAMPLES, first, second)
    x = forward.samples(unit_zoo.SAMPLES).flatten(1)
    hidden = []
    for theta in (first, second):
        named = forward.named(theta)
        hidden.append(torch.relu(x @ named["1.weight"].T + named["1.bias"]).numpy())
    expected = np.corrcoef(np.concatenate(hidden, axis=1).T)[:5, 5:]
    (layer,) = [each for each in found if each.groups == {0}]
    assert np.allclose((layer.ours @ layer.theirs.T).numpy(), np.nan_to_num(expected), atol=1e-12)


def test_products_of_weights_are_those_of_the_tensors() -> None:
    problem = unit_zoo.problem_of("gru")
    forward = Forward(problem)
    units = forward.traced(2).units
    ours, theirs = (forward.named(problem.initial(seed)) for seed in (1, 2))
    found = of_weights(units, ours, theirs)
    moving = [name for name in ours if name != "output.bias"]  # which holds no units
    expected = sum(float((ours[name] * theirs[name]).sum()) for name in moving)
    assert sum(float((e.ours * e.theirs).sum()) for e in found) == pytest.approx(expected)


def test_samples_are_as_many_as_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = Forward(unit_zoo.problem_of("mlp"))
    traced = forward.traced(2)
    assert samples_for(forward, traced, 2) == unit_zoo.SAMPLES
    monkeypatch.setattr(module, "HELD", 55)  # of 11 values a sample
    monkeypatch.setattr(module, "FEWEST", 1)
    assert samples_for(forward, traced, 2) == 5


def test_faint_evidence_counts_for_less_than_a_millionth() -> None:
    axes = (Along(2, 0), Along(3, None))
    ours, theirs = 50 * torch.rand(2, 2, 3, generator=torch.Generator().manual_seed(1)).double()
    (found,) = faint([Evidence(ours, theirs, axes)])
    assert 0 < float((found.ours * found.theirs).sum()) <= module.FAINT
