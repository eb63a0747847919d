"""Modules taken apart into the steps of `networks.steps`, checked against the module itself."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from engine.networks.modules import lent
from engine.networks.modules.calls import Inputs
from engine.networks.modules.cnn import as_images
from engine.networks.modules.known_steps import ADDITIONS, CALLS, MODULES, Batch, Untraceable
from engine.networks.steps import (
    Activation,
    Convolution,
    Dense,
    Node,
    Pool,
    Reshape,
    Step,
    Sum,
    Taken,
)

#: Samples, and draws of weights, on which the steps must give what the module gives.
SAMPLES, DRAWS = 3, 2
#: How far they may be apart, relative to the largest output, in float64.
TOLERANCE = 1e-9
#: Seed of those weights and samples.
SEED = 20170424


def taken_apart(network: nn.Module, x: Inputs) -> Taken:
    """Returns the steps that a module is made of, for samples of the shape of x (sample, …).

    The steps are computed with random weights on random samples and must give what the module
    gives, so that hooks and other code that tracing does not see are noticed. Raises Untraceable.
    """
    if isinstance(x, dict):
        raise Untraceable("it takes several inputs")
    if not x.is_floating_point():
        raise Untraceable("its inputs are whole numbers")
    try:
        graph = _Tracer(autowrap_functions=(as_images,)).trace(network)
    except Exception as error:  # whatever the module's own code raises on a symbol
        raise Untraceable(f"its forward cannot be traced ({_first_line(error)})") from error
    taken = _Reader(network).read(graph)
    _compare(network, taken, x)
    return taken


def computed(taken: Taken, weights: Mapping[str, Tensor], x: Tensor) -> list[Tensor]:
    """Returns a batch x (sample, …) and what each step makes of it, the outputs last.

    `weights` names all parameters by their places.
    """
    values = [x]
    for node in taken.nodes:
        values.append(_apply(node.step, [values[place] for place in node.inputs], weights))
    return values


def _apply(step: Step, inputs: Sequence[Tensor], weights: Mapping[str, Tensor]) -> Tensor:
    x = inputs[0]
    match step:
        case Dense(weight, bias):
            return functional.linear(x, weights[weight], weights[bias] if bias else None)
        case Convolution():
            added = weights[step.bias] if step.bias else None
            return functional.conv2d(
                x,
                weights[step.weight],
                added,
                step.stride,
                step.padding,
                step.dilation,
                step.groups,
            )
        case Activation(kind):
            return ACTIVATIONS[kind](x)
        case Pool("max", size):
            return functional.max_pool2d(x, size)
        case Pool(_, size):
            return functional.avg_pool2d(x, size)
        case Reshape(shape):
            return x.reshape(len(x), *shape)
        case Sum():
            return x + inputs[1]


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


def _compare(network: nn.Module, taken: Taken, x: Tensor) -> None:
    """Raises Untraceable where the steps do not give what the module gives."""
    generator = torch.Generator().manual_seed(SEED)
    shape = (SAMPLES, *x.shape[1:])
    for _ in range(DRAWS):
        drawn = {
            id(p): torch.randn(p.shape, generator=generator, dtype=torch.float64)
            / math.sqrt(max(1, p[0].numel() if p.ndim > 1 else 1))
            for p in network.parameters()
        }
        weights = {place: drawn[id(parameter)] for place, parameter in lent.held(network)}
        samples = torch.randn(shape, generator=generator, dtype=torch.float64)
        try:
            expected = lent.output(network, weights, samples)
            found = computed(taken, weights, samples)[-1]
        except Exception as error:  # a module that insists on float32, or shapes that do not fit
            raise Untraceable(f"its steps cannot be computed ({_first_line(error)})") from error
        if not isinstance(expected, Tensor) or expected.shape != found.shape:
            raise Untraceable("it returns something else than its traced steps")
        if not (expected - found).abs().max() <= TOLERANCE * expected.abs().max():
            raise Untraceable("it computes something else than its traced steps")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


class _Tracer(fx.Tracer):
    """Traces into modules of others and stops at torch's own, sequences aside."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in MODULES or super().is_leaf_module(m, module_qualified_name)


