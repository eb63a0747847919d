"""Networks, data and losses of a user's own that are awkward to measure, as small factories.

Each case says what must become of it: `RIGHT`, where the engine has to measure what plain torch
does; `REFUSED`, where it cannot, and has to say so. Modules take (sample, 3) to (sample, 2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.utils.data import Dataset

RIGHT: Literal["right"] = "right"
REFUSED: Literal["refused"] = "refused"
SAMPLES = 60


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mlp(*middle: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), *middle, nn.Tanh(), nn.Linear(4, 2))


# ---------------------------------------------------------------- data


def values() -> tuple[Tensor, Tensor]:
    x = 1 + torch.randn(SAMPLES, 3, generator=draw(1)) * torch.tensor([1.0, 2.0, 0.5])
    return x, torch.stack([x.sum(1), x[:, 0] - 0.5], dim=1)


def labelled() -> tuple[Tensor, Tensor]:
    x, y = values()
    return x, (y[:, 0] > y[:, 0].median()).long()


def by_class() -> tuple[Tensor, Tensor]:
    """Samples sorted by class, so that the first ones are all of one."""
    x, y = labelled()
    order = y.argsort(stable=True)
    return (x + 4 * y[:, None])[order], y[order]


def double() -> tuple[Any, Any]:
    x, y = values()
    return x.double().numpy() + 1e-9, y.double().numpy()


def precise() -> tuple[Any, Any]:
    """What is to be told apart lies below the digits of float32."""
    x, y = values()
    return x.double().numpy() * 1e-6 + 1e3, y.double().numpy()


def large_numbers() -> tuple[Any, Any]:
    """Targets that float32 rounds by more than what is left of the loss."""
    x, y = values()
    return x.double().numpy(), 1e8 + y.double().numpy()


class Changing:
    """Other data at each call."""

    calls = 0

    def __call__(self) -> tuple[Tensor, Tensor]:
        Changing.calls += 1
        x, y = values()
        return x + Changing.calls, y


changing = Changing()


class Streamed(Dataset[Any]):
    """The samples one by one."""

    def __init__(self) -> None:
        self.x, self.y = values()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        return self.x[number], self.y[number]


class ChangingStream(Streamed):
    """Other items each time that it is made."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        ChangingStream.made += 1
        self.x = self.x + ChangingStream.made


# ---------------------------------------------------------------- own modules and others' weights


def closed_over_by_lambda() -> nn.Module:
    """A function that holds the module it was made with, and not the copy that weights go to."""
    network = mlp()
    network.forward = lambda x: network[2](torch.tanh(network[0](x)))  # type: ignore[method-assign]
    return network


def closed_over_by_hook() -> nn.Module:
    network = mlp()
    network[0].register_forward_hook(lambda module, inputs, output: output @ network[0].weight)
    network[0].weight = nn.Parameter(torch.randn(4, 3))
    return nn.Sequential(network[0], nn.Tanh(), nn.Linear(3, 2))


def hook_with_own_weight() -> nn.Module:
    """As LoRA is often written: a hook adds what another layer of the factory's own makes."""
    network, side = mlp(), nn.Linear(3, 4)
    network.add_module("side", nn.Identity())
    network[0].register_forward_hook(lambda module, inputs, output: output + side(inputs[0]))
    return nn.Sequential(network[0], nn.Tanh(), nn.Linear(4, 2))


class ListOfWeights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.kept = [self.layer.weight, self.layer.bias]

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, *self.kept)


class HiddenByGetattr(nn.Module):
    """Attribute access gives the weights of a twin that no one sees."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        object.__setattr__(self, "_hidden", [nn.Linear(3, 2)])

    def __getattr__(self, name: str) -> Any:
        if name == "twin":
            return self._hidden[0]
        return super().__getattr__(name)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.twin(x)  # type: ignore[no-any-return]


class SharedMemory(nn.Module):
    """Two parameters that share their numbers by way of `.data`."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)
        self.second.weight.data = self.first.weight.data

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.second(torch.tanh(self.first(x)))))  # type: ignore[no-any-return]


class Tied(nn.Module):
    """One parameter in two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.second(torch.tanh(self.first(x)))))  # type: ignore[no-any-return]


class TwoPlaces(nn.Module):
    """One layer in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 3), nn.Linear(3, 2)
        self.again = nn.ModuleDict({"first": self.first})

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.again["first"](torch.tanh(self.first(x))))  # type: ignore[no-any-return]


