"""Measures models of a path in plain torch, as a user of the path does.

A user takes a fresh module from the factory, copies the weights into its parameters
(`vector_to_parameters`), calls `eval()`, and passes whole batches of the data that the factory
returns forward, in the widest type that module and data have.

Statistics of batch normalization are those that torch's own layers find with `momentum=None`, all
else in eval mode, in one pass over the samples that the spec names. String files hold none, so this
is how a user finds them too (docs/your-own-model.md).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from itertools import pairwise
from math import exp
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_leaves, tree_map

from engine.data import fields, load_data
from engine.data.base import Content
from engine.data.custom import CustomData
from engine.data.returned import Stream, changed_item, returned
from engine.errors import InputError
from engine.factories import call_factory
from engine.networks import build_network
from engine.networks.custom import CustomNetwork
from engine.networks.modules.calls import Inputs, arguments, picked
from engine.networks.modules.custom import cast, unwrapped
from engine.problem.batch_norm import chosen
from engine.problem.copies import drawn, take_over
from engine.problem.losses import CrossEntropy, SampleLoss, build_loss, counted
from engine.problem.problem import Problem, Split
from engine.problem.samples import tensor_of
from engine.shapes import Weights
from engine.spec.level import LevelOn
from engine.spec.problem import CustomLoss, ProblemSpec

#: Bytes that the outputs of a network's layers may come to in one batch.
BATCH_BYTES = 2**24
#: The seed of fresh modules. It differs from `FIXED_SEED`, so that a module that draws what is not
#: part of its state is found out.
FRESH_SEED = 1

Parts = tuple[Inputs, Tensor]
"""x and y of one split."""


class PlainTorchError(Exception):
    """Raised where plain torch cannot run a user's own code; says why in one line."""


