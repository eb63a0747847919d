"""A model aligned with another: what is kept, what is told, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from engine.alignment.align import align, kept, symmetries
from engine.alignment.forward import Forward, one_thread
from engine.alignment.relabelling import relabelled, unchanged
from engine.errors import InputError
from engine.problem.problem import Problem
from tests.support import unit_zoo


@pytest.fixture(scope="module")
def problem() -> Problem:
    return unit_zoo.problem_of("mlp")


def test_another_model_comes_nearer_and_stays_the_same_function(problem: Problem) -> None:
    first, second = problem.initial(1), problem.initial(2)
    found = align(problem, first, second, "weights")
    assert found.theta.dtype == torch.float32 and found.samples == 0
    assert torch.dist(found.theta, first) < torch.dist(second, first)
    x, _ = problem.train.part(slice(None), torch.float32)
    network = problem.computing()
    outputs = []
    for theta in (second, found.theta):
        torch.nn.utils.vector_to_parameters(theta, network.parameters())
        outputs.append(network(x))
    assert torch.allclose(outputs[0], outputs[1], atol=1e-6)
    assert found.off < 1e-12 and 0 < found.moved <= 11
    assert "of 11 units in 2 groups" in found.words


def test_activations_are_counted(problem: Problem) -> None:
    first, second = problem.initial(1), problem.initial(2)
    found = align(problem, first, second, "activations")
    assert found.samples == unit_zoo.SAMPLES
    assert found.passes == 4 * unit_zoo.SAMPLES  # both models, then the check of both


def test_a_rerun_gives_the_same_bits(problem: Problem) -> None:
    first, second = problem.initial(1), problem.initial(2)
    one, other = (align(problem, first, second, "activations").theta for _ in range(2))
    assert torch.equal(one, other)


def test_a_planted_model_is_the_first_one_again(problem: Problem) -> None:
    forward, traced = symmetries(problem)
    first = problem.initial(4)
    by = unit_zoo.planted(traced.units, seed=3)
    second = forward.vector(relabelled(traced.units, forward.named(first), by)).float()
    found = align(problem, first, second, "weights")
    assert torch.allclose(found.theta, first, atol=1e-6)


def test_what_cannot_be_traced_is_refused_in_words() -> None:
    deciding = unit_zoo.problem_of("deciding")
    with pytest.raises(InputError, match="decides by the values that it computes") as refused:
        align(deciding, deciding.initial(1), deciding.initial(2), "weights")
    assert refused.value.key == "problem.network"


def test_a_network_without_hidden_units_is_refused() -> None:
    single = unit_zoo.problem_of("single")
    with pytest.raises(InputError, match="no hidden units"):
        align(single, single.initial(1), single.initial(2), "weights")


def test_another_function_is_refused(problem: Problem) -> None:
    """As it would come of a group that leaves out a place where its units stand."""
    forward, traced = symmetries(problem)
    units = traced.units
    blocks = {name: () if name == "3.bias" else each for name, each in units.blocks.items()}
    broken = replace(units, blocks=blocks)
    by = unit_zoo.planted(units, seed=1)
    with pytest.raises(InputError, match="another function"):
        kept(forward, problem.initial(1), broken, by, "weights")
    assert kept(forward, problem.initial(1), broken, unchanged(units), "weights").moved == 0


def test_one_thread_computes(problem: Problem) -> None:
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_the_forward_is_that_of_the_network() -> None:
    """With statistics of its own, as torch's layers find them in one pass with momentum=None."""
    problem = unit_zoo.problem_of("resnet-bn")
    forward, theta = Forward(problem), problem.initial(2)
    x, _ = problem.train.part(slice(None), torch.float64)
    plain = unit_zoo.made("resnet-bn").double()
    torch.nn.utils.vector_to_parameters(theta.double(), plain.parameters())
    for layer in plain.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None
    with torch.no_grad():
        plain(x)
        expected = plain.eval()(x)
    assert torch.allclose(forward.output(theta, x), expected, atol=1e-12)