class Unused(nn.Module):
    """A layer that forward never calls."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = mlp(), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x)  # type: ignore[no-any-return]


# ---------------------------------------------------------------- what eval() and loading change


class Lora(nn.Module):
    """Adds a product of thin matrices in training, and merges it into the weight in eval()."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.last = nn.Linear(3, 4), nn.Linear(4, 2)
        self.a, self.b = nn.Parameter(torch.randn(1, 3)), nn.Parameter(torch.zeros(4, 1))
        self.merged = False

    def train(self, mode: bool = True) -> Lora:
        super().train(mode)
        if self.merged == mode:
            with torch.no_grad():
                self.layer.weight.add_(self.b @ self.a, alpha=-1 if mode else 1)
            self.merged = not mode
        return self

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.layer(x)
        if not self.merged:
            hidden = hidden + x @ self.a.T @ self.b.T
        return self.last(torch.tanh(hidden))  # type: ignore[no-any-return]


class ScaledOnLoading(nn.Module):
    """A checkpoint of another age is doubled when it is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = mlp()
        self._register_load_state_dict_pre_hook(self._double, with_module=True)  # type: ignore[no-untyped-call]

    @staticmethod
    def _double(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
        name = f"{prefix}layer.0.weight"
        state[name] = 2 * state[name]

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)  # type: ignore[no-any-return]


class NormalizedAfterLoading(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = mlp()
        self.register_load_state_dict_post_hook(self._normalize)  # type: ignore[no-untyped-call]

    @staticmethod
    def _normalize(module: nn.Module, keys: Any) -> None:
        assert isinstance(module, NormalizedAfterLoading)
        with torch.no_grad():
            weight = module.layer[0].weight
            assert isinstance(weight, Tensor)
            weight.div_(weight.norm())

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)  # type: ignore[no-any-return]


class ByMode(nn.Module):
    """Computes otherwise in training, as an auxiliary head does."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.aside = mlp(), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.body(x)
        return output + self.aside(x) if self.training else output


