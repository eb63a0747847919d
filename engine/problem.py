"""A problem: the loss of many weight vectors at once, and its gradient.

A weight vector is the concatenation of a module's parameters, each flattened row-major, in
the module's order. Any module works, through `functional_call`: under `torch.func.vmap`, all
weight vectors in one call, or one after another.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from threading import Lock
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import vmap

from engine.cost import Cost, measured_cost
from engine.data import Dataset, load_data
from engine.errors import InputError
from engine.fit import check_fit
from engine.fused import FusedProblem
from engine.losses import SampleLoss, build_loss, check_loss, check_output
from engine.networks import build_network, lent
from engine.networks.custom import check_runs
from engine.networks.norm import BatchNorm, batch_norms, replace_batch_norm
from engine.samples import Samples, samples_of
from engine.seeds import derive
from engine.shapes import Batches, Beads, Pairs, PerBead, Points, Rows, Weights
from engine.spec import BatchNorm as BatchNormSpec
from engine.spec import CustomLoss, CustomNetwork, LevelOn, ProblemSpec

Split = Literal["train", "held_out"]
Batching = Literal["vmap", "loop"]
OfOne = Callable[[dict[str, Tensor], Tensor, Tensor], Tensor]
"""Of one model's weights by name, x and y; tensors without a bead axis."""

#: Held while weights are drawn: torch's generator belongs to all threads.
DRAWING = Lock()
#: Bytes of layers' outputs that one call may hold; larger calls go in pieces.
PIECE_BYTES = 256 * 2**20
#: Where models go one after another on the CPU, pieces that stay in its cache are twice as fast.
CACHE_BYTES = 8 * 2**20

#: Weights that are interpolated at once.
INTERPOLATED = 2**25

#: Samples that what is shown beside the judged may always be taken over.
FEW_BESIDE = 1000

TRAINING_LOSS = LevelOn()
HELD_OUT_LOSS = LevelOn(split="held_out")


