"""The plain loops with which the engine is compared: one nn.Module after another.

Samples are decoded beforehand, and torch computes in one thread.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle, islice
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, vector_to_parameters

from engine.bench.measures import Action
from engine.networks.modules.custom import cast
from engine.path.segments import Pair
from engine.problem.copies import named_parameters, take_over
from engine.problem.exempt import which_decay
from engine.problem.problem import Problem
from engine.shapes import Weights
from engine.spec.optimizers import Adam, AdamW, Optimizer, RmsProp, Sgd
from engine.spec.problem import CustomLoss, WeightedCrossEntropy
from engine.spec.problem import Loss as LossSpec
from engine.spec.training import Clip, Training
from engine.steps.recipe import Recipe

Loss = Callable[[Tensor, Tensor], Tensor]

#: The number of values of decoded samples from which mini-batches are drawn.
DECODED = 2**22
#: The number of values that a forward pass over many samples keeps at a time.
AT_ONCE = 2**23


class PlainTraining:
    """A plain loop of steps: forward, loss.backward(), clipping, optimizer.step().

    The learning rate stays as it is, since a schedule changes no step's cost. Labels are not
    smoothed, and images are not augmented.
    """

    def __init__(self, problem: Problem, training: Training, loss: LossSpec, seed: int = 0) -> None:
        """Makes the model from the random weights of a seed, and decodes the samples."""
        self.training = training
        self.module = module_with(problem, problem.initial(seed)).train()
        """The model of the last call."""
        self._fresh = copy.deepcopy(self.module)
        self._loss = mean_loss(problem, loss)
        self._size = Recipe(training).samples(len(problem.train))
        self._x, self._y = _to_train_on(problem, training)
        self._order = torch.randperm(len(self._x)).to(problem.device)

    def __call__(self, count: int) -> Action:
        """Returns an action of `count` steps of a fresh model.

        The model has taken one step already, which makes the optimizer's state.
        """
        torch.set_num_threads(1)
        self.module = copy.deepcopy(self._fresh)
        optimizer = optimizer_for(self.training.optimizer, self.module)

        def step(number: int) -> Tensor:
            inputs, targets = self._batch(number)
            optimizer.zero_grad()
            loss = self._loss(self.module(inputs), targets)
            loss.backward()  # type: ignore[no-untyped-call]
            clip_gradient(self.training.clip, self.module)
            optimizer.step()
            return loss

        def steps() -> int:
            for number in range(1, count + 1):
                loss = step(number)
            loss.item()  # waits for the device
            return count

        step(0)
        return steps

    def _batch(self, number: int) -> tuple[Tensor, Tensor]:
        """Returns x and y of a step: all samples, or the next ones in a shuffled order."""
        spare = len(self._x) - self._size
        if not spare:
            return self._x, self._y
        at = number * self._size % (spare + 1)
        some = self._order[at : at + self._size]
        return self._x[some], self._y[some]


class PlainProfiles:
    """A plain loop over points of segments, which measures the objective of one model each.

    Batch normalization takes the statistics of each piece of the samples, which costs less than
    statistics of the model's own.
    """

    def __init__(
        self,
        problem: Problem,
        loss: LossSpec,
        pairs: Sequence[Pair],
        t: NDArray[np.float64],
    ) -> None:
        """Decodes the samples. The points are at the places `t` (point,) of the segments."""
        self.values: list[float] = []
        """The values of the last call."""
        self._pairs, self._t, self._metric = pairs, t, problem.objective.metric
        self._module = module_with(problem, pairs[0][0]).train()
        self._moving = moving_in(self._module, problem)
        by_loss = mean_loss(problem, loss)
        self._value = _error_rate if self._metric == "error_rate" else by_loss
        size = max(1, AT_ONCE // problem.cost.values)
        samples = problem.samples(problem.objective.split)
        self._pieces = list(samples.pieces(size, problem.dtype))
        counts = self._metric == "error_rate"
        self._weights = [
            float(len(y) if counts else problem.weights(y).sum()) for _, y in self._pieces
        ]

    def __call__(self, count: int) -> Action:
        """Returns an action of `count` points, which passes along the segments again and again."""
        torch.set_num_threads(1)

        def points() -> int:
            with torch.no_grad():
                self.values = [self._at(theta) for theta in islice(self._models(), count)]
            return count

        return points

    def _models(self) -> Iterator[Weights]:
        """Yields the weights of each point, without end."""
        for left, right in cycle(self._pairs):
            for at in self._t.tolist():
                yield torch.lerp(left, right, at)

    def _at(self, theta: Weights) -> float:
        """Returns the objective of one model."""
        vector_to_parameters(theta, self._moving)
        parts = [
            self._value(self._module(x), y) * weight
            for (x, y), weight in zip(self._pieces, self._weights, strict=True)
        ]
        mean = torch.stack(parts).sum().item() / sum(self._weights)
        return math.exp(mean) if self._metric == "perplexity" else mean


def module_with(problem: Problem, theta: Weights) -> nn.Module:
    """Returns a plain module of the problem's network with these weights (param,)."""
    module = cast(problem.make_network(), problem.dtype).to(problem.device)
    take_over(module, problem.fixed)
    vector_to_parameters(theta.clone(), moving_in(module, problem))
    return problem.handing.hook(module)