class Dropping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = mlp(nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(self.body(x), 0.3, training=self.training)


class AlwaysDropping(nn.Linear):
    def __init__(self) -> None:
        super().__init__(3, 2)

    def forward(self, input: Tensor) -> Tensor:
        return functional.dropout(super().forward(input), 0.5)


class SameMaskTwice(nn.Linear):
    """A layer with dropout that happens to draw one mask in the first two calls."""

    def __init__(self) -> None:
        super().__init__(3, 2)
        self.calls = 0

    def forward(self, input: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(input) * (2.0 if self.calls > 2 else 0.0)


# ---------------------------------------------------------------- state


class Complex(nn.Module):
    """A filter in the frequency domain, as a complex buffer."""

    filter: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()
        self.register_buffer("filter", torch.tensor([1 + 2j, 0.5 - 1j]))

    def forward(self, x: Tensor) -> Tensor:
        filtered = torch.fft.irfft(torch.fft.rfft(x)[:, :2] * self.filter, n=3)
        return self.body(filtered)  # type: ignore[no-any-return]


class Calls(nn.Module):
    """A buffer that forward counts up, in eval mode too."""

    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        return self.body(x) * (1 + 0.1 * self.count)  # type: ignore[no-any-return]


class Averaging(nn.Module):
    """An average of its own over the batches that it has seen."""

    average: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()
        self.register_buffer("average", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.body[0](x)
        self.average = 0.5 * self.average + 0.5 * hidden.detach().mean(0)
        return self.body[2](torch.tanh(hidden - self.average))  # type: ignore[no-any-return]


class Remembering(nn.Module):
    """State in a Python list."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.body(x)
        self.seen.append(output.detach().mean(0))
        return output + self.seen[0]


class Cached(nn.Module):
    """A weight that is computed from parameters at the first call and kept."""

    def __init__(self) -> None:
        super().__init__()
        self.factor, self.last = nn.Parameter(torch.randn(3, 4)), nn.Linear(4, 2)
        self.kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.kept is None:
            self.kept = self.factor.detach().softmax(0)
        return self.last(torch.tanh(x @ self.kept))  # type: ignore[no-any-return]


class DrawnBuffer(nn.Module):
    """Random features that are part of the state."""

    features: Tensor
    persistent = True

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("features", torch.randn(3, 4), persistent=self.persistent)
        self.last = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(x @ self.features))  # type: ignore[no-any-return]


class DrawnElsewhere(DrawnBuffer):
    """Random features that no state dictionary holds."""

    persistent = False


class MadeInForward(nn.Module):
    """A layer that each call makes anew."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + nn.Linear(3, 2)(x)  # type: ignore[no-any-return]


class MadeInForwardWithoutWeights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(nn.LayerNorm(4, elementwise_affine=False)(self.first(x)))  # type: ignore[no-any-return]


# ---------------------------------------------------------------- normalization


class NormTwice(nn.Module):
    """One batch norm in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.norm = nn.Linear(3, 4), nn.Linear(4, 2), nn.BatchNorm1d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.norm(1 + torch.tanh(3 * self.norm(self.first(x)))))  # type: ignore[no-any-return]


class NormInLoop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)
        self.block = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for _ in range(3):
            x = x + self.block(x)
        return self.last(x)  # type: ignore[no-any-return]


def norm() -> nn.Module:
    return mlp(nn.BatchNorm1d(4), nn.Dropout(0.3))


def norm_with_hook() -> nn.Module:
    network = mlp(nn.BatchNorm1d(4))
    network[1].register_forward_hook(lambda module, inputs, output: output + inputs[0])
    return network


def norm_without_statistics() -> nn.Module:
    return mlp(nn.BatchNorm1d(4, track_running_stats=False))


def synchronized() -> nn.Module:
    return mlp(nn.SyncBatchNorm(4))


class InstanceNormed(nn.Module):
    """Running statistics of each instance, which eval mode goes by."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv1d(1, 2, 2), nn.Linear(4, 2)
        self.norm = nn.InstanceNorm1d(2, affine=True, track_running_stats=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.norm(self.first(x[:, None])).flatten(1))  # type: ignore[no-any-return]


class Standardizing(nn.Module):
    """Samples see each other: a normalization over the batch that is written by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        hidden = (hidden - hidden.mean(0)) / (hidden.std(0) + 1e-3)
        return self.last(torch.tanh(hidden))  # type: ignore[no-any-return]


class Attending(nn.Module):
    """Samples see each other: attention over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)
        self.attention = nn.MultiheadAttention(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        return self.last(self.attention(hidden, hidden, hidden)[0])  # type: ignore[no-any-return]


def weight_norm() -> nn.Module:
    network = mlp()
    parametrizations.weight_norm(network[0])
    return network


def spectral_norm() -> nn.Module:
    network = mlp()
    parametrizations.spectral_norm(network[0])
    return network


def old_spectral_norm() -> nn.Module:
    network = mlp()
    nn.utils.spectral_norm(network[0])
    return network


def plain() -> nn.Module:
    return mlp()


def double_module() -> nn.Module:
    return mlp().double()


class Ageing(nn.Module):
    """Computes as its parameters say until it has been called so many times, and otherwise then."""

    calls_left = 0

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()
        self.left = Ageing.calls_left

    def forward(self, x: Tensor) -> Tensor:
        self.left -= 1
        output: Tensor = self.body(x)
        return output if self.left > 0 else 0 * output


class Switched(nn.Module):
    """A module that goes by a factor which is no parameter, and which a test may change."""

    factor = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()
        self.factor = Switched.factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * self.body(x)  # type: ignore[no-any-return]


# ---------------------------------------------------------------- losses


def weighted() -> Callable[[Tensor, Tensor], Tensor]:
    """Cross-entropy whose class weights are made even over the batch, then spread over it."""

    def loss(output: Tensor, target: Tensor) -> Tensor:
        mean = functional.cross_entropy(output, target, torch.tensor([1.0, 9.0]).to(output))
        return mean.expand(len(output))

    return loss


def hardest() -> Callable[[Tensor, Tensor], Tensor]:
    """The highest loss of the batch, for each sample."""

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return (output - target).square().sum(1).max().expand(len(output))

    return loss


def distance() -> Callable[[Tensor, Tensor], Tensor]:
    """One of its own for each sample."""
    return lambda output, target: (output - target).abs().pow(1.5).mean(1)


def flat_targets() -> tuple[Tensor, Tensor]:
    """A value for each sample, without an axis of outputs."""
    x, y = values()
    return x, y[:, 0]


def column_targets() -> tuple[Tensor, Tensor]:
    """A value for each sample, with an axis of outputs."""
    x, y = values()
    return x, y[:, :1]


def narrow() -> nn.Module:
    """A score for each sample, without an axis of outputs."""
    return nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))


def broadcasting() -> Callable[[Tensor, Tensor], Tensor]:
    """Right with (sample,) and (sample,); compares all samples with each other for (sample, 1)."""

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return (output - target).square().reshape(len(output), -1).mean(1)

    return loss


# ---------------------------------------------------------------- the table


@dataclass(frozen=True)
class Case:
    """A user's own parts, by the names of their factories here, and what must become of them."""

    name: str
    becomes: Literal["right", "refused"]
    network: str = "plain"
    data: str = "values"
    loss: Any = "mse"
    batch_norm: tuple[tuple[str, Any], ...] = ()
    batching: str = "loop"
    batches: bool = True
    """Whether torch computes many models of the network in one call."""


def _modules(becomes: Literal["right", "refused"], *names: str) -> list[Case]:
    return [Case(name, becomes, network=name) for name in names]


OWN = "loss:"
CASES = [
    *_modules(
        REFUSED,
        "hook_with_own_weight",
        "HiddenByGetattr",
        "SharedMemory",
        "AlwaysDropping",
        "Calls",
        "DrawnElsewhere",
        "MadeInForward",
        "norm_without_statistics",
        "Standardizing",
        "Attending",
    ),
    *_modules(
        RIGHT,
        "plain",
        "double_module",
        "Tied",
        "TwoPlaces",
        "Unused",
        "ByMode",
        "Dropping",
        "DrawnBuffer",
        "MadeInForwardWithoutWeights",
        "norm",
        "NormTwice",
        "NormInLoop",
        "InstanceNormed",
        "spectral_norm",
        "old_spectral_norm",
        "closed_over_by_lambda",
        "closed_over_by_hook",
        "Lora",
        "Cached",
        "ScaledOnLoading",
        "NormalizedAfterLoading",
        "Complex",
        "norm_with_hook",
        "synchronized",
    ),
    Case("Averaging", REFUSED, "Averaging", batching="auto"),
    Case("Remembering", REFUSED, "Remembering", batching="auto"),
    Case("Averaging alone", REFUSED, "Averaging"),
    Case("Remembering alone", REFUSED, "Remembering"),
    Case("weight_norm", RIGHT, "weight_norm", batches=False),
    Case("ListOfWeights", RIGHT, "ListOfWeights", batches=False),
    Case("plain, the faster way", RIGHT, batching="auto"),
    Case("float64 data", RIGHT, data="double"),
    Case("data that float32 cannot tell apart", REFUSED, data="precise", network="norm"),
    Case("a Dataset", RIGHT, data="Streamed"),
    Case("a Dataset of other items at each call", REFUSED, data="ChangingStream"),
    Case("targets that float32 rounds", RIGHT, data="large_numbers"),
    Case("data that change", REFUSED, data="changing"),
    Case("sorted data", RIGHT, "norm", "by_class", "cross_entropy", (("samples", 20), ("seed", 0))),
    Case("the first samples", RIGHT, "norm", "by_class", "cross_entropy", (("samples", 20),)),
    Case(
        "batches of their own", RIGHT, "norm", batch_norm=(("statistics", "batch"), ("samples", 7))
    ),
    Case(
        "no statistics, by batches",
        RIGHT,
        "norm_without_statistics",
        batch_norm=(("statistics", "batch"), ("samples", 7)),
    ),
    Case("a loss that averages", REFUSED, data="labelled", loss=f"{OWN}weighted"),
    Case("a loss of the hardest sample", REFUSED, loss=f"{OWN}hardest"),
    Case("a loss of its own", RIGHT, loss=f"{OWN}distance"),
    Case("targets without an axis", RIGHT, "narrow", "flat_targets", f"{OWN}broadcasting"),
    Case("a loss that broadcasts", REFUSED, "narrow", "column_targets", f"{OWN}broadcasting"),
    Case("outputs without an axis", RIGHT, "narrow", "column_targets"),
    Case("neither with an axis", RIGHT, "narrow", "flat_targets"),
]


def problem_tree(case: Case) -> dict[str, Any]:
    """Returns the `problem` of a preset."""

    def named(part: str) -> dict[str, Any]:
        return {"factory": f"{__name__}:{part}"}

    own = isinstance(case.loss, str) and case.loss.startswith(OWN)
    return {
        "data": {"kind": "custom"} | named(case.data),
        "network": {"kind": "custom"} | named(case.network),
        "loss": named(case.loss.removeprefix(OWN)) if own else case.loss,
        "batch_norm": dict(case.batch_norm),
    }
