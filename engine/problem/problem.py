"""A problem: data, a network, a loss and the objective.

A weight vector is the concatenation of a module's parameters, each flattened row-major, in
the module's order. A problem is frozen data; a backend (`engine.backends`) computes with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import accumulate
from math import prod
from typing import Literal

import torch
from torch import Tensor, nn

from engine.data import Dataset, load_data
from engine.errors import InputError, listed
from engine.networks import build_network
from engine.networks.modules.calls import Handing
from engine.networks.modules.dropout import draws_within
from engine.problem import copies
from engine.problem.batch_norm import batch_norms, chosen
from engine.problem.carried import Carried
from engine.problem.copies import FIXED_SEED, MakeNetwork, Parameter
from engine.problem.cost import Cost
from engine.problem.exempt import decaying
from engine.problem.losses import CrossEntropy, SampleLoss, build_loss, smoothed
from engine.problem.samples import Samples, samples_of
from engine.problem.trial import Trial
from engine.seeds import derive
from engine.shapes import Beads, Weights
from engine.spec.checks import check_fit
from engine.spec.level import LevelOn
from engine.spec.optimizers import Exempt
from engine.spec.problem import BatchNorm as BatchNormSpec
from engine.spec.problem import ProblemSpec
from engine.spec.training import AlignedBy

Split = Literal["train", "held_out"]

#: The number of samples up to which the secondary metric is taken over all samples.
FEW_SECONDARY = 1000

TRAINING_LOSS = LevelOn()
HELD_OUT_LOSS = LevelOn(split="held_out")


@dataclass(frozen=True)
class Problem:
    """A problem: data, network, loss and objective, on one device in one precision."""

    make_network: MakeNetwork
    """Returns a network with fresh random weights from torch's global generator."""
    network: nn.Module
    """The network on the CPU in float32, for its structure and for what does not move. Copies of it
    compute (`computing`)."""
    parameters: tuple[Parameter, ...]
    """The parameters that move, in the order in which a weight vector holds them."""
    places: tuple[tuple[str, str], ...]
    """The places where the network holds these parameters, each with the parameter's name. A tied
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
    handing: Handing = field(default_factory=Handing)
    """The manner in which the network is called."""
    output: str = ""
    """The part of the network's output that the loss sees, in words; empty where it sees all."""
    batch_norm: BatchNormSpec = field(default_factory=BatchNormSpec)
    """The keys that say how models with batch normalization are measured."""
    estimate: Samples | None = None
    """The training samples that give batch normalization its statistics, None without it."""
    dtype: torch.dtype = torch.float32
    """The precision in which models are computed."""
    carried: Carried | None = None
    """The buffers that differ between the ends, None without any."""
    widens: bool = False
    """Whether network or loss were written for float32, and need help to compute in float64."""
    recomputed: tuple[str, ...] = ()
    """The names of the network's modules whose inner values a gradient computes again."""
    drops: bool = False
    """Whether steps of training drop values at random where their block leaves that open."""
    relabelled: AlignedBy | None = None
    """What the second end's hidden units were matched by, to be put into the first one's order;
    None where both ends are as they were trained."""

    @property
    def parameter_count(self) -> int:
        """The length of a weight vector."""
        return sum(prod(parameter.shape) for parameter in self.parameters)

    @property
    def device(self) -> torch.device:
        """The device that holds the samples and the network."""
        return self.train.device

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

    @property
    def sample_bytes(self) -> int:
        """Bytes of all samples in the form in which networks take them, in float32."""
        return 4 * (self.train.values + self.held_out.values)

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

    def with_statistics_of(self, samples: int) -> Problem:
        """Returns the problem with batch normalization by the first `samples` of its estimate."""
        if self.estimate is None or samples >= len(self.estimate):
            return self
        return replace(self, estimate=self.estimate[: max(2, samples)])

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
            train=self.train.to(device),
            held_out=self.held_out.to(device),
            estimate=self.estimate and self.estimate.to(device),
            dtype=dtype,
        )

    def computing(self) -> nn.Module:
        """Returns a copy of the network to compute with, on the device in the precision."""
        return copies.copied(self.make_network, self.handing, self.network, self.device, self.dtype)

    def initial(self, seed: int) -> Weights:
        """Returns the random weights of a seed, (param,), in the network's own initialization.

        They are drawn on the CPU, so that every device starts from the same ones.
        """
        return self.weights_of(copies.drawn(self.make_network, derive(seed, "initial")))

    def weights_of(self, network: nn.Module) -> Weights:
        """Returns the weight vector (param,) of a network from the same function."""
        named = dict(copies.named_parameters(network))
        flat = torch.cat([named[each.name].detach().flatten() for each in self.parameters])
        return flat.to(self.device, self.dtype)

    @property
    def moves_all(self) -> bool:
        """Whether the path moves all parameters of the network."""
        return len(self.parameters) == len(dict(copies.named_parameters(self.network)))

    @cached_property
    def fixed(self) -> dict[str, Tensor]:
        """The parameters and buffers that do not move, by name, as `copies.fixed` has them."""
        state = copies.fixed(self.network, self.parameters)
        moved = {} if self.carried is None else self.carried.buffers
        return {name: each for name, each in state.items() if name not in moved}

    def with_fixed(self, values: Mapping[str, Tensor]) -> Problem:
        """Returns the problem with other values for some of what does not move."""
        if not values:
            return self
        network = copies.copied(
            self.make_network, self.handing, self.network, torch.device("cpu"), torch.float32
        )
        copies.take_over(network, values)
        return replace(self, network=network)

    def with_carried(self, first: Weights, last: Weights, buffers: Mapping[str, Tensor]) -> Problem:
        """Returns the problem with buffers (2, …) that differ between two ends, by name."""
        if not buffers:
            return self
        return replace(self, carried=Carried(first, last, buffers))

    @property
    def weights_alone(self) -> list[slice] | None:
        """The parts of a weight vector that hold no biases; None where there are no biases.

        Biases are the parameters with "bias" in their own name.
        """
        ends = list(accumulate(prod(each.shape) for each in self.parameters))
        parts = zip(self.parameters, map(slice, [0, *ends], ends), strict=True)
        found = [part for each, part in parts if "bias" not in each.name.rpartition(".")[2]]
        return None if len(found) == len(self.parameters) else found

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
            names = [parameter.name for parameter in self.parameters]
            found = decaying(self.network, exempt, names)
            self._decaying[exempt] = found.to(self.device, self.dtype)
        return self._decaying[exempt]

    @cached_property
    def _decaying(self) -> dict[tuple[Exempt, ...], Weights]:
        """The answers of `decaying` so far."""
        return {}

    @cached_property
    def normalizes(self) -> bool:
        """Whether the network has batch normalization."""
        return self.estimate is not None

    def passed(self, samples: int) -> int:
        """Returns how many samples pass through a network that is measured on `samples` of them.

        Those of which its batch normalization takes its statistics come on top.
        """
        apart = self.estimate is not None and self.batch_norm.statistics == "reestimated"
        return samples + (len(self.estimate) if self.estimate is not None and apart else 0)

    @cached_property
    def draws_within(self) -> bool:
        """Whether layers of the network, such as attention, draw out of our reach in training."""
        x, _ = self.train.part(slice(0, 2), torch.float32)
        return draws_within(self.to(dtype=torch.float32).computing(), x)

    @property
    def normalized_by(self) -> str:
        """The statistics by which models are normalized, in words; empty without such layers."""
        return self.batch_norm.words(len(self.train)) if self.normalizes else ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be said of the models besides, in clauses.

        That is which part of the network's output is compared, how many weights move, which buffers
        are mixed of those of the ends, and whether an end was relabelled.
        """
        found = [f"comparing {self.output} of what the network returns"] if self.output else []
        if not self.moves_all:
            weights = (each for _, each in copies.named_parameters(self.network))
            found.append(
                f"moving {self.parameter_count} of {sum(w.numel() for w in weights)} weights"
            )
        if self.carried is not None:
            found.append(f"mixing the ends' {listed(self.carried.buffers)}")
        if self.relabelled is not None:
            found.append(f"endpoint 2 relabelled by {self.relabelled}")
        return tuple(found)


def build_problem(
    spec: ProblemSpec,
    data: Dataset | None = None,
    objective: LevelOn = TRAINING_LOSS,
    path_parameters: Sequence[str] | None = None,
) -> Problem:
    """Returns the problem of a spec on the CPU in float32.

    `path_parameters` are patterns of the names of the parameters that move, as in a preset. Raises
    InputError where network, data and loss do not fit each other.
    """
    data = data if data is not None else load_data(spec.data)
    check_fit(spec, data)
    make_network = partial(build_network, spec.network)
    network = copies.drawn(make_network, FIXED_SEED)
    parameters = copies.moving(network, path_parameters)
    train = samples_of(data, spec.loss, held_out=False)
    normalizes = bool(batch_norms(copies.computing(network, Handing())))
    if normalizes and len(train) < 2:
        raise InputError(
            "holds one training sample, and batch normalization needs two or more; add some",
            key="problem.data",
        )
    loss = build_loss(spec.loss, ignores=data.ignores)
    trial = Trial(spec, make_network, network, loss, train, data.classes)
    handing = trial.handing()
    tried = trial.take(handing, [parameter.name for parameter in parameters])
    train = train.shaped(tried.target)
    return Problem(
        make_network=make_network,
        network=network,
        parameters=parameters,
        places=copies.places_of(network, parameters),
        sample_loss=loss,
        train=train,
        held_out=samples_of(data, spec.loss, held_out=True).shaped(tried.target),
        classes=tried.classes,
        checksum=data.checksum(),
        cost=tried.cost,
        objective=objective,
        handing=handing,
        output=tried.output,
        batch_norm=spec.batch_norm,
        estimate=train[chosen(len(train), spec.batch_norm)] if normalizes else None,
        recomputed=spec.network.recomputed,
        drops=spec.network.drops,
        widens=tried.widens,
    )
