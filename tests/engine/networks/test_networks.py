"""Networks against torch's own layers, many weight vectors against one after another."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional

from engine.errors import InputError
from engine.networks import build_network
from engine.networks.modules.vmapped import under_vmap
from engine.problem.batch_norm import BatchNorm, Mode, batch_norms, collect, replace_batch_norm
from engine.spec.keys import Network
from tests.support.imports import imported_by

CONV5 = {"kind": "conv", "kernel": 5}
POOL = {"kind": "pool"}
PAPER = {
    "kind": "cnn",
    "input": [1, 28, 28],
    "layers": [
        CONV5 | {"channels": 32},
        POOL,
        CONV5 | {"channels": 64},
        POOL,
        {"kind": "dense", "units": 1024},
    ],
    "outputs": 10,
}
SPECS: dict[str, dict[str, Any]] = {
    "linear": {"kind": "linear", "sizes": [24, 5, 3]},
    "mlp": {"kind": "mlp", "sizes": [24, 7, 3]},
    "mlp-plain": {"kind": "mlp", "sizes": [24, 7, 6, 3], "bias": False, "activation": "tanh"},
    "cnn": {
        "kind": "cnn",
        "input": [2, 9, 8],
        "layers": [
            {"kind": "conv", "channels": 4},
            POOL,
            {"kind": "conv", "channels": 3, "kernel": 2, "stride": 2, "padding": 1},
            {"kind": "dense", "units": 6},
            {"kind": "dense", "units": 5},
        ],
        "outputs": 3,
    },
    "cnn-average": {
        "kind": "cnn",
        "input": [1, 7, 8],
        "layers": [
            CONV5 | {"channels": 3, "stride": 2},
            {"kind": "pool", "size": 3, "by": "average"},
            {"kind": "conv", "channels": 2, "kernel": 1, "padding": 0},
        ],
        "outputs": 4,
        "activation": "tanh",
    },
    "cnn-dense": {
        "kind": "cnn",
        "input": [2, 3, 4],
        "layers": [{"kind": "dense", "units": 5}],
        "outputs": 3,
        "activation": "sigmoid",
    },
    "resnet": {
        "kind": "resnet",
        "input": [3, 7, 6],
        "widths": [4, 6, 6],
        "blocks": 2,
        "outputs": 3,
    },
    "resnet-layer": {
        "kind": "resnet",
        "input": [1, 8, 8],
        "widths": [4, 3],
        "norm": "layer",
        "outputs": 5,
    },
    "lstm": {"kind": "lstm", "vocabulary": 11, "embedding": 5, "hidden": 4},
    "lstm-two": {"kind": "lstm", "vocabulary": 6, "embedding": 3, "hidden": 7, "layers": 2},
}
BEADS, SAMPLES, TIME = 3, 5, 9
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def spec_of(tree: dict[str, Any]) -> Network:
    return TypeAdapter[Network](Network).validate_json(json.dumps(tree))


def draw(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network_of(name: str, mode: Mode = "batch") -> nn.Module:
    network = replace_batch_norm(build_network(spec_of(SPECS[name])))
    for _, norm in batch_norms(network):
        norm.mode = mode
    return network.eval()


def samples(spec: Network, count: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """x (…, feature), classes y (…); or tokens (…, time) and the tokens after them."""
    assert spec.gives is not None
    outputs = spec.gives.size
    if spec.takes is None:
        x = torch.randint(outputs, (*count, TIME), generator=draw())
        return x, torch.randint(outputs, (*count, TIME), generator=draw(4))
    return (
        torch.randn(*count, spec.takes.size, generator=draw()),
        torch.randint(outputs, count, generator=draw(4)),
    )


def weights_of(network: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """Random weights (bead, …) of the sizes that networks begin with."""
    random = draw(5)
    weights = {}
    for name, parameter in network.named_parameters():
        shape = (BEADS, *parameter.shape)
        centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        weights[name] = (centre + 0.3 * torch.randn(shape, generator=random)).to(dtype)
    return weights


Named = dict[str, Tensor]
Loss = Callable[[Named, Tensor, Tensor], Tensor]


def loss_of(network: nn.Module) -> Loss:
    def loss(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(functional_call(network, weights, (x,)), y)

    return loss


def one_by_one(
    loss: Loss, weights: Named, x: Tensor, y: Tensor, own: bool, fixed: Named | None = None
) -> list[Tensor]:
    """Losses (bead,), then gradients (bead, …), from one plain call for each bead.

    `own`: x and y have a bead axis; `fixed`: buffers with one, without gradients.
    """
    losses, grads = [], []
    for bead in range(BEADS):
        leaves = {name: part[bead].clone().requires_grad_() for name, part in weights.items()}
        buffers = {name: part[bead] for name, part in (fixed or {}).items()}
        of_bead = loss(leaves | buffers, *((x[bead], y[bead]) if own else (x, y)))
        losses.append(of_bead.detach())
        grads.append(torch.autograd.grad(of_bead, list(leaves.values())))
    return [torch.stack(losses), *map(torch.stack, zip(*grads, strict=True))]


def together(
    loss: Loss, weights: Named, x: Tensor, y: Tensor, own: bool, fixed: Named | None = None
) -> list[Tensor]:
    """The same from one call under vmap."""
    leaves = {name: part.clone().requires_grad_() for name, part in weights.items()}
    axis = 0 if own else None
    losses = vmap(loss, in_dims=(0, axis, axis))(leaves | (fixed or {}), x, y)
    return [losses.detach(), *torch.autograd.grad(losses.sum(), list(leaves.values()))]


def assert_same(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    """Losses, and gradients beside the largest of their entries."""
    scale = max(grad.abs().max().item() for grad in expected[1:])
    assert scale > 1e-3
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance * scale)


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


# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize("name", SPECS)
def test_parameters_are_counted_as_torch_does(name: str) -> None:
    spec = spec_of(SPECS[name])
    count = sum(parameter.numel() for parameter in build_network(spec).parameters())
    assert spec.parameter_count == count


def test_the_paper_s_network_for_mnist() -> None:
    """800 + 32, 51 200 + 64, 3 211 264 + 1 024, 10 240 + 10 numbers, layer by layer."""
    spec = spec_of(PAPER)
    network = build_network(spec)
    counts = [parameter.numel() for parameter in network.parameters()]
    assert counts == [800, 32, 51_200, 64, 3_211_264, 1024, 10_240, 10]
    assert spec.parameter_count == sum(counts) == 3_274_634
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


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


def cnn(*layers: dict[str, Any], shape: tuple[int, int, int] = (1, 7, 5)) -> Network:
    return spec_of({"kind": "cnn", "input": shape, "layers": layers, "outputs": 2})


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [POOL, {"kind": "dense", "units": 4}, {"kind": "conv", "channels": 2}],
            "problem.network.layers: layer 3 is a conv, but layer 2 is dense; put all dense layers "
            "last",
        ),
        (
            [{"kind": "dense", "units": 4}, POOL],
            "problem.network.layers: layer 2 is a pool, but layer 1 is dense; put all dense layers "
            "last",
        ),
        (
            [POOL, POOL | {"size": 3}],
            "problem.network.layers: layer 2 pools 3×3, but what is left is 3×2; give it a size of "
            "at most 2, or take it out",
        ),
        (
            [POOL, {"kind": "conv", "channels": 2, "kernel": 5, "padding": 1}],
            "problem.network.layers: layer 2 has a kernel of 5×5, but what is left is 5×4 with its "
            "padding; give it a kernel of at most 4, or padding: same",
        ),
        (
            [POOL, {"kind": "conv", "channels": 2, "kernel": 4}],
            "problem.network.layers.1.kernel: is 4, but padding same needs an odd kernel; make it "
            "5, or give the padding as a number",
        ),
    ],
)
def test_layers_that_do_not_fit_are_refused(layers: list[dict[str, Any]], message: str) -> None:
    spec = cnn(*layers)
    for refused in (spec.check, lambda: spec.parameter_count, spec.build):
        with pytest.raises(InputError) as error:
            refused()
        assert str(error.value) == message


def test_the_last_pixel_can_still_be_convolved_and_pooled() -> None:
    spec = cnn(POOL, POOL, CONV5 | {"channels": 3}, POOL | {"size": 1}, shape=(2, 7, 6))
    spec.check()
    assert spec.parameter_count == 3 * (2 * 25 + 1) + 2 * (3 + 1)
    assert build_network(spec)(torch.zeros(4, 84)).shape == (4, 2)


def test_sizes_are_known_without_torch() -> None:
    assert "torch" not in imported_by("import engine.networks")


# ---------------------------------------------------------------- against torch's own layers


def outputs_of(name: str, x: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    network = network_of(name)
    weights = {key: part[1] for key, part in weights_of(network, torch.float64).items()}
    return weights, functional_call(network, weights, (x,))


def test_a_cnn_is_the_chain_of_its_layers() -> None:
    x = torch.randn(SAMPLES, 2, 9, 8, generator=draw(), dtype=torch.float64)
    w, found = outputs_of("cnn", x)
    reference = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 3, 2, 2, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(27, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3),
    ).double()  # fmt: skip
    names = [name for name, _ in reference.named_parameters()]
    reference.load_state_dict(dict(zip(names, w.values(), strict=True)))
    torch.testing.assert_close(found, reference(x))
    assert list(w) == [
        f"{layer}.{part}"
        for layer in ("layers.0", "layers.2", "layers.3", "layers.4", "output")
        for part in ("weight", "bias")
    ]


def test_average_pooling_and_strides() -> None:
    x = torch.randn(SAMPLES, 1, 7, 8, generator=draw(), dtype=torch.float64)
    w, found = outputs_of("cnn-average", x)
    y = functional.conv2d(x, w["layers.0.weight"], w["layers.0.bias"], stride=2, padding=2).tanh()
    y = y[:, :, :3, :3].mean((2, 3), keepdim=True)  # of 4×4, what one 3×3 window covers
    y = functional.conv2d(y, w["layers.2.weight"], w["layers.2.bias"]).tanh()
    torch.testing.assert_close(
        found, functional.linear(y.flatten(1), w["output.weight"], w["output.bias"])
    )


@pytest.mark.parametrize("norm", ["resnet", "resnet-layer"])
def test_a_resnet_is_stem_blocks_mean_and_a_linear_layer(norm: str) -> None:
    tree = SPECS[norm]
    x = torch.randn(SAMPLES, *tree["input"], generator=draw(), dtype=torch.float64)
    w, found = outputs_of(norm, x)

    def normalized(x: Tensor, name: str) -> Tensor:
        axes = (0, 2, 3) if norm == "resnet" else (1, 2, 3)
        x = x - x.mean(axes, keepdim=True)
        x = x / (x.square().mean(axes, keepdim=True) + 1e-5).sqrt()
        return x * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]

    def conv(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = w[f"{name}.weight"]
        return functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    y = normalized(conv(x, "conv"), "norm").relu()
    at = 0
    for stage in range(len(tree["widths"])):
        for block in range(tree.get("blocks", 1)):
            name, stride = f"blocks.{at}", 2 if stage and not block else 1
            inner = normalized(conv(y, f"{name}.conv1", stride), f"{name}.norm1").relu()
            inner = normalized(conv(inner, f"{name}.conv2"), f"{name}.norm2")
            if f"{name}.shortcut.0.weight" in w:
                y = normalized(conv(y, f"{name}.shortcut.0", stride), f"{name}.shortcut.1")
            y = (y + inner).relu()
            at += 1
    assert not any(name.startswith(f"blocks.{at}") for name in w)
    torch.testing.assert_close(
        found, functional.linear(y.mean((2, 3)), w["output.weight"], w["output.bias"])
    )


class Reference(nn.Module):
    """The same language model out of torch's layers."""

    def __init__(self, vocabulary: int, embedding: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.lstm = nn.LSTM(embedding, hidden, layers, batch_first=True)
        self.output = nn.Linear(hidden, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        states, _ = self.lstm(self.embedding(tokens))
        logits: Tensor = self.output(states)
        return logits.permute(0, 2, 1)


@pytest.mark.parametrize(("name", "sizes"), [("lstm", (11, 5, 4, 1)), ("lstm-two", (6, 3, 7, 2))])
def test_an_lstm_is_that_of_torch(name: str, sizes: tuple[int, int, int, int]) -> None:
    """Names, shapes, fresh random weights and outputs; alone and, step by step, under vmap."""
    torch.manual_seed(6)
    reference = Reference(*sizes)
    torch.manual_seed(6)
    network = network_of(name)
    for ours, torchs in zip(network.named_parameters(), reference.named_parameters(), strict=True):
        assert ours[0] == torchs[0]
        assert torch.equal(ours[1], torchs[1])
    torch.manual_seed(7)
    other = Reference(*sizes)
    network.load_state_dict(other.state_dict())
    tokens = torch.randint(sizes[0], (SAMPLES, TIME), generator=draw(), dtype=torch.int32)
    with torch.no_grad():
        torch.testing.assert_close(network(tokens), other(tokens), rtol=1e-5, atol=1e-6)
        assert network(tokens).shape == (SAMPLES, sizes[0], TIME)
        pair = [dict(model.named_parameters()) for model in (reference, other)]
        weights = {key: torch.stack([one[key] for one in pair]) for key in pair[0]}
        batched = vmap(lambda w: functional_call(network, w, (tokens,)))(weights)
        torch.testing.assert_close(batched[0], reference(tokens), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(batched[1], other(tokens), rtol=1e-5, atol=1e-6)


def test_an_output_knows_no_later_token() -> None:
    network = network_of("lstm-two")
    tokens = torch.randint(6, (2, TIME), generator=draw())
    changed = tokens.clone()
    changed[:, 5] = (changed[:, 5] + 1) % 6
    before, after = network(tokens), network(changed)
    torch.testing.assert_close(before[:, :, :5], after[:, :, :5])
    assert ((before - after)[:, :, 5:].abs().amax(1) > 1e-6).all()


@pytest.mark.parametrize("name", [n for n in SPECS if not n.startswith("lstm")])
def test_flat_samples_and_images_are_the_same(name: str) -> None:
    network, spec = network_of(name), spec_of(SPECS[name])
    x, _ = samples(spec, (SAMPLES,))
    shape = SPECS[name].get("input", [2, 3, 4])
    assert torch.equal(network(x), network(x.view(SAMPLES, *shape)))


# ---------------------------------------------------------------- batch normalization


class UsersOwn(nn.Module):
    """Layers that a user may have: without weights, without running statistics, used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(2, eps=1e-3)
        self.inner = nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3, affine=False))
        self.again = self.norm
        self.sides = nn.ModuleDict({"a": nn.BatchNorm1d(3, track_running_stats=False)})
        self.last = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(self.norm(x)).flatten(2)  # (sample, 3, place)
        return self.last(self.sides["a"](x).mean(2))  # type: ignore[no-any-return]


def users_own() -> tuple[UsersOwn, Tensor]:
    torch.manual_seed(8)
    network = UsersOwn()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter))
    return network, 2 + 3 * torch.randn(6, 2, 4, 5)


def test_names_and_weights_stay_when_batch_norm_is_replaced() -> None:
    network, x = users_own()
    ours = replace_batch_norm(network)
    before, after = list(network.named_parameters()), list(ours.named_parameters())
    assert [name for name, _ in after] == [name for name, _ in before]
    for (_, a), (_, b) in zip(after, before, strict=True):
        assert a is not b and torch.equal(a, b)
    assert [name for name, _ in batch_norms(ours)] == ["norm", "inner.1", "sides.a"]
    assert [norm.channels for _, norm in batch_norms(ours)] == [2, 3, 3]
    assert ours.again is ours.norm
    assert not batch_norms(network) and isinstance(network.norm, nn.BatchNorm2d)
    for _, norm in batch_norms(ours):
        norm.mode = "batch"
    torch.testing.assert_close(ours(x), network.train()(x))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm1d(3), (7, 3)),
        (nn.BatchNorm1d(3, affine=False), (7, 3, 4)),
        (nn.BatchNorm2d(3, eps=0.1), (7, 3, 2, 5)),
        (nn.BatchNorm2d(3), (1, 3, 2, 1)),
        (nn.BatchNorm3d(3), (4, 3, 2, 1, 2)),
    ],
)
def test_each_mode_is_torch_s(layer: nn.Module, shape: tuple[int, ...]) -> None:
    """torch's running statistics with momentum 1 are those of the last batch."""
    assert isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
    layer.momentum = 1.0
    x = 1 + 2 * torch.randn(shape, generator=draw())
    other = -1 + 0.5 * torch.randn(shape, generator=draw(9))
    ours = replace_batch_norm(layer)
    assert isinstance(ours, BatchNorm)
    trained = layer.train()(x)
    ours.mode = "batch"
    torch.testing.assert_close(ours(x), trained)
    assert list(ours.collected) == []
    ours.mode = "collect"
    torch.testing.assert_close(ours(x), trained)
    mean, var = ours.statistics()
    torch.testing.assert_close(mean, layer.running_mean)
    torch.testing.assert_close(var, layer.running_var)
    ours.mode = "given"
    layer.eval()
    found = functional_call(ours, {"mean": mean, "var": var}, (other,))
    torch.testing.assert_close(found, layer(other))
    known = replace_batch_norm(layer)
    torch.testing.assert_close(known(other), layer(other))  # statistics come along


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_statistics_are_collected_and_given_bead_by_bead(dtype: torch.dtype) -> None:
    """Estimated on some samples and used on others, in one call under vmap and in a loop."""
    network = network_of("resnet")
    norms = batch_norms(network)
    assert len(norms) == 1 + 2 * 6 + 2
    weights = weights_of(network, dtype)
    x, y = samples(spec_of(SPECS["resnet"]), (SAMPLES,))
    x = x.to(dtype)

    def collected(weights: dict[str, Tensor]) -> list[Tensor]:
        def model(x: Tensor) -> Tensor:
            return functional_call(network, weights, (x,))  # type: ignore[no-any-return]

        return [*collect(model, [norm for _, norm in norms], x)]

    for _, norm in norms:
        norm.mode = "collect"
    batched = vmap(collected)(weights)
    looped = [collected({k: part[bead] for k, part in weights.items()}) for bead in range(BEADS)]
    for found, expected in zip(batched, zip(*looped, strict=True), strict=True):
        torch.testing.assert_close(
            found, torch.stack(expected), rtol=10 * TOLERANCE[dtype], atol=TOLERANCE[dtype]
        )
    for _, norm in norms:
        norm.mode = "given"
    names = [f"{name}.{part}" for name, _ in norms for part in ("mean", "var")]
    statistics = dict(zip(names, batched, strict=True))
    loss = loss_of(network)
    x, y = x[:3] + 0.1, y[:3]
    alone = one_by_one(loss, weights, x, y, own=False, fixed=statistics)
    batched = together(loss, weights, x, y, own=False, fixed=statistics)
    assert_same(batched, alone, TOLERANCE[dtype])
    for _, norm in norms:
        norm.mode = "batch"
    by_batch = torch.stack(
        [loss({k: part[b] for k, part in weights.items()}, x, y) for b in range(BEADS)]
    )
    assert (by_batch - alone[0]).abs().min() > 1e-3


def test_a_copy_forgets_what_was_collected_inside_vmap() -> None:
    network = network_of("resnet", mode="collect")
    x, y = samples(spec_of(SPECS["resnet"]), (SAMPLES,))
    weights = weights_of(network, torch.float32)
    together(loss_of(network), weights, x, y, own=False)
    twin = copy.deepcopy(network)
    assert all(norm.collected == () for _, norm in batch_norms(twin))
    torch.testing.assert_close(twin(x), network(x))


def test_one_value_a_channel_is_refused() -> None:
    norm = replace_batch_norm(nn.BatchNorm1d(3))
    assert isinstance(norm, BatchNorm)
    torch.testing.assert_close(norm(torch.ones(1, 3)), torch.full((1, 3), (1 + 1e-5) ** -0.5))
    modes: tuple[Mode, ...] = ("batch", "collect")
    for mode in modes:
        norm.mode = mode
        with pytest.raises(InputError, match=r"problem.batch_norm: .* two or more samples"):
            norm(torch.ones(1, 3))


class WithActivation(nn.BatchNorm2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).relu()


class InName(nn.BatchNorm2d):
    """Behaves as its parent does."""


@pytest.mark.parametrize("layer", [WithActivation(2), nn.SyncBatchNorm(2)])
def test_batch_norm_of_another_kind_is_refused(layer: nn.Module) -> None:
    with pytest.raises(InputError, match=rf"problem.network: layer 1 is a {type(layer).__name__}"):
        replace_batch_norm(nn.Sequential(nn.Conv2d(2, 2, 1), layer))
    assert isinstance(replace_batch_norm(InName(2)), BatchNorm)


# ---------------------------------------------------------------- vmap


def test_vmap_is_noticed_through_other_transforms() -> None:
    seen = []

    def look(w: Tensor) -> Tensor:
        seen.append(under_vmap(w))
        return w.square().sum()

    w = torch.ones(2, 3)
    look(w)
    vmap(look)(w)
    torch.func.grad(look)(w)
    vmap(torch.func.grad(look))(w)
    torch.func.grad(lambda w: vmap(look)(w).sum())(w)
    assert seen == [False, True, False, True, True]
    assert under_vmap(w, w[0]) is False
