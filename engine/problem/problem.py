"""A problem: the loss of many weight vectors at once, and its gradient.

A weight vector is the concatenation of a module's parameters, each flattened row-major, in
the module's order. Any module works (`models`): all weight vectors in one call, or one after
another.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from threading import Lock
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn

from engine.backends.cuda_graphs import Graphs
from engine.backends.fused import FusedProblem
from engine.backends.models import (
    InPlace,
    Model,
    Models,
    OfModel,
    Statistics,
    Together,
    joined,
    normalize,
)
from engine.data import Dataset, load_data
from engine.errors import InputError
from engine.networks import build_network
from engine.networks.custom import CustomNetwork
from engine.networks.modules import lent
from engine.networks.modules.custom import check_runs
from engine.problem.batch_norm import (
    Mode,
    batch_norms,
    collect,
    estimate_from,
    replace_batch_norm,
)
from engine.problem.cost import Cost, measured_cost
from engine.problem.losses import LOSSES, SampleLoss, build_loss, check_loss, check_output
from engine.problem.samples import Samples, samples_of
from engine.seeds import derive
from engine.shapes import Batches, Beads, Pairs, PerBead, Points, Rows, Weights
from engine.spec.checks import check_fit
from engine.spec.keys import BatchNorm as BatchNormSpec
from engine.spec.keys import CustomLoss, LevelOn, ProblemSpec

Split = Literal["train", "held_out"]
Batching = Literal["vmap", "loop", "graph"]

#: Held while weights are drawn: torch's generator belongs to all threads.
DRAWING = Lock()
#: Bytes of layers' outputs that one call may hold; larger calls go in pieces.
PIECE_BYTES = 256 * 2**20
#: Where models are measured one after another on the CPU, pieces that stay in its cache are faster,
#: unless they are of fewer samples than this.
CACHE_BYTES, CACHED_SAMPLES = 4 * 2**20, 64

#: Weight vectors from which on the CPU batches them; fewer are faster one after another.
FEW_TOGETHER = 8
NO_STATISTICS: Statistics = MappingProxyType({})

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
    estimate: Samples | None = None
    """Training samples that batch-norm statistics are taken from; None in networks without."""
    batching: Batching = "vmap"
    fused: FusedProblem | None = None
    """Compiled code for the same, on the CPU; where there is none, torch computes."""
    piece_bytes: int = PIECE_BYTES
    in_place: dict[torch.dtype, InPlace] = field(default_factory=dict, compare=False, repr=False)
    """Networks that models are lent to one at a time, made when first needed."""
    graphs: Graphs = field(default_factory=Graphs, compare=False, repr=False)
    """Of gradients, where batching is graph: as vmap, recorded on a GPU."""
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
        first = samples[:size]
        train, held_out = (first, self.held_out) if split == "train" else (self.train, first)
        return replace(self, fused=None, train=train, held_out=held_out, graphs=Graphs())

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
            in_place=self.in_place if device == self.device else {},
            graphs=Graphs(),
            train=self.train.to(device),
            held_out=self.held_out.to(device),
            estimate=self.estimate and self.estimate.to(device),
            fused=self.fused and self.fused.to(str(dtype).removeprefix("torch.")),
            dtype=dtype,
        )

    def replica(self, device: torch.device) -> Problem:
        """A copy for a thread of its own: models are lent to its network."""
        network = copy.deepcopy(self.network).to(device)
        return replace(self.to(device), network=network, in_place={}, graphs=Graphs())

    def initial(self, seed: int) -> Weights:
        """Random weights, drawn on the CPU so that every device starts from the same ones."""
        with DRAWING, torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(seed, "initial"))
            drawn = self.make_network()
        flat = torch.cat([parameter.detach().flatten() for parameter in drawn.parameters()])
        return flat.to(self.device, self.dtype)

    # ------------------------------------------------------------ what is measured

    def judged(self, theta: Beads, bound: PerBead | None = None) -> PerBead:
        """What is held against the level, for each weight vector; `bound` as in `values`."""
        return self.values(theta, self.judge, bound)

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

    def values(self, theta: Beads, measure: LevelOn, bound: PerBead | None = None) -> PerBead:
        """A metric on a split for each weight vector; not a number where there are no samples.

        `bound`: above it nobody asks by how much. A model is given up as soon as it is certain to
        be above its bound, and its value is that of the samples seen until then.
        """
        match measure.metric:
            case "loss":
                return self.losses(theta, measure.split, bound)
            case "perplexity":
                bound = None if bound is None else bound.log()
                return self.losses(theta, measure.split, bound).exp()
            case "error_rate":
                return self.error_rates(theta, measure.split, bound)

    def losses(self, theta: Beads, split: Split = "train", bound: PerBead | None = None) -> PerBead:
        """Mean loss over a split for each weight vector: F_e (Eq. 1), or F_o's estimate (Eq. 2).

        Not a number where the split has no samples.
        """
        if self.fused is not None:
            return torch.from_numpy(self.fused.losses(theta, split))
        certain = bound if self.sample_loss in LOSSES.values() else None  # others may be negative
        return self._mean(self._summed_loss, theta, split, certain)

    def error_rates(
        self, theta: Beads, split: Split = "train", bound: PerBead | None = None
    ) -> PerBead:
        """Share of samples, or tokens, whose largest output is not their class.

        Only for problems with classes.
        """

        def misses(model: Model, x: Tensor, y: Tensor) -> Tensor:
            labels = y.argmax(1) if y.is_floating_point() else y
            wrong = (model(x).argmax(1) != labels).to(self.dtype)
            return wrong.sum() / prod(labels.shape[1:])

        return self._mean(misses, theta, split, bound)

    def _mean(
        self, of_samples: OfModel, theta: Beads, split: Split, bound: PerBead | None
    ) -> PerBead:
        """The mean over a split of what a function sums over samples, without gradients."""
        samples = self.samples(split)
        if not len(samples):
            return torch.full_like(theta[:, 0], torch.nan)
        if self._one_by_one(theta):
            bounds = len(theta) * [None] if bound is None else torch.split(bound, 1)
            rows = zip(torch.split(theta, 1), bounds, strict=True)
            return torch.cat([self._mean(of_samples, row, split, most) for row, most in rows])
        total, seen = torch.zeros_like(theta[:, 0]), torch.zeros_like(theta[:, 0])
        going = torch.arange(len(theta), device=theta.device)
        at_once, size, least = self._piece(
            len(samples), copies=1, together=self._by_batch, measuring=True
        )
        mode: Mode = "batch" if self._by_batch else "given"
        with torch.no_grad():
            statistics = self._statistics(theta)
            models = self._models(theta, mode, statistics)
            for x, y in samples.pieces(size, self.dtype, least):
                total[going] += models.each(of_samples, x, y, at_once)
                seen[going] += len(x)
                if bound is None:
                    continue
                below = ~(total[going] > bound[going] * len(samples))
                if not below.any():
                    break
                if not below.all():
                    going = going[below]
                    left = {name: values[going] for name, values in statistics.items()}
                    models = self._models(theta[going], mode, left)
        return total / seen

    # ------------------------------------------------------------ gradients

    def loss_and_grad(self, theta: Beads) -> tuple[PerBead, Beads]:
        """F_e of each weight vector and its gradient."""
        if self.fused is not None:
            found, slope = self.fused.loss_and_grad(theta)
            return torch.from_numpy(found), torch.from_numpy(slope)
        if self._one_by_one(theta):
            return joined([self.loss_and_grad(row) for row in torch.split(theta, 1)])
        if self.batching == "graph":
            return self.graphs.run(self._on_all, theta)
        return self._on_all(theta)

    def _on_all(self, theta: Beads) -> tuple[PerBead, Beads]:
        at_once, size, least = self._piece(len(self.train), copies=3, together=self.normalizes)
        models = self._models(theta, "batch")
        loss, grad = torch.zeros_like(theta[:, 0]), torch.zeros_like(theta)
        for x, y in self.train.pieces(size, self.dtype, least):
            of_some, slopes = models.loss_and_grad(self._summed_loss, x, y, at_once)
            loss += of_some
            grad += slopes
        return loss / len(self.train), grad / len(self.train)

    def loss_and_grad_on(self, theta: Beads, batches: Batches) -> tuple[PerBead, Beads]:
        """Mean loss and gradient, each weight vector on its own mini-batch of sample numbers."""
        if self.fused is not None:
            found, slope = self.fused.loss_and_grad_on(theta, batches)
            return torch.from_numpy(found), torch.from_numpy(slope)
        if self._one_by_one(theta):
            rows = zip(torch.split(theta, 1), torch.split(batches, 1), strict=True)
            return joined([self.loss_and_grad_on(*row) for row in rows])
        if self.batching == "graph":
            return self.graphs.run(self._on, theta, batches)
        return self._on(theta, batches)

    def _on(self, theta: Beads, batches: Batches) -> tuple[PerBead, Beads]:
        count = batches.shape[1]
        at_once, size, _ = self._piece(count, copies=3)
        models = self._models(theta, "batch")
        loss, grad = torch.zeros_like(theta[:, 0]), torch.zeros_like(theta)
        for numbers in torch.split(batches, count if self.normalizes else size, dim=1):
            x, y = self.train.part(numbers, self.dtype)
            of_some, slopes = models.loss_and_grad(self._summed_loss, x, y, at_once, own=True)
            loss += of_some
            grad += slopes
        return loss / count, grad / count

    def gradient(self, theta: Beads, batches: Batches | None) -> Beads:
        """Of the loss on each weight vector's own mini-batch, or on all samples."""
        if batches is None:
            return self.loss_and_grad(theta)[1]
        return self.loss_and_grad_on(theta, batches)[1]

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

    def _models(self, theta: Beads, mode: Mode, statistics: Statistics = NO_STATISTICS) -> Models:
        """One in place, or many under vmap, with their batch normalization of that kind."""
        models: Models
        if len(theta) == 1:
            models = self._in_place.lend(theta[0], statistics)
        else:
            models = Together(self.network, self.named, theta, statistics)
        if self.normalizes:
            normalize(models, mode)
        return models

    def _one_by_one(self, theta: Beads) -> bool:
        """Whether these are to be computed one after another, as few are on the CPU in any case."""
        few = FEW_TOGETHER if self.device.type == "cpu" else 2
        return len(theta) > 1 and (self.batching == "loop" or len(theta) < few)

    @property
    def _in_place(self) -> InPlace:
        if self.dtype not in self.in_place:
            self.in_place[self.dtype] = InPlace(self.network, self.device, self.dtype)
        return self.in_place[self.dtype]

    def _summed_loss(self, model: Model, x: Tensor, y: Tensor) -> Tensor:
        return self.sample_loss(model(x), y).sum()

    def _piece(
        self, samples: int, copies: int, together: bool = False, measuring: bool = False
    ) -> tuple[int, int, int]:
        """Weight vectors and samples of a call whose layers' outputs fit piece_bytes, and the
        fewest samples of a call.

        It depends on nothing but the problem, so that batch mates do not change a bead's sums.
        `together`: samples that are normalized by each other's statistics, which memory must not
        part, and of which one alone has none.
        """
        if together:
            samples = min(samples, self.batch_norm.samples)
        sample_bytes = copies * self.cost.values * self.dtype.itemsize
        small = measuring and self.batching == "loop" and self.device.type == "cpu"
        cached_bytes = max(CACHE_BYTES, CACHED_SAMPLES * sample_bytes)
        piece_bytes = min(self.piece_bytes, cached_bytes) if small else self.piece_bytes
        at_once = max(1, piece_bytes // sample_bytes)
        size = samples if together else min(samples, at_once)
        return max(1, at_once // size), size, 2 if together else 1

    # ------------------------------------------------------------ batch normalization

    @property
    def normalizes(self) -> bool:
        """Whether the network has batch normalization."""
        return self.estimate is not None

    @property
    def normalized_by(self) -> str:
        """Says by which statistics models are normalized; empty where the network does not."""
        return self.batch_norm.words(len(self.train)) if self.normalizes else ""

    @property
    def _by_batch(self) -> bool:
        """Whether samples are normalized by those that share their batch, when measured too."""
        return self.batch_norm.statistics == "batch" and self.normalizes

    def _statistics(self, theta: Beads) -> dict[str, Tensor]:
        """Returns each model's own mean and variance of each normalized layer, by buffer name.

        They come from one pass over `estimate` in one batch, as `engine.problem.batch_norm`
        defines them. Empty without such layers, and where batches normalize by their own.
        """
        if self.estimate is None or self._by_batch:
            return {}
        x, y = self.estimate.part(slice(None), self.dtype)
        models = self._models(theta, "collect")
        names, layers = zip(*batch_norms(models.network), strict=True)

        def collected(model: Model, x: Tensor, y: Tensor) -> Tensor:
            return torch.cat(collect(model, layers, x))

        at_once, *_ = self._piece(len(x), copies=1)
        found = models.each(collected, x, y, at_once)  # (bead, channel of all layers)
        buffers = [f"{name}.{part}" for name in names for part in ("mean", "var")]
        sizes = [layer.channels for layer in layers for _ in ("mean", "var")]
        return dict(zip(buffers, torch.split(found, sizes, dim=1), strict=True))


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
        estimate=estimate_from(train, spec.batch_norm) if batch_norms(network) else None,
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
