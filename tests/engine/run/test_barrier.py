"""Barriers between pairs of models, held against a script in plain torch and numpy."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

import engine
from engine.problem.problem import build_problem
from engine.run.barrier import Barrier, barrier
from engine.spec.keys import Spec
from engine.spec.training import AlignedBy
from tests.support.pairs import (
    Vector,
    between,
    definitions,
    digits,
    drawn,
    estimating,
    mlp,
    saved,
    scores,
    string_of,
    trained,
)

POINTS = 9
DENSE = np.linspace(0, 1, 257)


def forward(model: nn.Module, x: Tensor) -> Tensor:
    *hidden, last = model.layers  # type: ignore[misc]
    for layer in hidden:
        x = torch.relu(layer(x))
    return last(x)  # type: ignore[no-any-return]


def normalized_network() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 10))


def with_statistics(network: nn.Module, weights: dict[str, Tensor], x: Tensor) -> nn.Module:
    """The model of some weights, whose layers of torch found their statistics in one pass."""
    network = network.double()
    network.load_state_dict({**network.state_dict(), **weights})
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d):
            layer.reset_running_stats()
            layer.momentum = None
    with torch.no_grad():
        network.train()(x)
    return network.eval()


def check(found: Barrier, expected: Callable[[float], list[float]]) -> None:
    """Compares a barrier with four numbers at each t: loss and error, training and held-out."""
    np.testing.assert_allclose(found.t, np.linspace(0, 1, POINTS), rtol=1e-15)
    for number, line in enumerate(found.lines):
        at = [expected(t)[number] for t in found.t]
        np.testing.assert_allclose(line.values, at, rtol=1e-9, atol=1e-12)
    dense = np.array([expected(float(t)) for t in DENSE]).T
    for line, values in zip(found.lines, dense, strict=True):
        peak, over_mean, over_chord = definitions(DENSE, values)
        sampled = definitions(np.array(found.t), np.array(line.values))
        told = (line.peak, line.over_mean, line.over_interpolation)
        for mine, fine, coarse in zip(told, (peak, over_mean, over_chord), sampled, strict=True):
            assert mine >= coarse - 1e-12
            if line.measure.metric == "loss":  # an error jumps, so that its peak may hide
                assert mine == pytest.approx(fine, rel=2e-3)


@pytest.fixture(scope="module")
def models() -> list[nn.Module]:
    return [trained(lambda: mlp((64, 32, 10)), forward, seed) for seed in range(3)]


@pytest.mark.parametrize("which", [(0, 1), (1, 2)])
def test_pairs_of_digits_have_the_barrier_of_plain_torch(
    which: tuple[int, int], models: list[nn.Module], tmp_path: Path
) -> None:
    one, other = (models[number] for number in which)
    found = barrier(*saved((one, other), tmp_path), digits_spec(), POINTS, certify=False)
    splits, network = digits(), mlp((64, 32, 10)).double()
    network.forward = lambda x: forward(network, x)

    def expected(t: float) -> list[float]:
        weights = between(one, other, t)
        return scores(lambda x: functional_call(network, weights, (x,)), splits)

    check(found, expected)
    vectors = [nn.utils.parameters_to_vector(each.parameters()) for each in (one, other)]
    distance = (vectors[0].double() - vectors[1].double()).norm().item()
    assert found.distance == pytest.approx(distance, rel=1e-9)
    assert (found.aligned, found.repaired, found.normalized_by) == (None, False, "")


def digits_spec() -> Spec:
    return engine.load_preset("digits")


def normalized_spec(folder: Path) -> Spec:
    """A network of the user's own with batch normalization, on the digits."""
    code = "from torch import nn\n\n\ndef network():\n    return nn.Sequential(" + (
        "nn.Linear(64, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 10))\n"
    )
    (folder / "own.py").write_text(code)
    network = {"kind": "custom", "factory": f"{folder / 'own.py'}:network"}
    return engine.load_preset("digits", {"problem.network": network})


def test_batch_normalization_has_statistics_of_its_own_at_each_point(tmp_path: Path) -> None:
    one, other = (trained(normalized_network, lambda model, x: model(x), seed) for seed in (3, 4))
    found = barrier(*saved((one, other), tmp_path), normalized_spec(tmp_path), POINTS)
    splits, network = digits(), normalized_network()
    x = estimating(splits[0][0])

    def expected(t: float) -> list[float]:
        return scores(with_statistics(network, between(one, other, t), x), splits)

    check(found, expected)
    assert "1024 of 1437 training samples, drawn by seed 0" in found.normalized_by
    assert all("batch normalization is not affine" in line.unproven for line in found.lines)


def quadratic(**more: object) -> Spec:
    return engine.load_preset("quadratic", more or {"problem.data.points": 32})


def vectors(spec: Spec) -> tuple[Vector, Vector]:
    first, last = string_of(spec.problem, 2).string.beads.astype(np.float64)
    return first, last


def test_without_classes_and_samples_held_out_there_is_less_to_tell(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import torch\n\n\ndef squares():\n    x = torch.linspace(0, 1, 20)[:, None]\n"
        "    return x, x**2\n"
    )
    data = {"kind": "custom", "factory": f"{tmp_path / 'own.py'}:squares"}
    spec = quadratic(**{"problem.data": data})
    found = engine.barrier(*vectors(spec), spec, certify=False)
    assert found.train.error is None and found.held_out is None
    assert len(found.lines) == 1 and found.train.loss.proven is None