class PlainTorch:
    """Measures models of a problem in plain torch, without the engine's code.

    All methods raise PlainTorchError where the user's own code fails.
    """

    def __init__(self, spec: ProblemSpec, problem: Problem, *, own_data: bool = True) -> None:
        """Calls the user's functions for a problem.

        With `own_data`, samples come from the user's function if there is one. Otherwise they are
        the engine's, such as those that a string file carries.
        """
        self._spec, self._problem = spec, problem
        with users_code():
            self._loss = build_loss(spec.loss, ignores=_ignores(problem))
            self._returned: dict[Split, Parts] = {}
            if own_data and isinstance(spec.data, CustomData):
                self._returned = _returned(spec.data)
        self._dtype = self._common_dtype()

    def value(self, theta: Weights, measure: LevelOn) -> float:
        """Returns a metric of one model, (param,), over a split.

        The split comes in as few batches as fit into memory, or in those of `problem.batch_norm`.
        """
        each = _misses if measure.metric == "error_rate" else self._loss
        batches = self._batches(self.samples(measure.split))
        values = self._each(each, theta, measure.split, batches)
        y = self._problem.samples(measure.split).y
        if measure.metric == "error_rate":
            weights = counted(y)
        elif isinstance(self._loss, CrossEntropy):
            weights = self._loss.weight(y)
        else:
            weights = torch.ones_like(values)
        mean = (values.sum() / weights.sum()).item()
        return exp(mean) if measure.metric == "perplexity" else mean

    def samples(self, split: Split) -> int:
        """Returns the number of samples of a split."""
        return len(self._problem.samples(split))

    def losses(self, theta: Weights, batches: Sequence[slice]) -> Tensor:
        """Returns the training loss of each sample, (sample,), where they come in these batches."""
        return self._each(self._loss, theta, "train", batches)

    def rounding(self, theta: Weights, measure: LevelOn) -> float:
        """Returns by how much `value` changes in double precision; 0 where it cannot."""
        return abs(self.value(theta, measure) - self.precise().value(theta, measure))

    def precise(self) -> PlainTorch:
        """Returns a twin in double precision, or itself where the module does not run in that."""
        twin = copy.copy(self)
        twin._dtype = torch.float64
        return twin if self._runs_in(torch.float64) else self

    def _each(
        self, each: SampleLoss, theta: Weights, split: Split, batches: Sequence[slice]
    ) -> Tensor:
        """Returns what a function of (output, y) gives for each sample, (sample,) float64."""
        with users_code(), torch.no_grad():
            model = self._model(theta)
            # Results that lie between large tensors would keep their memory from being given back.
            found = torch.empty(batches[-1].stop, dtype=torch.float64, device=theta.device)
            for batch in batches:
                x, y = self._part(split, batch, self._dtype)
                found[batch] = each(self._output(model, x), y)
                del x, y
            return found

    def _output(self, model: nn.Module, x: Inputs) -> Any:
        """Returns what the loss sees of a model's output; a loss of the user's own sees all."""
        args, kwargs = arguments(x)
        output = model(*args, **kwargs)
        return output if isinstance(self._spec.loss, CustomLoss) else picked(output)[0]

    def _model(self, theta: Weights) -> nn.Module:
        """Returns a fresh module in eval mode, with these weights and statistics of its own."""
        model = cast(fresh_module(self._spec, FRESH_SEED), self._dtype)
        model.to(self._problem.device)
        named = self._problem.named(theta[None])
        if self._problem.carried is not None:
            named |= self._problem.carried.at(theta[None])
        take_over(model, self._problem.fixed | {place: each[0] for place, each in named.items()})
        model.eval()
        norms = [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        if norms and not self._by_batch:
            which = chosen(len(self._problem.train), self._problem.batch_norm)
            x, _ = self._part("train", which, self._dtype)
            self._output(model, x)
            for norm in norms:
                norm.eval()
        return model

    @property
    def _by_batch(self) -> bool:
        """Whether each batch is normalized by its own statistics."""
        return self._problem.normalizes and self._problem.batch_norm.statistics == "batch"

    @property
    def fits(self) -> int:
        """The number of samples whose layers' outputs fit into memory, two or more."""
        return max(2, BATCH_BYTES // (self._problem.cost.values * self._dtype.itemsize))

    def _batches(self, samples: int) -> list[slice]:
        """Returns the batches of `samples` samples. A single last one joins the batch before it."""
        fits = self.fits
        size = self._problem.batch_norm.samples if self._by_batch else fits
        starts = [start for start in range(0, samples, size) if start == 0 or samples - start > 1]
        return [slice(*ends) for ends in pairwise([*starts, samples])]

    def _common_dtype(self) -> torch.dtype:
        """Returns the widest type among those of the module and of the data.

        It is the module's own where the module does not run in a wider one.
        """
        weights = list(fresh_module(self._spec, FRESH_SEED).parameters())
        returned = tree_leaves(list(self._returned.values()))
        wide = _widest([*weights, *returned])
        return wide if self._runs_in(wide) else _widest(weights)

    def _runs_in(self, dtype: torch.dtype) -> bool:
        """Returns whether a fresh module of that type takes two samples of that type."""
        module = cast(fresh_module(self._spec, FRESH_SEED), dtype).eval()
        x, _ = self._part("train", slice(0, 2), dtype)
        try:
            with torch.no_grad():
                self._output(module.to(self._problem.device), x)
        except Exception:  # it is not our code
            return False
        return True

    def _part(self, split: Split, which: slice | Tensor, dtype: torch.dtype) -> Parts:
        """Returns some samples as the user's network and loss see them.

        Whole numbers are int64 and pixels, which are bytes, a share of 255; a single feature has an
        axis. A loss of the user's own sees y as it was returned, ours sees it as in the engine.
        """
        if self._returned:
            x, y = tree_map(lambda part: part[which], self._returned[split])
            holds = self._problem.train.holds
            x = tree_map(_several, x) if isinstance(x, dict) else _input(x, holds)
            y = self._targets(y)
        else:
            x, y = self._problem.samples(split).part(which, torch.float32)
        device = self._problem.device

        def seen(part: Tensor) -> Tensor:  # a copy, which a module in place may overwrite
            part = part.to(dtype) if part.is_floating_point() else part
            return part.to(device).clone()

        return tree_map(seen, (x, y))  # type: ignore[no-any-return]

    def _targets(self, y: Tensor) -> Tensor:
        """Returns y as it was returned for a loss of the user's own, else as in the engine."""
        ours = self._problem.train
        if ours.y.is_floating_point() and not y.is_floating_point():
            y = y.float()  # whole numbers that are values
        if isinstance(self._spec.loss, CustomLoss):
            return y if y.is_floating_point() or y.dtype == torch.bool else y.long()
        y = y.reshape(len(y), *ours.y.shape[1:])
        if y.is_floating_point():
            return y
        return y.long() if ours.one_hot is None else functional.one_hot(y.long(), ours.one_hot)


def fresh_module(spec: ProblemSpec, seed: int) -> nn.Module:
    """Returns a module from the network's factory, drawn by a seed.

    Raises InputError where the factory fails.
    """

    def make() -> nn.Module:
        if isinstance(spec.network, CustomNetwork):
            factory, args = spec.network.factory, spec.network.args
            return unwrapped(call_factory(factory, args, "problem.network"))  # type: ignore[no-any-return]
        return build_network(spec.network)

    return drawn(make, seed)


@contextmanager
def users_code() -> Iterator[None]:
    """Turns what a user's own code raises into PlainTorchError, in one line."""
    try:
        yield
    except InputError as error:
        raise PlainTorchError(str(error)) from error
    except Exception as error:  # it is not our code
        raise PlainTorchError(plainly(error)) from error


def plainly(error: Exception) -> str:
    """Returns an error's type and message in one short line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _misses(output: Tensor, y: Tensor) -> Tensor:
    """Returns the share of wrong classes of each sample, (sample,), or of its tokens."""
    labels = y.argmax(1) if y.is_floating_point() else y
    wrong = (picked(output)[0].argmax(1) != labels) & (labels >= 0)
    return wrong.double().reshape(len(y), -1).mean(1)


def _ignores(problem: Problem) -> bool:
    """Returns whether some samples or tokens have no class."""
    splits = (problem.train.y, problem.held_out.y)
    return problem.classes is not None and any(bool((y < 0).any()) for y in splits)


# ---------------------------------------------------------------- data


def _returned(data: CustomData) -> dict[Split, Parts]:
    """Returns x and y of both splits as the factory returns them now.

    Items of Datasets are not read again but for a few, and the result is then empty. Raises
    PlainTorchError where one of those is not what the engine has read.
    """
    found = returned(data.factory, data.args)
    streams = [part for part in found if isinstance(part, Stream)]
    if streams:
        kept = load_data(data)
        splits = ((kept.x, kept.y), (kept.x_held_out, kept.y_held_out))
        for stream, split in zip(streams, splits, strict=False):
            number = changed_item(stream, *split)
            if number is not None:
                raise PlainTorchError(
                    f"item {number} of the Dataset that {data.factory} returns is not what it was "
                    "when it was read"
                )
        return {}
    x, y, *held_out = [_tensors(part) for part in found if not isinstance(part, Stream)]
    nothing = tree_map(lambda part: part[:0], (x, y))
    return {"train": (x, y), "held_out": (held_out[0], held_out[1]) if held_out else nothing}


def _tensors(part: NDArray[Any]) -> Inputs:
    """Returns an array as a tensor, or several inputs by name."""
    if part.dtype.names is None:
        return tensor_of(part)
    return {name: tensor_of(each) for name, each in fields.parts(part).items()}


def _several(x: Tensor) -> Tensor:
    """Returns one of several inputs as a network sees it: whole numbers are int64, masks stay."""
    if x.dtype == torch.uint8:
        return x.float() / 255
    return x if x.dtype == torch.bool or x.is_floating_point() else x.long()


def _input(x: Tensor, hold: Content | None) -> Tensor:
    """Returns x as a network sees it."""
    if hold == "pixels":
        return x.float() / 255
    if hold == "tokens":
        return x.long()
    x = x if x.is_floating_point() else x.float()
    return x[:, None] if x.ndim == 1 else x


# ---------------------------------------------------------------- types


def _widest(tensors: Iterable[Tensor]) -> torch.dtype:
    """Returns the floating-point type that holds the values of all floating-point tensors."""
    types = [tensor.dtype for tensor in tensors if tensor.is_floating_point()]
    return reduce(torch.promote_types, types)
