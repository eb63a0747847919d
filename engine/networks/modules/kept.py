"""Tensors that a module's forward keeps in attributes, such as a weight that it computes once.

Weights are lent to one network after another model's, so that what forward has kept belongs to
other weights. Parameters and buffers are no attributes in this sense.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

Attributes = dict[str, Any]


class Kept:
    """The attributes of a network's modules as they are when it is made."""

    def __init__(self, network: nn.Module) -> None:
        """Takes down the attributes, and what lists and dictionaries among them hold."""
        self._modules = [(module, _attributes(module)) for module in network.modules()]

    @property
    def changed(self) -> bool:
        """Whether attributes have changed since to something that holds tensors."""
        return any(_new(module, before) for module, before in self._modules)

    def restore(self) -> None:
        """Gives back to attributes that have changed to something with tensors what they were."""
        for module, before in self._modules:
            for name in _new(module, before):
                if name not in before:
                    del module.__dict__[name]
                    continue
                value, inner = before[name]
                if isinstance(value, list):
                    value[:] = inner
                elif isinstance(value, dict):
                    value.clear()
                    value.update(inner)
                module.__dict__[name] = value


def _attributes(module: nn.Module) -> dict[str, tuple[Any, Any]]:
    """Returns a module's attributes, each with a copy of it where it is a list or a dictionary."""
    return {name: (value, _copy(value)) for name, value in _own(module).items()}


def _own(module: nn.Module) -> Attributes:
    """Returns a module's attributes but those in which torch keeps its parts and its hooks."""
    return {name: value for name, value in vars(module).items() if name not in TORCHS}


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, list | dict) else None


def _new(module: nn.Module, before: dict[str, tuple[Any, Any]]) -> list[str]:
    """Returns the names of attributes that have changed to something with tensors."""
    return [
        name
        for name, value in _own(module).items()
        if not (name in before and _same(value, *before[name])) and _holds_tensors(value)
    ]


def _same(value: Any, before: Any, inner: Any) -> bool:
    """Returns whether an attribute is the object that it was, and holds the objects that it did."""
    if value is not before:
        return False
    if isinstance(value, list):
        return len(value) == len(inner) and all(a is b for a, b in zip(value, inner, strict=True))
    if isinstance(value, dict):
        return value.keys() == inner.keys() and all(value[key] is inner[key] for key in value)
    return True


def _holds_tensors(value: Any) -> bool:
    return any(isinstance(leaf, Tensor) for leaf in tree_leaves(value))


#: The attributes of every module: its parameters, buffers and parts, and its hooks.
TORCHS = frozenset(vars(nn.Module()))
