"""Convolutional networks: their layers against torch's, and which fit one another."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.errors import InputError
from engine.networks import build_network
from engine.networks.cnn import PoolLayer
from engine.networks.modules.cnn import as_images
from engine.spec.problem import Network
from tests.support.gpus import Gpus
from tests.support.networks import CONV5, PAPER, POOL, SAMPLES, draw, outputs_of, spec_of


def test_the_paper_s_network_for_mnist() -> None:
    """800 + 32, 51 200 + 64, 3 211 264 + 1 024, 10 240 + 10 numbers, layer by layer."""
    spec = spec_of(PAPER)
    network = build_network(spec)
    counts = [parameter.numel() for parameter in network.parameters()]
    assert counts == [800, 32, 51_200, 64, 3_211_264, 1024, 10_240, 10]
    assert spec.parameter_count == sum(counts) == 3_274_634
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


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


def test_outputs_that_are_probabilities() -> None:
    x = torch.randn(SAMPLES, 1, 6, 5, generator=draw(), dtype=torch.float64)
    w, found = outputs_of("cnn-softmax", x)
    y = functional.conv2d(x, w["layers.0.weight"], w["layers.0.bias"], padding=1).relu()
    y = functional.max_pool2d(y, 2).flatten(1)
    y = functional.linear(y, w["layers.2.weight"], w["layers.2.bias"]).relu()
    scores = functional.linear(y, w["output.weight"], w["output.bias"])
    shares = scores.exp() / scores.exp().sum(1, keepdim=True)
    torch.testing.assert_close(found, shares)


def test_overlapping_pools_and_response_normalization() -> None:
    x = torch.randn(SAMPLES, 2, 8, 7, generator=draw(), dtype=torch.float64)
    w, found = outputs_of("cnn-lrn", x)
    y = functional.conv2d(x, w["layers.0.weight"], w["layers.0.bias"], padding=2).relu()
    beyond = functional.pad(y, (0, 0, 0, 1), value=-torch.inf)  # a last row that counts for nothing
    y = beyond.unfold(2, 3, 2).unfold(3, 3, 2).amax((4, 5))
    assert y.shape[2:] == (4, 3)
    y = normalized(y, before=2, after=2, alpha=0.3, beta=0.75, k=1.0)
    y = functional.conv2d(y, w["layers.3.weight"], w["layers.3.bias"], padding=1).relu()
    y = normalized(y, before=2, after=1, alpha=0.2, beta=0.5, k=2.0)
    y = y.unfold(2, 3, 2).unfold(3, 3, 2).mean((4, 5))
    torch.testing.assert_close(
        found, functional.linear(y.flatten(1), w["output.weight"], w["output.bias"])
    )


def normalized(x: Tensor, before: int, after: int, alpha: float, beta: float, k: float) -> Tensor:
    """x by the formula of Krizhevsky et al., channel by channel."""
    channels = []
    for channel in range(x.shape[1]):
        near = x[:, max(0, channel - before) : channel + after + 1]
        mean = near.square().sum(1) / (before + after + 1)
        channels.append(x[:, channel] / (k + alpha * mean) ** beta)
    return torch.stack(channels, 1)


@pytest.mark.parametrize("side", range(1, 12))
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("stride", [None, 1, 2, 3, 5])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_pools_are_counted_as_torch_counts_them(
    side: int, size: int, stride: int | None, ceil_mode: bool
) -> None:
    if size > side:
        return
    layer = PoolLayer(kind="pool", size=size, stride=stride, ceil_mode=ceil_mode)
    found = nn.MaxPool2d(size, stride, ceil_mode=ceil_mode)(torch.zeros(1, 1, side, side))
    assert layer.after((1, side, side), 1) == found.shape[1:]


def test_equal_layers_in_a_row_are_told_once() -> None:
    conv = {"kind": "conv", "channels": 4}
    assert cnn(conv, conv, POOL, conv).words == "1×7×5, 2× conv 4, pool, conv 4, 2"


@pytest.mark.parametrize("gpus", [1], indirect=True)
def test_channels_lie_innermost_on_the_cpu_and_on_gpus_in_bfloat16(
    gpus: Gpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    for device in (torch.device("cpu"), gpus.devices[0]):
        x = torch.arange(48.0).reshape(2, 24).to(device)
        for casts in (False, True):
            monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind, casts=casts: casts)
            images = as_images(x, (3, 2, 4), x)
            assert (images.stride(1) == 1) == (casts or device.type == "cpu")
            assert torch.equal(images.cpu(), x.cpu().reshape(2, 3, 2, 4))