# ---------------------------------------------------------------- relabelled models


def planted(first: Vector) -> Vector:
    """The same function of `quadratic`, the units of its first hidden layer the other way round."""
    problem = build_problem(quadratic().problem)
    parts = {name: part[0] for name, part in problem.named(torch.from_numpy(first)[None]).items()}
    parts["layers.0.weight"] = parts["layers.0.weight"].flip(0)
    parts["layers.0.bias"] = parts["layers.0.bias"].flip(0)
    parts["layers.1.weight"] = parts["layers.1.weight"].flip(1)
    return torch.cat([part.flatten() for part in parts.values()]).numpy()


@pytest.mark.parametrize("by", ["weights", "activations"])
def test_a_relabelled_copy_has_no_barrier(by: AlignedBy) -> None:
    spec = quadratic()
    first, _ = vectors(spec)
    copy = planted(first)
    apart = engine.barrier(first, copy, spec, certify=False)
    assert apart.train.loss.values[0] == pytest.approx(apart.train.loss.values[-1])
    assert apart.distance > 1 and apart.aligned is None
    assert abs(apart.train.loss.values[POINTS] - apart.train.loss.values[0]) > 1e-3
    found = engine.barrier(first, copy, spec, certify=False, align=by)
    assert found.aligned == by and found.distance < 1e-6
    assert found.train.loss.over_interpolation < 1e-9


def test_an_order_that_was_found_before_is_taken_again(
    tmp_path: Path, models: list[nn.Module]
) -> None:
    """The line is that to the checkpoint which `engine.align` writes."""
    a, b = saved((models[0], models[1]), tmp_path)
    spec = digits_spec()
    relabelled = engine.align(a, b, spec, "activations")
    relabelled.write(tmp_path / "c.pt")
    relabelled.write_permutation(tmp_path / "order.safetensors")
    plain, by_file, by_order, at_once = (
        barrier(a, other, spec, POINTS, certify=False, **more)
        for other, more in (
            (b, {}),
            (str(tmp_path / "c.pt"), {}),
            (b, {"permutation": tmp_path / "order.safetensors"}),
            (b, {"align": "activations"}),
        )
    )
    assert by_order.train.loss.values == at_once.train.loss.values
    assert by_order.train.loss.values == pytest.approx(by_file.train.loss.values, rel=1e-5)
    assert (by_order.aligned, by_file.aligned) == ("activations", None)
    assert at_once.train.loss.over_mean < plain.train.loss.over_mean
    with pytest.raises(engine.InputError, match="leave align out"):
        barrier(a, b, spec, align="weights", permutation=tmp_path / "order.safetensors")


# ---------------------------------------------------------------- what is told meanwhile


@pytest.mark.parametrize("repair", [False, True])
def test_what_is_being_done_is_told_with_its_share(repair: bool) -> None:
    told: list[tuple[str, float]] = []
    spec = quadratic(**{"problem.data.points": 32, "endpoints.align": "activations"})
    engine.barrier(
        *vectors(spec),
        spec,
        align="activations",
        repair=repair,
        told=lambda stage, share: told.append((stage, share)),
    )
    stages = [stage for stage, _ in groupby(stage for stage, _ in told)]
    assert stages == (["aligned", "measured"] if repair else ["aligned", "measured", "proven"])
    for stage in stages:
        shares = [share for each, share in told if each == stage]
        assert shares == sorted(shares) and len(shares) > 1
        assert shares[0] > 0 and 0.7 < shares[-1] <= 1.0


# ---------------------------------------------------------------- what cannot be measured


def test_mistakes_are_told_in_one_sentence(tmp_path: Path, models: list[nn.Module]) -> None:
    measured: Any = barrier
    a, b = saved((models[0], models[1]), tmp_path)
    spec = digits_spec()
    for arguments, words in (
        ((a, a, spec), "is the same model as"),
        ((a, b), "do not say what they are of; give a preset"),
        ((a, None, spec), "is one model; give a second one"),
        ((a, str(tmp_path / "c.pt"), spec), "no such file"),
        ((a, b, quadratic()), "give the network that it was trained with"),
        ((a, b, spec, 4), "points: is 4, but must be at least 5"),
    ):
        with pytest.raises(engine.InputError, match=words):
            measured(*arguments)


def test_a_user_s_own_code_is_held_against_plain_torch(tmp_path: Path) -> None:
    """A module that keeps numbers of its own beside its parameters is none that can be told."""
    (tmp_path / "odd.py").write_text(
        "import torch\nfrom torch import nn\n\n\nclass Odd(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.layer, self.kept = nn.Linear(64, 10), [torch.randn(64)]\n\n"
        "    def forward(self, x):\n        return self.layer(x + self.kept[0].to(x))\n"
    )
    network = {"kind": "custom", "factory": f"{tmp_path / 'odd.py'}:Odd"}
    spec = engine.load_preset("digits", {"problem.network": network})
    with pytest.raises(engine.InputError, match="plain torch"):
        barrier(*drawn(650), spec, POINTS)
