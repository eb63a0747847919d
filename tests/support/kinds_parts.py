"""Networks, data and losses as people have them, as small factories for the table of kinds.

Modules take (sample, 3) to (sample, 2) unless their data say otherwise.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize, prune
from torch.utils.data import Dataset

from tests.support.mirror_cases import SAMPLES, Lora, draw, mlp, values

Loss = Callable[[Any, Tensor], Tensor]

# ---------------------------------------------------------------- several inputs


def by_name() -> tuple[dict[str, Tensor], Tensor]:
    """Numbers of words with a mask, and values beside them."""
    x, y = values()
    ids = torch.randint(7, (SAMPLES, 4), generator=draw(2))
    mask = torch.arange(4) < torch.randint(1, 5, (SAMPLES, 1), generator=draw(3))
    return {"ids": ids, "values": x, "mask": mask}, y


def by_place() -> tuple[tuple[Tensor, Tensor], Tensor]:
    x, y = values()
    return (x[:, :2], x[:, 2]), y


class Items(Dataset[Any]):
    """Each item is a dictionary of inputs, and a target."""

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, number: int) -> tuple[dict[str, Tensor], Tensor]:
        x, y = by_name()
        return {name: part[number] for name, part in x.items()}, y[number]


class WithPaths(Dataset[Any]):
    """Each item also names the file that it comes from."""

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor, str]:
        x, y = values()
        return x[number], y[number], f"{number}.png"


class Labelled(Items):
    """Each item is one dictionary, as those of the Hub are."""

    def __getitem__(self, number: int) -> Any:
        inputs, y = super().__getitem__(number)
        return inputs | {"labels": y}


class Ragged(Items):
    """Each sample has a length of its own."""

    def __getitem__(self, number: int) -> Any:
        x, y = values()
        return x[number, : 1 + number % 3], y[number]


class Pooled(nn.Module):
    """The mean embedding of the words that a mask leaves, and values."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.last = nn.Embedding(7, 3), nn.Linear(6, 2)

    def forward(self, ids: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        assert mask.dtype == torch.bool
        kept = self.words(ids) * mask[..., None]
        mean = kept.sum(1) / mask.sum(1, keepdim=True)
        return self.last(torch.cat([torch.tanh(mean), values], 1))  # type: ignore[no-any-return]


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return self.body(torch.cat([first, second[:, None]], 1))  # type: ignore[no-any-return]


def ratings() -> tuple[Tensor, Tensor]:
    """Whole numbers of a user and of an item, and a rating."""
    draws = draw(5)
    x = torch.randint(6, (SAMPLES, 2), generator=draws)
    return x, torch.randn(SAMPLES, 1, generator=draws)


class Factorization(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(6, 3), nn.Embedding(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return (self.users(x[:, 0]) * self.items(x[:, 1])).sum(1, keepdim=True)  # type: ignore[no-any-return]


def with_ignored() -> tuple[Tensor, Tensor]:
    """Classes, of which -100 is to be ignored."""
    x, y = values()
    labels = (y[:, 0] > 0).long()
    labels[::7] = -100
    return x, labels


def with_minus_one() -> tuple[Tensor, Tensor]:
    """Classes, of which -1 is to be ignored."""
    x, labels = with_ignored()
    return x, labels.clamp(min=-1)


def tags() -> tuple[Tensor, Tensor]:
    """A class for each of four words, but -100 for those after the end."""
    inputs, _ = by_name()
    return inputs["ids"], torch.where(inputs["mask"], inputs["ids"] % 3, -100)


class Tagger(nn.Module):
    """Scores of three classes (sample, class, word) for each word."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.last = nn.Embedding(7, 4), nn.Linear(4, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.last(torch.tanh(self.words(ids))).transpose(1, 2)  # type: ignore[no-any-return]


# ---------------------------------------------------------------- outputs


class Returning(nn.Module):
    """Wraps what a body computes."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.aside = mlp(), nn.Linear(3, 5)

    def forward(self, x: Tensor) -> Any:
        return self.wrapped(self.body(x), self.aside(x))

    def wrapped(self, output: Tensor, aside: Tensor) -> Any:
        return output, aside


class ReturningDict(Returning):
    def wrapped(self, output: Tensor, aside: Tensor) -> Any:
        return {"aux": aside, "out": output}


class Unnamed(Returning):
    def wrapped(self, output: Tensor, aside: Tensor) -> Any:
        return {"scores": output, "more": aside}


@dataclass
class Output:
    loss: Tensor | None
    logits: Tensor


class ReturningObject(Returning):
    def wrapped(self, output: Tensor, aside: Tensor) -> Any:
        return Output(None, output)


def of_both() -> Loss:
    """Sees the whole output."""

    def loss(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
        first, second = output
        return (first - target).square().sum(1) + 0.1 * second.square().mean(1)

    return loss


# ---------------------------------------------------------------- what moves


def frozen() -> nn.Module:
    network = mlp()
    network[0].requires_grad_(False)
    return network


class LowRank(nn.Module):
    """LoRA: a frozen layer, and a product of thin matrices beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(3, 4).requires_grad_(False)
        self.down, self.up = nn.Linear(3, 2, bias=False), nn.Linear(2, 4, bias=False)
        self.last = nn.Linear(4, 2).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.base(x) + self.up(self.down(x))))  # type: ignore[no-any-return]


def all_frozen() -> nn.Module:
    return mlp().requires_grad_(False)


class Table(nn.Module):
    """Whole numbers as a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()
        self.order = nn.Parameter(torch.tensor([2, 0, 1]), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x[:, self.order])  # type: ignore[no-any-return]


class Ordered(nn.Module):
    """An order of the inputs, drawn once."""

    order: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()
        self.register_buffer("order", torch.randperm(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x[:, self.order] * torch.tensor([1.0, 2, 3]).to(x))  # type: ignore[no-any-return]


class ComplexWeights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.filter = nn.Parameter(torch.randn(2, dtype=torch.complex64))
        self.body = mlp()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(torch.fft.irfft(torch.fft.rfft(x)[:, :2] * self.filter, n=3))  # type: ignore[no-any-return]


# ---------------------------------------------------------------- weights behind weights


class FrozenLora(Lora):
    """As loralib has it: what is merged into does not move."""

    def __init__(self) -> None:
        super().__init__()
        self.layer.requires_grad_(False)


class CachedInDictionary(nn.Module):
    """A weight that is computed at the first call for a size, and kept."""

    def __init__(self) -> None:
        super().__init__()
        self.factor, self.last = nn.Parameter(torch.randn(3, 4)), nn.Linear(4, 2)
        self.kept: dict[int, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[1]
        if size not in self.kept:
            self.kept[size] = self.factor[:size].softmax(0)
        return self.last(torch.tanh(x @ self.kept[size]))  # type: ignore[no-any-return]


class Standardized(nn.Module):
    """Standardizes a weight in each step of training, and once for all in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)

    def train(self, mode: bool = True) -> Standardized:
        self.__dict__.pop("standardized", None)
        return super().train(mode)

    @cached_property
    def standardized(self) -> Tensor:
        return self.fresh()

    def fresh(self) -> Tensor:
        weight = self.first.weight
        return (weight - weight.mean(1, keepdim=True)) / weight.std(1, keepdim=True)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.fresh() if self.training else self.standardized
        return self.last(torch.tanh(functional.linear(x, weight, self.first.bias)))  # type: ignore[no-any-return]


class LimitedNorm(nn.Linear):
    """Limits the norm of its weights before it uses them, as networks for EEG do."""

    def __init__(self) -> None:
        super().__init__(3, 2)

    def forward(self, input: Tensor) -> Tensor:
        self.weight.data = torch.renorm(self.weight.data, p=2, dim=0, maxnorm=0.9)
        return super().forward(input)


class Clamped(nn.Linear):
    """Clamps its weights before it uses them."""

    def __init__(self) -> None:
        super().__init__(3, 2)

    def forward(self, input: Tensor) -> Tensor:
        with torch.no_grad():
            self.weight.copy_(self.weight.clamp(-0.4, 0.4))
        return super().forward(input)


class ReadingData(nn.Module):
    """Uses the numbers of a weight that is to have no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.aside = mlp(), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + x @ self.aside.weight.data.T  # type: ignore[no-any-return]


class Fusing(nn.Module):
    """Two branches, which eval() fuses into one weight; its forward then knows no other."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(3, 2), nn.Linear(3, 2)

    def train(self, mode: bool = True) -> Fusing:
        super().train(mode)
        if not mode:
            self.fused = (self.one.weight + self.other.weight).detach()
        return self

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return self.one(x) + self.other(x)  # type: ignore[no-any-return]
        return functional.linear(x, self.fused, self.one.bias + self.other.bias)


# ---------------------------------------------------------------- in place


def relu_first() -> nn.Module:
    return nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 2))


class CenteredInPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = mlp(nn.ELU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        x -= 0.5
        x.div_(x.norm(dim=1, keepdim=True) + 1)
        return self.body(x)  # type: ignore[no-any-return]


# ---------------------------------------------------------------- layers


class Sequence(nn.Module):
    """Reads the three values as a sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.last = self.made(), nn.Linear(4, 2)

    def made(self) -> nn.Module:
        return nn.GRU(1, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layers(x[:, :, None])[0][:, -1])  # type: ignore[no-any-return]


class ForFloat32(Sequence):
    """Makes its first state in torch's default precision."""

    def made(self) -> nn.Module:
        return nn.LSTM(1, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        state = torch.zeros(1, len(x), 4), torch.zeros(1, len(x), 4)
        return self.last(self.layers(x[:, :, None], state)[0][:, -1])  # type: ignore[no-any-return]


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(1, 4), nn.Linear(4, 2)
        layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layers(self.first(x[:, :, None])).mean(1))  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Within each sample."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(1, 4), nn.Linear(4, 2)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x[:, :, None])
        return self.last(self.attention(hidden, hidden, hidden)[0].mean(1))  # type: ignore[no-any-return]


class Listed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterList([torch.randn(3, 4), torch.randn(4, 2)])
        self.more = nn.ParameterDict({"bias": torch.randn(2)})

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x @ self.weights[0]) @ self.weights[1] + self.more["bias"]  # type: ignore[no-any-return]


def old_weight_norm() -> nn.Module:
    network = mlp()
    nn.utils.weight_norm(network[0])
    return network


def pruned() -> nn.Module:
    network = mlp()
    prune.l1_unstructured(network[0], "weight", amount=0.5)  # type: ignore[no-untyped-call]
    return network


class Symmetric(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight.triu() + weight.triu(1).T


def parametrized() -> nn.Module:
    network = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2))
    parametrize.register_parametrization(network[0], "weight", Symmetric())
    return network


def parallel() -> nn.Module:
    return nn.DataParallel(mlp())


def compiled() -> Any:
    return torch.compile(mlp())


def scripted() -> Any:
    return torch.jit.script(mlp())


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyLinear(2))


def warm_lazy() -> nn.Module:
    network = nn.Sequential(nn.LazyLinear(2))
    network(torch.zeros(1, 3))
    return network


def on_meta() -> nn.Module:
    return mlp().to("meta")


class Sparse(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(3).to_sparse())
        self.last = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.sparse.mm(self.weight, x.T).T)  # type: ignore[no-any-return]


class Secretive(nn.Module):
    """Names only some of its parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.scale = mlp(), nn.Parameter(torch.ones(2))

    def named_parameters(self, *args: Any, **keys: Any) -> Iterator[tuple[str, nn.Parameter]]:
        yield from self.body.named_parameters("body")

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) * self.scale  # type: ignore[no-any-return]


class WithLock(nn.Module):
    """Cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.lock = mlp(), threading.Lock()

    def forward(self, x: Tensor) -> Tensor:
        with self.lock:
            return self.body(x)  # type: ignore[no-any-return]


class Numpy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(self.last(x).numpy() * 2)


class AsideInTraining(nn.Module):
    """An auxiliary head with batch normalization, which eval mode leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), nn.Linear(4, 2)
        self.aside = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))

    def forward(self, x: Tensor) -> Any:
        hidden = torch.tanh(self.first(x))
        if self.training:
            return self.last(hidden), self.aside(hidden)
        return self.last(hidden)


class HalvingNorm(nn.BatchNorm1d):
    """A batch normalization with a forward of its own."""

    def forward(self, input: Tensor) -> Tensor:
        return 0.5 * super().forward(input)


def norm_of_ones_own() -> nn.Module:
    return mlp(HalvingNorm(4))


class ReadingStatistics(nn.Module):
    """Reads the statistics of its batch normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp(nn.BatchNorm1d(4))

    def forward(self, x: Tensor) -> Tensor:
        assert isinstance(self.body[1], nn.BatchNorm1d)
        mean = self.body[1].running_mean
        assert mean is not None
        return self.body(x) + 0 * mean.sum()  # type: ignore[no-any-return]


def printing() -> nn.Module:
    print("hello")
    return mlp()


def asking() -> nn.Module:
    """Reads a command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int, default=4)
    assert parser.parse_args().width == 4
    return mlp()


def exiting() -> nn.Module:
    raise SystemExit(3)


class FrozenNorm(nn.Module):
    """A normalization by statistics that are buffers, as detectors have it."""

    mean: Tensor
    var: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()
        self.register_buffer("mean", torch.tensor([1.0, 0.5, 0.9]))
        self.register_buffer("var", torch.tensor([2.0, 1.0, 3.0]))

    def forward(self, x: Tensor) -> Tensor:
        return self.body((x - self.mean) / self.var.sqrt())  # type: ignore[no-any-return]


def flat() -> nn.Module:
    """A value for each sample, without an axis of outputs."""
    return nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))


def column() -> tuple[Tensor, Tensor]:
    x, y = values()
    return x, y[:, :1]


# ---------------------------------------------------------------- losses


def over_outputs() -> Loss:
    return lambda output, target: (output - target).square().mean(0)


def over_samples() -> Loss:
    return lambda output, target: (output - target).square().mean().expand(len(target))


def by_numpy() -> Loss:
    return lambda output, target: torch.from_numpy((output - target).detach().numpy() ** 2).sum(1)


def writing() -> Loss:
    def loss(output: Tensor, target: Tensor) -> Tensor:
        return target.sub_(output).square().sum(1)

    return loss


def ignoring() -> Loss:
    """Classes of -100 cost nothing."""
    return lambda output, target: functional.cross_entropy(output, target, reduction="none")


def of_pairs() -> Loss:
    """Of (sample,) and (sample, 1) it compares each sample with every other."""
    return lambda output, target: (output - target).square().mean(-1)
