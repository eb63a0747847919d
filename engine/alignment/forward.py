"""The forward of a problem's network in float64 on the CPU: traced, and run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

from engine.errors import InputError
from engine.networks.modules import lent
from engine.networks.modules.aten import Unseen, traced
from engine.networks.modules.calls import Inputs
from engine.networks.modules.units.found import units_of
from engine.networks.modules.units.groups import Units
from engine.networks.modules.widened import Widened
from engine.problem.batch_norm import STATISTICS, batch_norms, collect
from engine.problem.problem import Problem
from engine.shapes import Weights
from engine.told import Told, untold

Named = Mapping[str, Tensor]
"""Tensors of a network by their names."""


@dataclass(frozen=True, eq=False)
class Traced:
    """A traced forward, and the symmetries found in it."""

    graph: fx.GraphModule
    units: Units


@contextmanager
def one_thread() -> Iterator[None]:
    """Makes a context in which torch computes with one thread, so that sums always round alike."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass
class Passes:
    """Counts the samples that are passed through a network, and tells how many of all that is."""

    told: Told
    expected: int = 0
    """The number of samples that will be passed; nothing is told before it is known."""
    done: int = 0

    def add(self, samples: int) -> None:
        """Counts the samples of a pass that has ended."""
        self.done += samples
        if self.expected:
            self.told(min(1.0, self.done / self.expected))


class Forward:
    """Computes a problem's network in float64 on the CPU."""

    def __init__(self, problem: Problem, told: Told = untold) -> None:
        """Makes a copy of the network. `told` is called after each pass, as `Passes` says."""
        self.passes = Passes(told)
        self.problem = problem.to(torch.device("cpu"), torch.float64)
        self.network = self.problem.computing()
        self._layers = batch_norms(self.network)

    def named(self, theta: Weights) -> dict[str, Tensor]:
        """Returns the parameters that move, by name, in float64."""
        theta = theta.to(self.problem.device, torch.float64)
        held = {place: each[0] for place, each in self.problem.named(theta[None]).items()}
        return {each.name: held[each.name] for each in self.problem.parameters}

    def vector(self, named: Named) -> Weights:
        """Returns parameters as a weight vector (param,)."""
        return torch.cat([named[each.name].flatten() for each in self.problem.parameters])

    def samples(self, count: int) -> Inputs:
        """Returns the inputs of the first training samples, at most so many."""
        x, _ = self.problem.train[:count].part(slice(None), torch.float64)
        return x

    def statistics(self, theta: Weights, most: int | None = None) -> dict[str, Tensor]:
        """Returns a model's own statistics of batch normalization, by buffer name.

        They come from all samples that the problem estimates them from, or from at most `most`.
        """
        estimate = self.problem.estimate
        if estimate is None:
            return {}
        x, _ = estimate[:most].part(slice(None), torch.float64)
        layers = [layer for _, layer in self._layers]
        for layer in layers:
            layer.mode = "collect"
        with self._widening():
            found = collect(lambda x: self._output(theta, {}, x), layers, x)
        for layer in layers:
            layer.mode = "given"
        self.passes.add(self.estimated(most))
        return dict(zip(self.statistic_names, found, strict=True))

    def estimated(self, most: int | None = None) -> int:
        """Returns the number of samples that statistics of at most `most` of them come from."""
        estimate = self.problem.estimate
        return 0 if estimate is None else len(estimate[:most])

    @property
    def statistic_names(self) -> list[str]:
        """The names of the buffers that hold statistics of batch normalization."""
        return [f"{name}.{own}".lstrip(".") for name, _ in self._layers for own in STATISTICS]

    def output(self, theta: Weights, x: Inputs, most: int | None = None) -> Tensor:
        """Returns a model's outputs, normalized by its own statistics of at most `most` samples."""
        statistics = self.statistics(theta, most)
        with self._widening():
            output = self._output(theta, statistics, x)
        self.passes.add(len(tree_leaves(x)[0]))
        return output

    def _output(self, theta: Weights, statistics: Named, x: Inputs) -> Tensor:
        named = self.named(theta)
        weights = {place: named[name] for place, name in self.problem.places}
        with torch.no_grad():
            return lent.output(self.network, {**weights, **statistics, **self._carried(theta)}, x)

    def _carried(self, theta: Weights) -> dict[str, Tensor]:
        """Returns the buffers that are a function of the weights."""
        carried = self.problem.carried
        found = {} if carried is None else carried.at(theta[None].double())
        return {name: each[0] for name, each in found.items()}

    def _widening(self) -> AbstractContextManager[object]:
        return Widened() if self.problem.widens else nullcontext()

    def _others(self) -> dict[str, Tensor]:
        """Returns what else the network holds: parameters that do not move, and buffers.

        The statistics of batch normalization come last.
        """
        moving = {place for place, _ in self.problem.places}
        held = {name: each.detach() for name, each in lent.held(self.network)}
        held |= dict(self.network.named_buffers(remove_duplicate=False))
        names = self.statistic_names
        rest = {n: each for n, each in held.items() if n not in moving and n not in names}
        return rest | {name: held[name] for name in names}

    def traced(self, samples: int) -> Traced:
        """Returns the forward for so many samples as a graph, with its symmetries.

        Raises InputError where it cannot be traced.
        """
        others = self._others()
        named = {each.name: torch.zeros(each.shape).double() for each in self.problem.parameters}
        try:
            with self._widening():
                graph = traced(
                    self.network, dict(self.problem.places), named, others, self.samples(samples)
                )
        except Unseen as error:
            raise InputError(
                f"the network's hidden units cannot be found: {error}; connect the models as they "
                "are",
                key="problem.network",
            ) from error
        names = self.statistic_names
        units = units_of(graph.graph, list(named), names, len(others) - len(names))
        return Traced(graph, units)

    def inputs(self, theta: Weights, x: Inputs) -> tuple[list[Tensor], list[Tensor], Inputs]:
        """Returns what a traced graph takes for a model and samples."""
        given = {**self._others(), **self._carried(theta), **self.statistics(theta)}
        others = [given[name] for name in self._others()]
        return list(self.named(theta).values()), others, x
