"""Modules taken apart into steps: right, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.networks.modules.known_steps import Untraceable
from engine.networks.modules.tracing import computed, taken_apart
from engine.networks.steps import Activation, Convolution, Dense, Pool, Reshape, Sum


class Written(nn.Module):
    """A forward of the kind that people write, with whatever it calls."""

    def __init__(self, forward: Callable[[Written, Tensor], Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding="same")
        self.first, self.second = nn.Linear(32, 4), nn.Linear(4, 4)
        self.drop = nn.Dropout(0.3)
        self.register_buffer("scale", torch.tensor(2.0))
        self.written = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.written(self, x)


def functional_calls(self: Written, x: Tensor) -> Tensor:
    x = functional.max_pool2d(functional.relu(self.conv(x)), 2)
    x = self.drop(x.view(x.size(0), -1))
    x = torch.tanh(functional.linear(x, self.first.weight, self.first.bias))
    more: Tensor = self.second(functional.dropout(x, 0.2, self.training))
    return x + more.sigmoid()


def by_shape(self: Written, x: Tensor) -> Tensor:
    x = functional.avg_pool2d(self.conv(x), (2, 2))
    found: Tensor = self.first(torch.flatten(x.reshape(x.shape[0], 2, -1), 1))
    return found.relu()


IMAGES = torch.zeros(2, 1, 8, 8)


@pytest.mark.parametrize("forward", [functional_calls, by_shape])
def test_the_steps_give_what_the_module_gives(
    forward: Callable[[Written, Tensor], Tensor],
) -> None:
    torch.manual_seed(1)
    module, x = Written(forward).eval(), torch.randn(5, 1, 8, 8)
    taken = taken_apart(module, x)
    found = computed(taken, dict(module.named_parameters()), x)[-1]
    torch.testing.assert_close(found, module(x))


def test_steps_name_the_parameters_and_sizes() -> None:
    taken = taken_apart(Written(functional_calls).eval(), IMAGES)
    assert [node.step for node in taken.nodes] == [
        Convolution("conv.weight", "conv.bias", (1, 1), (1, 1), (1, 1), 1),
        Activation("relu"),
        Pool("max", (2, 2)),
        Reshape((-1,)),
        Dense("first.weight", "first.bias"),
        Activation("tanh"),
        Dense("second.weight", "second.bias"),
        Activation("sigmoid"),
        Sum(),
    ]
    assert taken.nodes[-1].inputs == (6, 8)
    assert taken.last_uses[6] == 9 and taken.last_uses[1] == 2


def doubled(module: nn.Module, _: object, output: Tensor) -> Tensor:
    return 2 * output


def hooked() -> nn.Module:
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    module[1].register_forward_hook(doubled)
    return module


def branching(self: Written, x: Tensor) -> Tensor:
    x = self.conv(x).flatten(1)
    return x if x.sum() > 0 else 2 * x


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a hook": (hooked, "computes something else than its traced steps"),
    "batch normalization": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)),
        "has a step of its own (BatchNorm2d)",
    ),
    "another function": (
        lambda: Written(lambda self, x: functional.gelu(self.conv(x))),
        "has a step of its own (gelu)",
    ),
    "a product": (
        lambda: Written(lambda self, x: self.conv(x) * 2),
        "has a step of its own (mul)",
    ),
    "a buffer": (
        lambda: Written(lambda self, x: self.conv(x) + self.scale),
        "computes with scale, which is no parameter",
    ),
    "a constant": (
        lambda: Written(lambda self, x: self.conv(x) + 1.0),
        "takes something else than the step before",
    ),
    "a branch": (lambda: Written(branching), "cannot be traced"),
    "overlapping pooling": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(3, stride=2)),
        "pools over rectangles that overlap",
    ),
    "padded pooling": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.AvgPool2d(2, padding=1)),
        "pools over rectangles that overlap, or with padding",
    ),
    "reflections": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect")),
        "pads with reflect",
    ),
    "samples mixed": (
        lambda: Written(lambda self, x: self.conv(x).reshape(1, -1)),
        "reshapes its values across samples",
    ),
    "a part": (
        lambda: Written(lambda self, x: self.conv(x)[:, 0]),
        "picks parts out of its values",
    ),
    "its input": (lambda: Written(lambda self, x: x), "last step is not what it returns"),
    "two outputs": (
        lambda: Written(lambda self, x: (self.conv(x), x)),  # type: ignore[arg-type,return-value]
        "last step is not what it returns",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_everything_else_is_refused_with_a_reason(kind: str) -> None:
    make, reason = REFUSED[kind]
    with pytest.raises(Untraceable) as caught:
        taken_apart(make().eval(), IMAGES)
    assert reason in str(caught.value)


def test_numbers_of_tokens_are_refused() -> None:
    with pytest.raises(Untraceable, match="whole numbers"):
        taken_apart(nn.Sequential(nn.Linear(3, 2)), torch.zeros(2, 3, dtype=torch.long))


def test_training_mode_is_refused() -> None:
    with pytest.raises(Untraceable, match="drops values at random"):
        taken_apart(nn.Sequential(nn.Linear(8, 2), nn.Dropout(0.5)).train(), torch.zeros(2, 8))


def test_tied_weights_are_one_parameter_in_two_places() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    module[2].weight = module[0].weight
    taken = taken_apart(module, torch.zeros(2, 3))
    assert taken.nodes[0].step == Dense("0.weight", "0.bias")
    assert taken.nodes[2].step == Dense("2.weight", "2.bias")
