"""A problem: data, a network, a loss and the objective.

A weight vector is the concatenation of a module's parameters, each flattened row-major, in
the module's order. A problem is frozen data; a backend (`engine.backends`) computes with it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import prod
from typing import Literal

import torch
from torch import Tensor, nn

from engine.data import Dataset, load_data
from engine.errors import InputError
from engine.networks import build_network
from engine.networks.modules import lent
from engine.networks.modules.dropout import draws_within
from engine.networks.modules.widened import needs_widening
from engine.part import functions_in
from engine.problem.batch_norm import batch_norms, chosen, replace_batch_norm
from engine.problem.cost import Cost, measured_cost
from engine.problem.exempt import decaying
from engine.problem.losses import (
    CrossEntropy,
    SampleLoss,
    build_loss,
    check_loss,
    check_output,
    smoothed,
)
from engine.problem.samples import Samples, samples_of
from engine.seeds import DRAWING, derive
from engine.shapes import Beads, Weights
from engine.spec.checks import check_fit
from engine.spec.level import LevelOn
from engine.spec.optimizers import Exempt
from engine.spec.problem import BatchNorm as BatchNormSpec
from engine.spec.problem import CustomLoss, ProblemSpec, WeightedCrossEntropy

Split = Literal["train", "held_out"]

#: The seed of a network's buffers, which may be drawn like weights, but are the same everywhere.
BUFFERS_SEED = 0
#: The number of samples up to which the secondary metric is taken over all samples.
FEW_SECONDARY = 1000

TRAINING_LOSS = LevelOn()
HELD_OUT_LOSS = LevelOn(split="held_out")


@dataclass(frozen=True)
class Parameter:
    """The name and the shape of one parameter of a network, in torch's terms."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Problem:
    """A problem: data, network, loss and objective, on one device in one precision."""

    make_network: Callable[[], nn.Module]
    """Returns a network with fresh random weights from torch's global generator."""
    network: nn.Module
    """The network, for its structure and buffers. Weights are lent to it."""
    parameters: tuple[Parameter, ...]
    """The network's parameters in the order in which a weight vector holds them."""
    places: tuple[tuple[str, str], ...]
    """The places where the network holds parameters, each with the parameter's name. A tied
    parameter has several places."""
    sample_loss: SampleLoss
    """The loss of each sample, (sample,), as a function of (output, target). Where classes have
    weights, it is multiplied by the sample's weight."""
    train: Samples
    """The samples to train on."""
    held_out: Samples
    """The samples held out; there may be none."""
    classes: int | None
    """The number of classes that the network scores, or None where it scores no classes."""
    checksum: str
    """The SHA-256 of the training samples."""
    cost: Cost
    """The cost of computing one sample."""
    objective: LevelOn = TRAINING_LOSS
    """The metric and the split that are held against the level."""
    batch_norm: BatchNormSpec = field(default_factory=BatchNormSpec)
    """The keys that say how models with batch normalization are measured."""
    estimate: Samples | None = None
    """The training samples that give batch normalization its statistics, None without it."""
    dtype: torch.dtype = torch.float32
    """The precision in which models are computed."""
    widens: bool = False
    """Whether network or loss were written for float32, and need help to compute in float64."""
    recomputed: tuple[str, ...] = ()
    """The names of the network's modules whose inner values a gradient computes again."""
    drops: bool = False
    """Whether steps of training drop values at random where their block leaves that open."""

    @property
    def parameter_count(self) -> int:
        """The length of a weight vector."""
        return sum(prod(parameter.shape) for parameter in self.parameters)

    @property
    def device(self) -> torch.device:
        """The device that holds the samples and the network."""
        return self.train.x.device

    @property
    def secondary(self) -> LevelOn:
        """The secondary metric and split, which people see next to the objective.

        It is the held-out loss where the objective is the training loss, else the training loss.
        """
        return HELD_OUT_LOSS if self.objective == TRAINING_LOSS else TRAINING_LOSS

    @property
    def secondary_samples(self) -> int:
        """Number of samples over which the secondary metric is taken, the first ones of its split.

        They are all of the split, but at most FEW_SECONDARY or a fifth of the objective's number,
        whichever is larger.
        """
        some = max(FEW_SECONDARY, self.objective_samples // 5)
        return min(len(self.samples(self.secondary.split)), some)

    @property
    def steps_see_objective(self) -> bool:
        """Whether a step on all the data computes the objective on its way.

        It does not where the objective is another metric or split than the training loss, nor where
        steps normalize by batches.
        """
        return self.objective == TRAINING_LOSS and not self.normalizes

    @property
    def objective_samples(self) -> int:
        """Number of samples over which the objective is averaged."""
        return len(self.samples(self.objective.split))

    def cut(self, split: Split, size: int) -> Problem:
        """Returns the problem with only the first `size` samples of a split."""
        samples = self.samples(split)
        if size >= len(samples):
            return self
        first = samples[:size]
        train, held_out = (first, self.held_out) if split == "train" else (self.train, first)
        return replace(self, train=train, held_out=held_out)

    def with_objective(self, objective: LevelOn, samples: int) -> Problem:
        """Returns the problem with another objective, over the first `samples` of its split."""
        return replace(self.cut(objective.split, samples), objective=objective)

    def samples(self, split: Split) -> Samples:
        """Returns the samples of a split."""
        return self.train if split == "train" else self.held_out

    def to(self, device: torch.device | None = None, dtype: torch.dtype | None = None) -> Problem:
        """Returns the problem on another device or in another precision.

        Returns the object itself where nothing changes.
        """
        device, dtype = device or self.device, dtype or self.dtype
        if (device, dtype) == (self.device, self.dtype):
            return self
        return replace(
            self,
            network=_with_buffers(self.network, device, dtype),
            train=self.train.to(device),
            held_out=self.held_out.to(device),
            estimate=self.estimate and self.estimate.to(device),
            dtype=dtype,
        )

    def replica(self, device: torch.device) -> Problem:
        """Returns the problem on a device with a network of its own, for a thread of its own."""
        network = copy.deepcopy(self.network).to(device)
        return replace(self.to(device), network=network)

    def initial(self, seed: int) -> Weights:
        """Returns the random weights of a seed, (param,), in the network's own initialization.

        They are drawn on the CPU, so that every device starts from the same ones.
        """
        with DRAWING, torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(seed, "initial"))
            drawn = self.make_network()
        flat = torch.cat([parameter.detach().flatten() for parameter in drawn.parameters()])
        return flat.to(self.device, self.dtype)

    def named(self, theta: Beads) -> dict[str, Tensor]:
        """Returns the parameters by their places in the network, each with a leading bead axis."""
        sizes = [prod(parameter.shape) for parameter in self.parameters]
        parts = torch.split(theta, sizes, dim=1)
        named = {
            parameter.name: part.reshape(len(theta), *parameter.shape)
            for parameter, part in zip(self.parameters, parts, strict=True)
        }
        return {place: named[name] for place, name in self.places}

    def weights(self, y: Tensor) -> Tensor:
        """Returns the weight with which each sample counts in the training loss, (sample,).

        `y` are the samples' targets, (sample, …). Without weights of classes, each is 1.
        """
        if isinstance(self.sample_loss, CrossEntropy):
            return self.sample_loss.weight(y).to(self.dtype)
        return torch.ones(len(y), dtype=self.dtype, device=y.device)

    def step_loss(self, smoothing: float) -> SampleLoss:
        """Returns the loss of each sample as a step computes it, with labels that are smoothed."""
        return smoothed(self.sample_loss, smoothing)

    def decaying(self, exempt: tuple[Exempt, ...]) -> Weights | None:
        """Returns (param,) 1 for each weight that decays and 0 for the others; None: all decay."""
        if not exempt:
            return None
        if exempt not in self._decaying:
            self._decaying[exempt] = decaying(self.network, exempt).to(self.device, self.dtype)
        return self._decaying[exempt]

    @cached_property
    def _decaying(self) -> dict[tuple[Exempt, ...], Weights]:
        """The answers of `decaying` so far."""
        return {}

    @cached_property
    def normalizes(self) -> bool:
        """Whether the network has batch normalization."""
        return self.estimate is not None

    @cached_property
    def draws_within(self) -> bool:
        """Whether layers of the network, such as attention, draw out of our reach in training."""
        x, _ = self.train.part(slice(0, 2), torch.float32)
        return draws_within(copy.deepcopy(self.network).to(self.device, torch.float32), x)

    @property
    def normalized_by(self) -> str:
        """The statistics by which models are normalized, in words; empty without such layers."""
        return self.batch_norm.words(len(self.train)) if self.normalizes else ""


