"""Networks against torch's own layers, many weight vectors against one after another."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from engine.networks import build_network
from tests.support.imports import imported_by
from tests.support.networks import (
    BEADS,
    PAPER,
    SAMPLES,
    SPECS,
    TOLERANCE,
    assert_same,
    loss_of,
    network_of,
    one_by_one,
    samples,
    spec_of,
    together,
    weights_of,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("own", [True, False], ids=["own-x", "shared-x"])
@pytest.mark.parametrize("name", SPECS)
def test_many_weight_vectors_are_as_one_after_another(
    name: str, own: bool, dtype: torch.dtype
) -> None:
    network, spec = network_of(name), spec_of(SPECS[name])
    x, y = samples(spec, (BEADS, SAMPLES) if own else (SAMPLES,))
    x = x.to(dtype) if x.is_floating_point() else x
    weights, loss = weights_of(network, dtype), loss_of(network)
    alone = one_by_one(loss, weights, x, y, own)
    assert_same(together(loss, weights, x, y, own), alone, TOLERANCE[dtype])
    assert len(set(alone[0].tolist())) == BEADS


@pytest.mark.parametrize("name", SPECS)
def test_float32_is_close_to_float64(name: str) -> None:
    network, spec = network_of(name), spec_of(SPECS[name])
    x, y = samples(spec, (SAMPLES,))
    rough = weights_of(network, torch.float32)
    exact = {name: part.double() for name, part in rough.items()}
    fine_x = x.double() if x.is_floating_point() else x
    loss = loss_of(network)
    found = one_by_one(loss, rough, x, y, own=False)
    expected = one_by_one(loss, exact, fine_x, y, own=False)
    assert_same([part.double() for part in found], expected, 3e-5)


@pytest.mark.parametrize("name", SPECS)
def test_a_network_can_be_copied_after_it_was_lent_weights(name: str) -> None:
    network, spec = network_of(name), spec_of(SPECS[name])
    x, y = samples(spec, (SAMPLES,))
    weights, loss = weights_of(network, torch.float32), loss_of(network)
    expected = one_by_one(loss, weights, x, y, own=False)
    assert_same(one_by_one(loss_of(copy.deepcopy(network)), weights, x, y, False), expected, 1e-6)


@pytest.mark.parametrize("name", SPECS)
def test_parameters_are_counted_as_torch_does(name: str) -> None:
    spec = spec_of(SPECS[name])
    count = sum(parameter.numel() for parameter in build_network(spec).parameters())
    assert spec.parameter_count == count


@pytest.mark.parametrize(
    ("tree", "words", "features", "outputs"),
    [
        (PAPER, "1×28×28, conv 32, pool, conv 64, pool, dense 1024, 10", 784, 10),
        (SPECS["mlp"], "24-7-3", 24, 3),
        (SPECS["linear"], "24-5-3", 24, 3),
        ({"kind": "resnet", "input": [3, 32, 32], "outputs": 10},
         "resnet 16-32-64, 1 block each", 3072, 10),
        (SPECS["resnet"], "resnet 4-6-6, 2 blocks each", 126, 3),
        ({"kind": "lstm", "vocabulary": 5000, "hidden": 128},
         "lstm 64-128, vocabulary 5 000", None, 5000),
        (SPECS["lstm-two"], "lstm 3-7-7, vocabulary 6", None, 6),
        ({"kind": "custom", "factory": "mine.py:net"}, "mine.py:net", None, None),
    ],
)  # fmt: skip
def test_sizes_in_words_and_at_the_ends(
    tree: dict[str, Any], words: str, features: int | None, outputs: int | None
) -> None:
    spec = spec_of(tree)
    assert spec.words == words
    ends = [end and end.size for end in (spec.takes, spec.gives)]
    assert ends == [features, outputs]


def test_only_the_module_knows_how_large_a_custom_network_is() -> None:
    assert spec_of({"kind": "custom", "factory": "mine.py:net"}).parameter_count is None


def test_sizes_are_known_without_torch() -> None:
    assert "torch" not in imported_by("import engine.networks")


@pytest.mark.parametrize("name", [n for n in SPECS if not n.startswith("lstm")])
def test_flat_samples_and_images_are_the_same(name: str) -> None:
    network, spec = network_of(name), spec_of(SPECS[name])
    x, _ = samples(spec, (SAMPLES,))
    shape = SPECS[name].get("input", [2, 3, 4])
    assert torch.equal(network(x), network(x.view(SAMPLES, *shape)))
