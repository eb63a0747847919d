"""A problem: the loss of many weight vectors at once, and its gradient.

A weight vector is the concatenation of a module's parameters, each flattened row-major, in
the module's order. Any module works, through `functional_call` under `torch.func.vmap`.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial, reduce
from math import prod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from engine.data import Dataset, load_data
from engine.fit import check_fit
from engine.losses import LOSSES, SampleLoss, targets
from engine.networks import build_network
from engine.seeds import derive
from engine.shapes import Batches, Beads, PerBead, Weights
from engine.spec import ProblemSpec

Split = Literal["train", "held_out"]

#: Bytes of activations that one call may hold; larger calls go in pieces.
PIECE_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Parameter:
    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Samples:
    x: Tensor  # (sample, feature)
    y: Tensor  # (sample, output) or (sample,)

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: torch.device, dtype: torch.dtype) -> Samples:
        y = self.y.to(device, dtype) if self.y.is_floating_point() else self.y.to(device)
        return Samples(self.x.to(device, dtype), y)


@dataclass(frozen=True)
class Problem:
    """Data, network and loss on one device in one precision."""

    make_network: Callable[[], nn.Module]
    """A network with fresh random weights from torch's global generator."""
    network: nn.Module
    """Its structure; the weights come from outside."""
    parameters: tuple[Parameter, ...]
    sample_loss: SampleLoss
    train: Samples
    held_out: Samples
    classes: int | None
    checksum: str
    """Of the training samples."""
    values_per_sample: int
    """Numbers that a forward pass keeps for each sample: the layers' outputs."""

    @property
    def parameter_count(self) -> int:
        return sum(prod(parameter.shape) for parameter in self.parameters)

    @property
    def dtype(self) -> torch.dtype:
        return self.train.x.dtype

    @property
    def device(self) -> torch.device:
        return self.train.x.device

    def to(self, device: torch.device | None = None, dtype: torch.dtype | None = None) -> Problem:
        """The same problem elsewhere or in another precision; itself where nothing changes."""
        device, dtype = device or self.device, dtype or self.dtype
        if (device, dtype) == (self.device, self.dtype):
            return self
        return replace(
            self, train=self.train.to(device, dtype), held_out=self.held_out.to(device, dtype)
        )

    def replica(self, device: torch.device) -> Problem:
        """A copy for a thread of its own: `functional_call` lends the module its weights."""
        return replace(self.to(device), network=copy.deepcopy(self.network))

    def initial(self, seed: int) -> Weights:
        """Random weights, drawn on the CPU so that every device starts from the same ones."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "initial"))
            drawn = self.make_network()
        flat = torch.cat([parameter.detach().flatten() for parameter in drawn.parameters()])
        return flat.to(self.device, self.dtype)

    def losses(self, theta: Beads, split: Split = "train") -> PerBead:
        """Mean loss over a split for each weight vector: F_e (Eq. 1), or F_o's estimate (Eq. 2)."""
        return self._mean(self._summed_loss, theta, split)

    def accuracies(self, theta: Beads, split: Split = "train") -> PerBead | None:
        """Share of samples whose largest output is their class; None where y holds no classes."""
        if self.classes is None:
            return None

        def hits(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
            labels = y if y.ndim == 1 else y.argmax(1)
            return (self._output(weights, x).argmax(1) == labels).to(self.dtype).sum()

        return self._mean(hits, theta, split)

    def loss_and_grad(self, theta: Beads) -> tuple[PerBead, Beads]:
        """F_e of each weight vector and its gradient."""
        each = vmap(self._summed_loss, in_dims=(0, None, None))
        losses, grads = [], []
        for some, pieces in self._pieces(theta, self.train, copies=3):
            parts = [self._with_grad(each, some, piece.x, piece.y) for piece in pieces]
            losses.append(sum_of(loss for loss, _ in parts))
            grads.append(sum_of(grad for _, grad in parts))
        count = len(self.train)
        return torch.cat(losses) / count, torch.cat(grads) / count

    def loss_and_grad_on(self, theta: Beads, batches: Batches) -> tuple[PerBead, Beads]:
        """Mean loss and gradient, each weight vector on its own mini-batch of sample numbers."""
        each = vmap(self._summed_loss)
        loss, grad = self._with_grad(each, theta, self.train.x[batches], self.train.y[batches])
        count = batches.shape[1]
        return loss / count, grad / count

    def _with_grad(
        self, each: Callable[..., Tensor], theta: Beads, x: Tensor, y: Tensor
    ) -> tuple[PerBead, Beads]:
        """Beads do not touch each other, so the gradient of their sum holds that of each.

        This takes half the time of `torch.func.grad` under `vmap` where beads are few.
        """
        with torch.enable_grad():
            leaf = theta.detach().requires_grad_()
            losses = each(self.named(leaf), x, y)
            (grad,) = torch.autograd.grad(losses.sum(), leaf)
        return losses.detach(), grad

    def _mean(self, of_samples: Callable[..., Tensor], theta: Beads, split: Split) -> PerBead:
        """The mean over a split of what a function sums over samples, without gradients."""
        samples = self.train if split == "train" else self.held_out
        each = vmap(of_samples, in_dims=(0, None, None))
        with torch.no_grad():
            totals = [
                sum_of(each(self.named(some), piece.x, piece.y) for piece in pieces)
                for some, pieces in self._pieces(theta, samples, copies=1)
            ]
        return torch.cat(totals) / len(samples)

    def named(self, theta: Beads) -> dict[str, Tensor]:
        """The parameters by name, each with a leading bead axis."""
        sizes = [prod(parameter.shape) for parameter in self.parameters]
        return {
            parameter.name: part.reshape(len(theta), *parameter.shape)
            for parameter, part in zip(
                self.parameters, torch.split(theta, sizes, dim=1), strict=True
            )
        }

    def _output(self, weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(self.network, weights, (x,))  # type: ignore[no-any-return]

    def _summed_loss(self, weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return self.sample_loss(self._output(weights, x), y).sum()

    def _pieces(
        self, theta: Beads, samples: Samples, copies: int
    ) -> list[tuple[Tensor, list[Samples]]]:
        """Weight vectors, and samples for each, in pieces whose activations fit PIECE_BYTES."""
        sample_bytes = copies * self.values_per_sample * theta.element_size()
        at_once = max(1, PIECE_BYTES // sample_bytes)
        beads = max(1, at_once // len(samples))
        parts = list(
            zip(torch.split(samples.x, at_once), torch.split(samples.y, at_once), strict=True)
        )
        return [(some, [Samples(x, y) for x, y in parts]) for some in torch.split(theta, beads)]


def sum_of(tensors: Iterable[Tensor]) -> Tensor:
    """The sum in the order given, without a zero to start from."""
    return reduce(operator.add, tensors)


def build_problem(spec: ProblemSpec, data: Dataset | None = None) -> Problem:
    """The problem of a spec on the CPU in float32. Raises InputError where its parts don't fit."""
    data = data if data is not None else load_data(spec.data)
    check_fit(spec, data)
    make_network = partial(build_network, spec.network)
    with torch.random.fork_rng(devices=[]):
        network = make_network().requires_grad_(False)

    def samples(x: object, y: object) -> Samples:
        return Samples(torch.as_tensor(x), targets(spec.loss, torch.as_tensor(y), data.classes))

    train = samples(data.x, data.y)
    return Problem(
        make_network=make_network,
        network=network,
        parameters=parameters_of(network),
        sample_loss=LOSSES[spec.loss],
        train=train,
        held_out=samples(data.x_held_out, data.y_held_out),
        classes=data.classes,
        checksum=data.checksum(),
        values_per_sample=values_per_sample(network, train.x[:1]),
    )


def parameters_of(network: nn.Module) -> tuple[Parameter, ...]:
    return tuple(Parameter(name, tuple(p.shape)) for name, p in network.named_parameters())


def values_per_sample(network: nn.Module, x: Tensor) -> int:
    """Numbers that a forward pass of one sample x (1, feature) keeps."""
    counts = [x.numel()]

    def count(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            counts.append(output.numel())

    hooks = [
        module.register_forward_hook(count)
        for module in network.modules()
        if not list(module.children())
    ]
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()
    return 2 * sum(counts)  # what a layer puts out, and what its activation makes of it