def _with_buffers(network: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """Returns the network with its buffers on a device in a precision, itself if it has none."""
    if not list(network.buffers()):
        return network
    return copy.deepcopy(network).to(device, dtype)


def build_problem(
    spec: ProblemSpec, data: Dataset | None = None, objective: LevelOn = TRAINING_LOSS
) -> Problem:
    """Returns the problem of a spec on the CPU in float32.

    Raises InputError where network, data and loss do not fit each other.
    """
    data = data if data is not None else load_data(spec.data)
    check_fit(spec, data)
    make_network = partial(build_network, spec.network)
    with DRAWING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(BUFFERS_SEED)
        network = replace_batch_norm(make_network()).requires_grad_(False).eval()
        train = samples_of(data, spec.loss, held_out=False)
        x, y = train.part(slice(0, 2), torch.float32)
        spec.network.check_runs(network, x)
    loss = build_loss(spec.loss)
    if batch_norms(network) and len(train) < 2:
        raise InputError(
            "holds one training sample, and batch normalization needs two or more; add some",
            key="problem.data",
        )
    classes = _checked_output(spec, data, network, loss, x, y)
    own = isinstance(spec.loss, CustomLoss) or any(functions_in(spec.network))
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
        objective=objective,
        batch_norm=spec.batch_norm,
        estimate=train[chosen(len(train), spec.batch_norm)] if batch_norms(network) else None,
        recomputed=spec.network.recomputed,
        drops=spec.network.drops,
        widens=own and needs_widening(network, loss, *train.part(slice(0, 2), torch.float64)),
    )


