"""Lets a forward pass that was written for float32 compute in float64.

Modules of users make tensors in torch's default precision (`torch.zeros(1, n, 8)`), cast
(`x.float()`), and hold float32 tensors that are no buffers, such as class weights of a loss. In
float64 each of them stops with an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

from engine.errors import InputError


class Widened(TorchFunctionMode):
    """A context in which torch's functions take float64 wherever they were given float32.

    It holds for this thread alone. What is written into a tensor stays in that tensor's precision.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Returns what a function of torch gives for its arguments, widened."""
        kwargs = kwargs or {}
        if func is Tensor.float:
            return args[0].double()
        if _writes(func, kwargs):
            return func(*args, **kwargs)
        given, _ = tree_flatten((args, kwargs))
        if any(_is(each, torch.float64) for each in given):
            args, kwargs = tree_map(_wide, (args, kwargs))
        elif any(each is torch.float32 for each in given):
            args, kwargs = tree_map(_wide_type, (args, kwargs))
        found = func(*args, **kwargs)
        made = not any(isinstance(each, Tensor) for each in given)
        return _wide(found) if made else found


def _writes(func: Callable[..., Any], kwargs: dict[str, Any]) -> bool:
    """Returns whether a function writes into a tensor that it is given."""
    name = getattr(func, "__name__", "")
    in_place = name.endswith("_") and not name.endswith("__")
    return in_place or name in ("__setitem__", "__set__") or kwargs.get("out") is not None


def _is(value: Any, dtype: torch.dtype) -> bool:
    """Returns whether a value is a tensor of that type."""
    return isinstance(value, Tensor) and value.dtype == dtype


def _wide(value: Any) -> Any:
    """Returns a float32 tensor, or float32 itself, in float64, and anything else as it is."""
    return value.double() if _is(value, torch.float32) else _wide_type(value)


def _wide_type(value: Any) -> Any:
    """Returns float64 for float32, and anything else as it is."""
    return torch.float64 if value is torch.float32 else value


def needs_widening(
    make: Callable[[], nn.Module], loss: Callable[[Tensor, Tensor], Tensor], x: Any, y: Tensor
) -> bool:
    """Returns whether float64 samples (x, y) need `Widened` in a network or a loss of a user's own.

    `make` returns the network in float64. Raises InputError where they cannot be computed with it
    either.
    """
    wide = make()
    with torch.no_grad():
        try:
            loss(wide(x), y)
        except Exception:  # it is not our code
            pass
        else:
            return False
        try:
            with Widened():
                loss(wide(x), y)
        except Exception as error:  # it is not our code
            raise InputError(
                "network and loss cannot be computed in float64, in which a path is measured at "
                f"the end ({type(error).__name__}: {str(error).splitlines()[0]}); make tensors in "
                "forward with x.dtype, and cast nothing to float32",
                key="problem",
            ) from error
    return True