class _Shape:
    """The shape of a value, of which only the number of samples may be read."""


class _Reader:
    """Reads a traced graph, node by node, into steps."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.places = {name for name, _ in lent.held(network)}
        self.nodes: list[Node] = []
        self.known: dict[fx.Node, Any] = {}
        """What each node of the graph stands for: a place in the list of values, a parameter's
        name, the number of samples or a shape."""

    def read(self, graph: fx.Graph) -> Taken:
        for node in graph.nodes:
            if node.op == "placeholder":
                if 0 in self.known.values():
                    raise Untraceable("its forward takes more than one argument")
                self.known[node] = 0
            elif node.op == "output":
                self._finish(node.args[0])
            elif node.op == "get_attr":
                self.known[node] = self._parameter(str(node.target))
            elif node.op == "call_module":
                self._module(node)
            else:
                self._call(node)
        return Taken(tuple(self.nodes))

    def _finish(self, result: Any) -> None:
        if self.known.get(result) != len(self.nodes) or not self.nodes:
            raise Untraceable("its last step is not what it returns")

    def _parameter(self, name: str) -> str:
        if name not in self.places:
            raise Untraceable(f"it computes with {name}, which is no parameter")
        return name

    def _add(self, node: fx.Node, step: Step, *inputs: Any) -> None:
        places = tuple(self._value(each) for each in inputs)
        self.nodes.append(Node(step, places))
        self.known[node] = len(self.nodes)

    def _value(self, argument: Any) -> int:
        """Returns the place of a value that depends on the data."""
        found = self.known.get(argument) if isinstance(argument, fx.Node) else None
        if not isinstance(found, int):
            raise Untraceable("one of its steps takes something else than the step before")
        return found

    def _module(self, node: fx.Node) -> None:
        name = str(node.target)
        module = self.network.get_submodule(name)
        if type(module) not in MODULES:
            raise Untraceable(f"it has a step of its own ({type(module).__name__})")
        step = MODULES[type(module)](module, name)
        if step is None:
            self.known[node] = self._value(node.args[0])
        else:
            self._add(node, step, node.args[0])

    def _call(self, node: fx.Node) -> None:
        target = node.target
        if target in (operator.getitem, getattr) or target == "size":
            self.known[node] = self._part_of_shape(node)
        elif target in ADDITIONS:
            self._add(node, Sum(), *node.args[:2])
        elif target in CALLS:
            self._step(node, CALLS[target])
        else:
            raise Untraceable(f"it has a step of its own ({_name(target)})")

    def _step(self, node: fx.Node, make: Callable[..., Step | None]) -> None:
        x, *rest = node.args
        arguments = [self._resolved(each) for each in rest]
        keywords = {
            key: self._resolved(each) for key, each in node.kwargs.items() if key != "inplace"
        }
        try:
            step = make(*arguments, **keywords)
        except TypeError as error:
            raise Untraceable(
                f"it calls {_name(node.target)} with arguments that are not known here"
            ) from error
        if step is None:
            self.known[node] = self._value(x)
        else:
            self._add(node, step, x)

    def _resolved(self, argument: Any) -> Any:
        """Returns what an argument stands for, itself where it is a plain value."""
        return self.known[argument] if isinstance(argument, fx.Node) else argument

    def _part_of_shape(self, node: fx.Node) -> _Shape | Batch:
        """Returns what a node reads of a shape. Raises Untraceable for all but the batch size."""
        x, *rest = node.args
        of = self.known.get(x) if isinstance(x, fx.Node) else None
        if isinstance(of, int) and node.target is getattr and rest == ["shape"]:
            return _Shape()
        if isinstance(of, int) and node.target == "size":
            return _Shape() if not rest else self._batch(rest)
        if isinstance(of, _Shape) and node.target is operator.getitem:
            return self._batch(rest)
        raise Untraceable("it picks parts out of its values")

    def _batch(self, which: Sequence[Any]) -> Batch:
        if list(which) != [0]:
            raise Untraceable("it computes with the shape of its values")
        return Batch()


def _name(target: Any) -> str:
    return str(getattr(target, "__name__", target))