def _checked_output(
    spec: ProblemSpec, data: Dataset, network: nn.Module, loss: SampleLoss, x: Tensor, y: Tensor
) -> int | None:
    """Returns the number of classes that the network scores, or None.

    x and y are the first samples. Raises InputError where the loss does not take the network's
    output.
    """
    with torch.no_grad():
        output = network(x)
    if isinstance(spec.loss, CustomLoss):
        check_loss(loss, spec.loss, output, y)
        scores = output.ndim > 1 and output.shape[1] >= (data.classes or 0)
        return data.classes if scores and output.shape[2:] == y.shape[1:] else None
    key = "problem.network.factory" if any(functions_in(spec.network)) else "problem.data"
    name = "cross_entropy" if isinstance(spec.loss, WeightedCrossEntropy) else spec.loss
    check_output(name, output, y, data.classes, key)
    return data.classes


def parameters_of(network: nn.Module) -> tuple[Parameter, ...]:
    """Returns a network's parameters in order. A tied one comes once, by its first name."""
    return tuple(Parameter(name, tuple(p.shape)) for name, p in network.named_parameters())


def places_of(network: nn.Module) -> tuple[tuple[str, str], ...]:
    """Returns, for each place that holds a parameter, its name there and its first name."""
    first: dict[int, str] = {id(p): name for name, p in network.named_parameters()}
    return tuple((place, first[id(parameter)]) for place, parameter in lent.held(network))
