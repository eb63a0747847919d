"""The barrier of models whose statistics of batch normalization are mixed, by plain torch."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from benchmarks.barriers import COLUMNS, WAYS, between, line, told
from engine.problem.problem import build_problem
from engine.spec.yaml_file import parse
from tests.support import unit_zoo


def test_models_in_between_have_statistics_in_proportion_to_t() -> None:
    spec = parse(unit_zoo.preset_of("resnet-bn"))
    problem = build_problem(spec.problem)
    first, last = problem.initial(1), problem.initial(2)
    found = between(problem, first, last, [0.0, 0.25, 1.0], "train")
    x, y = problem.train.part(slice(None), torch.float32)
    models = []
    for theta in (first, last):
        network = unit_zoo.made("resnet-bn")
        nn.utils.vector_to_parameters(theta, network.parameters())
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = None
        with torch.no_grad():
            network.train()(x)
        models.append(network.eval())
    one, other = (model.state_dict() for model in models)
    for t, (loss, error) in zip((0.0, 0.25, 1.0), found, strict=True):
        mixed = copy.deepcopy(models[0])
        mixed.load_state_dict(
            {
                n: torch.lerp(each, other[n], t) if each.is_floating_point() else each
                for n, each in one.items()
            }
        )
        with torch.no_grad():
            output = mixed(x)
        assert loss == pytest.approx(float(nn.functional.cross_entropy(output, y)), rel=1e-4)
        assert error == pytest.approx(float((output.argmax(1) != y).float().mean()), abs=1e-6)


def test_a_table_tells_means_and_their_errors() -> None:
    rows = [dict.fromkeys(COLUMNS, value) | {"error over mean": None} for value in (1.0, 2.0)]
    assert told(rows, "its peak") == "1.5 ± 0.5" and told(rows, "error over mean") == "–"
    assert told(rows, "held-out error over mean") == "150 ± 50 %"
    assert line("digits", WAYS[0], rows[:1]).startswith("| digits | 1 | as they are | 1 | 1 |")
