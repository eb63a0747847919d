"""The steps that modules, functions and methods of torch are, where their arguments allow it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from engine.networks.modules.cnn import as_images
from engine.networks.steps import Activation, Convolution, Dense, Pool, Reshape, Sides, Step


class Untraceable(Exception):
    """A module that consists of more than the known steps; `str` is a clause that says why."""


class Batch:
    """The number of samples, where a module reads it from its input's shape."""


def _sides(value: Any) -> Sides:
    high, wide = value if isinstance(value, tuple | list) else (value, value)
    return int(high), int(wide)


def _relu() -> Step:
    return Activation("relu")


def _sigmoid() -> Step:
    return Activation("sigmoid")


def _tanh() -> Step:
    return Activation("tanh")


def _pool(by: Any, size: Any, stride: Any, rest: Sequence[Any], plain: Sequence[Any]) -> Step:
    """Returns a pooling step. Raises Untraceable where rectangles overlap or are padded."""
    sides = _sides(size)
    if (stride is not None and _sides(stride) != sides) or list(rest) != list(plain):
        raise Untraceable("it pools over rectangles that overlap, or with padding")
    return Pool(by, sides)


def _max_pool(
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Step:
    rest = [_sides(padding), _sides(dilation), ceil_mode, return_indices]
    return _pool("max", kernel_size, stride, rest, [(0, 0), (1, 1), False, False])


def _average_pool(
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Any = None,
) -> Step:
    rest = [_sides(padding), ceil_mode, divisor_override]
    return _pool("average", kernel_size, stride, rest, [(0, 0), False, None])


def _flatten(start_dim: int = 0, end_dim: int = -1) -> Step:
    if (start_dim, end_dim) != (1, -1):
        raise Untraceable("it flattens other axes than all but the first")
    return Reshape((-1,))


def _reshaped(*shape: Any) -> Step:
    """Returns the step of `view` and `reshape`, whose first axis must be that of the samples."""
    sizes = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
    first, *rest = sizes
    fits = isinstance(first, Batch) or first == -1
    if not fits or not all(isinstance(size, int) for size in rest):
        raise Untraceable("it reshapes its values across samples")
    return Reshape(tuple(rest))


def _dropped(p: float = 0.5, training: bool = True) -> None:
    if training:
        raise Untraceable("it drops values at random")


def _dense(weight: Any, bias: Any = None) -> Step:
    if not isinstance(weight, str) or not isinstance(bias, str | None):
        raise Untraceable("a layer's weights are no parameters")
    return Dense(weight, bias)


def _images(shape: tuple[int, ...], weight: Any) -> Step:
    return Reshape(tuple(shape))


def _convolution(module: nn.Conv2d, name: str) -> Step:
    if module.padding_mode != "zeros":
        raise Untraceable(f"it pads with {module.padding_mode}")
    return Convolution(
        f"{name}.weight",
        f"{name}.bias" if module.bias is not None else None,
        _sides(module.stride),
        _padding(module.padding, module.dilation, module.kernel_size),
        _sides(module.dilation),
        module.groups,
    )


def _padding(padding: Any, dilation: Sequence[int], kernel: Sequence[int]) -> Sides:
    if padding == "valid":
        return 0, 0
    if padding != "same":
        return _sides(padding)
    whole = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    if any(zeros % 2 for zeros in whole):
        raise Untraceable("an even kernel is padded on one side more than on the other")
    return whole[0] // 2, whole[1] // 2


MODULES: dict[type[nn.Module], Callable[[Any, str], Step | None]] = {
    nn.Linear: lambda m, name: Dense(
        f"{name}.weight", f"{name}.bias" if m.bias is not None else None
    ),
    nn.Conv2d: _convolution,
    nn.ReLU: lambda m, name: _relu(),
    nn.Sigmoid: lambda m, name: _sigmoid(),
    nn.Tanh: lambda m, name: _tanh(),
    nn.MaxPool2d: lambda m, name: _max_pool(
        m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode, m.return_indices
    ),
    nn.AvgPool2d: lambda m, name: _average_pool(
        m.kernel_size, m.stride, m.padding, m.ceil_mode, m.count_include_pad, m.divisor_override
    ),
    nn.Flatten: lambda m, name: _flatten(m.start_dim, m.end_dim),
    nn.Identity: lambda m, name: None,
    nn.Dropout: lambda m, name: _dropped(m.p, m.training),
    nn.Dropout2d: lambda m, name: _dropped(m.p, m.training),
}
"""The step that a module of torch's is, None for one that returns its input."""

CALLS: dict[Any, Callable[..., Step | None]] = {
    as_images: _images,
    functional.linear: _dense,
    functional.dropout: _dropped,
    functional.max_pool2d: _max_pool,
    functional.avg_pool2d: _average_pool,
    torch.flatten: _flatten,
    "flatten": _flatten,
    "view": _reshaped,
    "reshape": _reshaped,
    torch.reshape: _reshaped,
    **dict.fromkeys((torch.relu, functional.relu, "relu"), _relu),
    **dict.fromkeys((torch.sigmoid, functional.sigmoid, "sigmoid"), _sigmoid),
    **dict.fromkeys((torch.tanh, functional.tanh, "tanh"), _tanh),
}
"""The step that a function or a method of tensors is, by its arguments after the first."""

ADDITIONS = (operator.add, torch.add, "add")