@dataclass(frozen=True)
class Parameter:
    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Problem:
    """Data, network and loss on one device in one precision."""

    make_network: Callable[[], nn.Module]
    """A network with fresh random weights from torch's global generator."""
    network: nn.Module
    """Its structure; the weights come from outside."""
    parameters: tuple[Parameter, ...]
    places: tuple[tuple[str, str], ...]
    """Where the network holds parameters, and the name of each: tied ones stand in several."""
    sample_loss: SampleLoss
    train: Samples
    held_out: Samples
    classes: int | None
    checksum: str
    """Of the training samples."""
    cost: Cost
    """Of one sample."""
    judge: LevelOn = TRAINING_LOSS
    """What is held against the level."""
    batch_norm: BatchNormSpec = field(default_factory=BatchNormSpec)
    batching: Batching = "vmap"
    fused: FusedProblem | None = None
    """Compiled code for the same, on the CPU; where there is none, torch computes."""
    piece_bytes: int = PIECE_BYTES
    dtype: torch.dtype = torch.float32

    @property
    def parameter_count(self) -> int:
        return sum(prod(parameter.shape) for parameter in self.parameters)

    @property
    def device(self) -> torch.device:
        return self.train.x.device

    @property
    def beside(self) -> LevelOn:
        """What people see next to what is judged: the other split, or the loss trained on."""
        return HELD_OUT_LOSS if self.judge == TRAINING_LOSS else TRAINING_LOSS

    @property
    def samples_beside(self) -> int:
        """Over how many that is taken: all where they are few beside those that are judged."""
        some = max(FEW_BESIDE, self.judged_samples // 5)
        return min(len(self.samples(self.beside.split)), some)

    @property
    def judges_by_steps(self) -> bool:
        """Whether a step on all the data sees what is judged: it does not where it is another
        metric or split, nor where a step normalizes by batches."""
        return self.judge == TRAINING_LOSS and not self.normalizes

    @property
    def judged_samples(self) -> int:
        """How many samples what is judged is taken over."""
        return len(self.samples(self.judge.split))

    def cut(self, split: Split, size: int) -> Problem:
        """With the first so many samples of a split; itself where that is all."""
        samples = self.samples(split)
        if size >= len(samples):
            return self
        first = Samples(samples.x[:size], samples.y[:size], samples.scaling)
        train, held_out = (first, self.held_out) if split == "train" else (self.train, first)
        return replace(self, fused=None, train=train, held_out=held_out)

    def samples(self, split: Split) -> Samples:
        return self.train if split == "train" else self.held_out

    def to(self, device: torch.device | None = None, dtype: torch.dtype | None = None) -> Problem:
        """The same problem elsewhere or in another precision; itself where nothing changes."""
        device, dtype = device or self.device, dtype or self.dtype
        if (device, dtype) == (self.device, self.dtype):
            return self
        return replace(
            self,
            network=_with_buffers(self.network, device, dtype),
            train=self.train.to(device),
            held_out=self.held_out.to(device),
            fused=self.fused and self.fused.to(str(dtype).removeprefix("torch.")),
            dtype=dtype,
        )

    def replica(self, device: torch.device) -> Problem:
        """A copy for a thread of its own: `functional_call` lends the module its weights."""
        return replace(self.to(device), network=copy.deepcopy(self.network).to(device))

    def initial(self, seed: int) -> Weights:
        """Random weights, drawn on the CPU so that every device starts from the same ones."""
        with DRAWING, torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(seed, "initial"))
            drawn = self.make_network()
        flat = torch.cat([parameter.detach().flatten() for parameter in drawn.parameters()])
        return flat.to(self.device, self.dtype)

    # ------------------------------------------------------------ what is measured

    def judged(self, theta: Beads) -> PerBead:
        """What is held against the level, for each weight vector."""
        return self.values(theta, self.judge)

    def between(self, left: Pairs, right: Pairs, rows: Rows, t: Points) -> Points:
        """What is judged at (1 − t[i])·left[rows[i]] + t[i]·right[rows[i]], for all i."""
        if self.fused is not None and self.judge.metric == "loss":
            found = self.fused.interpolated(left, right, rows, t, self.judge.split)
            return torch.from_numpy(found)
        size = max(1, INTERPOLATED // left.shape[1])
        losses = [
            self.judged(torch.lerp(left[some], right[some], at[:, None]))
            for some, at in zip(torch.split(rows, size), torch.split(t, size), strict=True)
        ]
        return torch.cat(losses)

    def values(self, theta: Beads, measure: LevelOn) -> PerBead:
        """A metric on a split for each weight vector; not a number where there are no samples."""
        match measure.metric:
            case "loss":
                return self.losses(theta, measure.split)
            case "perplexity":
                return self.losses(theta, measure.split).exp()
            case "error_rate":
                accuracies = self.accuracies(theta, measure.split)
                assert accuracies is not None  # check_level_on
                return 1 - accuracies

    def losses(self, theta: Beads, split: Split = "train") -> PerBead:
        """Mean loss over a split for each weight vector: F_e (Eq. 1), or F_o's estimate (Eq. 2).

        Not a number where the split has no samples.
        """
        if self.fused is not None:
            return torch.from_numpy(self.fused.losses(theta, split))
        return self._mean(self._summed_loss, theta, split)

    def accuracies(self, theta: Beads, split: Split = "train") -> PerBead | None:
        """Share of samples, or tokens, whose largest output is their class, where there are any."""
        if self.classes is None:
            return None

        def hits(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
            labels = y.argmax(1) if y.is_floating_point() else y
            right = (self._output(weights, x).argmax(1) == labels).to(self.dtype)
            return right.sum() / prod(labels.shape[1:])

        return self._mean(hits, theta, split)

    def _mean(self, of_samples: OfOne, theta: Beads, split: Split) -> PerBead:
        """The mean over a split of what a function sums over samples, without gradients."""
        samples = self.samples(split)
        if not len(samples):
            return torch.full_like(theta[:, 0], torch.nan)
        with torch.no_grad():
            weights = self.named(theta) | self._statistics(theta)
            total = torch.zeros_like(theta[:, 0])
            beads, size, least = self._piece(len(samples), copies=1, together=self._by_batch)
            with self._norms("batch" if self._by_batch else "given"):
                for x, y in samples.pieces(size, self.dtype, least):
                    parts = [self._each(of_samples, some, x, y) for some in _cut(weights, beads)]
                    total += torch.cat(parts)
        return total / len(samples)

    # ------------------------------------------------------------ gradients

    def loss_and_grad(self, theta: Beads) -> tuple[PerBead, Beads]:
        """F_e of each weight vector and its gradient."""
        if self.fused is not None:
            found, slope = self.fused.loss_and_grad(theta)
            return torch.from_numpy(found), torch.from_numpy(slope)
        loss, grad = torch.zeros_like(theta[:, 0]), torch.zeros_like(theta)
        together = self.normalizes
        beads, size, least = self._piece(len(self.train), copies=3, together=together)
        for x, y in self.train.pieces(size, self.dtype, least):
            parts = [self._with_grad(some, x, y) for some in torch.split(theta, beads)]
            loss += torch.cat([of_some for of_some, _ in parts])
            grad += torch.cat([of_some for _, of_some in parts])
        return loss / len(self.train), grad / len(self.train)

    def loss_and_grad_on(self, theta: Beads, batches: Batches) -> tuple[PerBead, Beads]:
        """Mean loss and gradient, each weight vector on its own mini-batch of sample numbers."""
        if self.fused is not None:
            found, slope = self.fused.loss_and_grad_on(theta, batches)
            return torch.from_numpy(found), torch.from_numpy(slope)
        count = batches.shape[1]
        beads, size, _ = self._piece(count, copies=3)
        loss, grad = torch.zeros_like(theta[:, 0]), torch.zeros_like(theta)
        for numbers in torch.split(batches, count if self.normalizes else size, dim=1):
            parts = [
                self._with_grad(some, *self.train.part(rows, self.dtype), own=True)
                for some, rows in zip(
                    torch.split(theta, beads), torch.split(numbers, beads), strict=True
                )
            ]
            loss += torch.cat([of_some for of_some, _ in parts])
            grad += torch.cat([of_some for _, of_some in parts])
        return loss / count, grad / count

    def gradient(self, theta: Beads, batches: Batches | None) -> Beads:
        """Of the loss on each weight vector's own mini-batch, or on all samples."""
        if batches is None:
            return self.loss_and_grad(theta)[1]
        return self.loss_and_grad_on(theta, batches)[1]

    def _with_grad(
        self, theta: Beads, x: Tensor, y: Tensor, own: bool = False
    ) -> tuple[PerBead, Beads]:
        """Summed losses and their gradients; `own`: x and y have a bead axis.

        Beads do not touch each other, so the gradient of their sum holds that of each. This takes
        half the time of `torch.func.grad` under `vmap` where beads are few.
        """
        if self.batching == "loop" and len(theta) > 1:
            parts = [
                self._with_grad(row, *((x[n : n + 1], y[n : n + 1]) if own else (x, y)), own=own)
                for n, row in enumerate(torch.split(theta, 1))
            ]
            loss, grad = (torch.cat(side) for side in zip(*parts, strict=True))
            return loss, grad
        with torch.enable_grad(), self._norms("batch"):
            leaf = theta.detach().requires_grad_()
            losses = self._each(self._summed_loss, self.named(leaf), x, y, own)
            (grad,) = torch.autograd.grad(losses.sum(), leaf)
        return losses.detach(), grad

    # ------------------------------------------------------------ models as functions

    def named(self, theta: Beads) -> dict[str, Tensor]:
        """The parameters by their places in the network, each with a leading bead axis."""
        sizes = [prod(parameter.shape) for parameter in self.parameters]
        named = {
            parameter.name: part.reshape(len(theta), *parameter.shape)
            for parameter, part in zip(
                self.parameters, torch.split(theta, sizes, dim=1), strict=True
            )
        }
        return {place: named[name] for place, name in self.places}

    def _each(
        self, function: OfOne, weights: dict[str, Tensor], x: Tensor, y: Tensor, own: bool = False
    ) -> Tensor:
        """The function of each model's weights; `own`: x and y have a bead axis too."""
        if self.batching == "vmap":
            axis = 0 if own else None
            each = vmap(function, in_dims=(0, axis, axis))
            return each(weights, x, y)
        count = len(next(iter(weights.values())))
        rows = [
            function(
                {name: part[n] for name, part in weights.items()},
                x[n] if own else x,
                y[n] if own else y,
            )
            for n in range(count)
        ]
        return torch.stack(rows)

    def _output(self, weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return lent.output(self.network, weights, x)

    def _summed_loss(self, weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return self.sample_loss(self._output(weights, x), y).sum()

    def _piece(self, samples: int, copies: int, together: bool = False) -> tuple[int, int, int]:
        """Weight vectors and samples of a call whose layers' outputs fit piece_bytes, and the
        fewest samples of a call.

        It depends on nothing but the problem, so that batch mates do not change a bead's sums.
        `together`: samples that are normalized by each other's statistics, which memory must not
        part, and of which one alone has none.
        """
        if together:
            samples = min(samples, self.batch_norm.samples)
        sample_bytes = copies * self.cost.values * self.dtype.itemsize
        small = self.batching == "loop" and self.device.type == "cpu"
        piece_bytes = min(self.piece_bytes, CACHE_BYTES) if small else self.piece_bytes
        at_once = max(1, piece_bytes // sample_bytes)
        size = samples if together else min(samples, at_once)
        return max(1, at_once // size), size, 2 if together else 1

    # ------------------------------------------------------------ batch normalization

    @property
    def normalizes(self) -> bool:
        """Whether the network has batch normalization."""
        return bool(self._norm_layers)

    @property
    def _norm_layers(self) -> list[tuple[str, BatchNorm]]:
        return batch_norms(self.network)

    @property
    def _by_batch(self) -> bool:
        """Whether samples are normalized by those that share their batch, when measured too."""
        return self.batch_norm.statistics == "batch" and self.normalizes

    @contextmanager
    def _norms(self, mode: Literal["batch", "collect", "given"]) -> Iterator[None]:
        """Within it the network normalizes that way."""
        for _, layer in self._norm_layers:
            layer.mode = mode
        yield

    def _statistics(self, theta: Beads) -> dict[str, Tensor]:
        """Each model's own mean and variance of each normalized layer, by buffer name.

        Of the first training samples, layer by layer in one pass. Empty without such layers.
        """
        layers = self._norm_layers
        if not layers or self._by_batch:
            return {}
        count = min(len(self.train), self.batch_norm.samples)
        x, y = self.train.part(slice(0, count), self.dtype)

        def collected(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
            self._output(weights, x)
            return torch.cat([part for _, layer in layers for part in layer.collected])

        beads, *_ = self._piece(count, copies=1)
        with self._norms("collect"):
            parts = [self._each(collected, some, x, y) for some in _cut(self.named(theta), beads)]
        names = [f"{name}.{part}" for name, _ in layers for part in ("mean", "var")]
        sizes = [layer.channels for _, layer in layers for _ in ("mean", "var")]
        columns = torch.split(torch.cat(parts), sizes, dim=1)
        return dict(zip(names, columns, strict=True))


def _cut(weights: dict[str, Tensor], beads: int) -> Iterator[dict[str, Tensor]]:
    """The weights of that many models at a time."""
    parts = [torch.split(tensor, beads) for tensor in weights.values()]
    for some in zip(*parts, strict=True):
        yield dict(zip(weights, some, strict=True))


def _with_buffers(network: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """The network with its buffers there and so; itself where it has none."""
    if not list(network.buffers()):
        return network
    return copy.deepcopy(network).to(device, dtype)


def build_problem(
    spec: ProblemSpec, data: Dataset | None = None, judge: LevelOn = TRAINING_LOSS
) -> Problem:
    """The problem of a spec on the CPU in float32. Raises InputError where its parts don't fit."""
    data = data if data is not None else load_data(spec.data)
    check_fit(spec, data)
    make_network = partial(build_network, spec.network)
    with DRAWING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # buffers may be drawn too, and are the same in every session
        network = replace_batch_norm(make_network()).requires_grad_(False).eval()
        train = samples_of(data, spec.loss, held_out=False)
        x, y = train.part(slice(0, 2), torch.float32)
        if isinstance(spec.network, CustomNetwork):
            check_runs(network, x, spec.network)
    loss = build_loss(spec.loss)
    if batch_norms(network) and len(train) < 2:
        raise InputError(
            "holds one training sample, and batch normalization needs two or more; add some",
            key="problem.data",
        )
    classes = _checked_output(spec, data, network, loss, x, y)
    return Problem(
        make_network=make_network,
        network=network,
        parameters=parameters_of(network),
        places=places_of(network),
        sample_loss=loss,
        train=train,
        held_out=samples_of(data, spec.loss, held_out=True),
        classes=classes,
        checksum=data.checksum(),
        cost=measured_cost(network, x),
        judge=judge,
        batch_norm=spec.batch_norm,
    )


def _checked_output(
    spec: ProblemSpec, data: Dataset, network: nn.Module, loss: SampleLoss, x: Tensor, y: Tensor
) -> int | None:
    """The classes for which the network gives scores. Raises InputError where the loss can't be.

    x and y are the first samples.
    """
    with torch.no_grad():
        output = network(x)
    if isinstance(spec.loss, CustomLoss):
        check_loss(loss, spec.loss, output, y)
        scores = output.ndim > 1 and output.shape[1] >= (data.classes or 0)
        return data.classes if scores and output.shape[2:] == y.shape[1:] else None
    own_network = isinstance(spec.network, CustomNetwork)
    key = "problem.network.factory" if own_network else "problem.data"
    check_output(spec.loss, output, y, data.classes, key)
    return data.classes


def parameters_of(network: nn.Module) -> tuple[Parameter, ...]:
    """Tied weights once, under their first name."""
    return tuple(Parameter(name, tuple(p.shape)) for name, p in network.named_parameters())


def places_of(network: nn.Module) -> tuple[tuple[str, str], ...]:
    """The name that each parameter has in each module that holds it, and its first name."""
    first: dict[int, str] = {id(p): name for name, p in network.named_parameters()}
    return tuple((place, first[id(parameter)]) for place, parameter in lent.held(network))