def moving_in(module: nn.Module, problem: Problem) -> list[nn.Parameter]:
    """Returns the parameters of a module that a weight vector of the problem holds, in order."""
    named = dict(named_parameters(module))
    return [named[parameter.name] for parameter in problem.parameters]


def mean_loss(problem: Problem, loss: LossSpec) -> Loss:
    """Returns F_e as a function of (output, target), by torch's own losses where there is one."""

    def squared(output: Tensor, target: Tensor) -> Tensor:
        return functional.mse_loss(output, target, reduction="sum") / len(output)

    def absolute(output: Tensor, target: Tensor) -> Tensor:
        return functional.l1_loss(output, target, reduction="sum") / len(output)

    def own(output: Tensor, target: Tensor) -> Tensor:
        return problem.sample_loss(output, target).mean()

    match loss:
        case "mse":
            return squared
        case "l1":
            return absolute
        case "cross_entropy":
            return functional.cross_entropy
        case WeightedCrossEntropy(class_weights=weights):
            each = torch.tensor(weights, dtype=problem.dtype, device=problem.device)
            return partial(functional.cross_entropy, weight=each)
        case CustomLoss():
            return own


def optimizer_for(spec: Optimizer, module: nn.Module) -> torch.optim.Optimizer:
    """Returns torch's own optimizer with these keys for a module."""
    by_decay: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    which = which_decay(module, spec.decay_exempt)
    for parameter, decays in zip(module.parameters(), which.values(), strict=True):
        by_decay[decays].append(parameter)
    groups = [
        {"params": parameters, "weight_decay": spec.weight_decay * decays}
        for decays, parameters in by_decay.items()
        if parameters
    ]
    return torch_optimizer(spec, groups)


def torch_optimizer(spec: Optimizer, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Returns torch's own optimizer with these keys for groups of tensors.

    Each group holds its tensors, `params`, and its own `weight_decay`.
    """
    match spec:
        case Sgd():
            return torch.optim.SGD(
                groups, lr=spec.lr, momentum=spec.momentum, nesterov=spec.nesterov
            )
        case RmsProp():
            return torch.optim.RMSprop(
                groups, lr=spec.lr, alpha=spec.smoothing, eps=spec.eps, momentum=spec.momentum
            )
        case Adam():
            return torch.optim.Adam(groups, lr=spec.lr, betas=spec.betas, eps=spec.eps)
        case AdamW():
            return torch.optim.AdamW(groups, lr=spec.lr, betas=spec.betas, eps=spec.eps)


def clip_gradient(clip: Clip, module: nn.Module) -> None:
    """Brings the gradients of a module within the bounds, by torch's own functions."""
    if clip.value is not None:
        clip_grad_value_(module.parameters(), clip.value)
    if clip.norm is not None:
        clip_grad_norm_(module.parameters(), clip.norm)


def _to_train_on(problem: Problem, training: Training) -> tuple[Tensor, Tensor]:
    """Returns x and y of all samples, or for mini-batches of as many as take little memory."""
    train = problem.train
    if training.batch_size == "full":
        return train.part(slice(None), problem.dtype)
    few = max(training.batch_size, DECODED // max(1, prod(train.shape)))
    return train.part(slice(0, few), problem.dtype)


def _error_rate(output: Tensor, target: Tensor) -> Tensor:
    """Returns the share of samples, or tokens, whose largest output is not their class."""
    labels = target.argmax(1) if target.is_floating_point() else target
    return 1 - (output.argmax(1) == labels).float().mean()
