"""A problem: data, a network and a loss, and what of them is held against the level.

A weight vector is the concatenation of a module's parameters, each flattened row-major, in
the module's order. A problem is frozen data; a backend (`engine.backends`) computes with it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import prod
from threading import Lock
from typing import Literal

import torch
from torch import Tensor, nn

from engine.data import Dataset, load_data
from engine.errors import InputError
from engine.networks import build_network
from engine.networks.custom import CustomNetwork
from engine.networks.modules import lent
from engine.networks.modules.custom import check_runs
from engine.problem.batch_norm import batch_norms, chosen, replace_batch_norm
from engine.problem.cost import Cost, measured_cost
from engine.problem.losses import SampleLoss, build_loss, check_loss, check_output
from engine.problem.samples import Samples, samples_of
from engine.seeds import derive
from engine.shapes import Beads, Weights
from engine.spec.checks import check_fit
from engine.spec.level import LevelOn
from engine.spec.problem import BatchNorm as BatchNormSpec
from engine.spec.problem import CustomLoss, ProblemSpec

Split = Literal["train", "held_out"]

#: Held while weights are drawn: torch's generator belongs to all threads.
DRAWING = Lock()
#: Buffers may be drawn as well as weights, and are the same in every session.
BUFFERS_SEED = 0
#: Samples that what is shown beside the judged may always be taken over.
FEW_SECONDARY = 1000

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
    objective: LevelOn = TRAINING_LOSS
    """What is held against the level."""
    batch_norm: BatchNormSpec = field(default_factory=BatchNormSpec)
    estimate: Samples | None = None
    """Training samples that batch-norm statistics are taken from; None in networks without."""
    dtype: torch.dtype = torch.float32

    @property
    def parameter_count(self) -> int:
        return sum(prod(parameter.shape) for parameter in self.parameters)

    @property
    def device(self) -> torch.device:
        return self.train.x.device

    @property
    def secondary(self) -> LevelOn:
        """What people see next to what is judged: the other split, or the loss trained on."""
        return HELD_OUT_LOSS if self.objective == TRAINING_LOSS else TRAINING_LOSS

    @property
    def secondary_samples(self) -> int:
        """Over how many that is taken: all where they are few beside those that are judged."""
        some = max(FEW_SECONDARY, self.objective_samples // 5)
        return min(len(self.samples(self.secondary.split)), some)

    @property
    def steps_see_objective(self) -> bool:
        """Whether a step on all the data sees what is judged: it does not where it is another
        metric or split, nor where a step normalizes by batches."""
        return self.objective == TRAINING_LOSS and not self.normalizes

    @property
    def objective_samples(self) -> int:
        """How many samples what is judged is taken over."""
        return len(self.samples(self.objective.split))

    def cut(self, split: Split, size: int) -> Problem:
        """Returns the problem with the first so many samples of a split; itself if that is all."""
        samples = self.samples(split)
        if size >= len(samples):
            return self
        first = samples[:size]
        train, held_out = (first, self.held_out) if split == "train" else (self.train, first)
        return replace(self, train=train, held_out=held_out)

    def with_objective(self, objective: LevelOn, samples: int) -> Problem:
        """Returns the problem with another metric or split held against the level.

        It is taken over the first `samples` of its split.
        """
        return replace(self.cut(objective.split, samples), objective=objective)

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
            estimate=self.estimate and self.estimate.to(device),
            dtype=dtype,
        )

    def replica(self, device: torch.device) -> Problem:
        """Returns the problem on a device with a network of its own, for a thread of its own."""
        network = copy.deepcopy(self.network).to(device)
        return replace(self.to(device), network=network)

    def initial(self, seed: int) -> Weights:
        """Random weights, drawn on the CPU so that every device starts from the same ones."""
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

    @cached_property
    def normalizes(self) -> bool:
        """Whether the network has batch normalization."""
        return self.estimate is not None

    @property
    def normalized_by(self) -> str:
        """Says by which statistics models are normalized; empty where the network does not."""
        return self.batch_norm.words(len(self.train)) if self.normalizes else ""


def _with_buffers(network: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """The network with its buffers there and so; itself where it has none."""
    if not list(network.buffers()):
        return network
    return copy.deepcopy(network).to(device, dtype)


def build_problem(
    spec: ProblemSpec, data: Dataset | None = None, objective: LevelOn = TRAINING_LOSS
) -> Problem:
    """The problem of a spec on the CPU in float32. Raises InputError where its parts don't fit."""
    data = data if data is not None else load_data(spec.data)
    check_fit(spec, data)
    make_network = partial(build_network, spec.network)
    with DRAWING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(BUFFERS_SEED)
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
        objective=objective,
        batch_norm=spec.batch_norm,
        estimate=train[chosen(len(train), spec.batch_norm)] if batch_norms(network) else None,
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
