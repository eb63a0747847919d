"""A pickle reader for `torch.load` that builds tensors and containers, and runs nothing else.

Checkpoints of training frameworks hold objects of many classes beside their tensors, such as
settings and the states of callbacks. Here each of them becomes an `Inert` object that takes
whatever the file gives it and does nothing.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from typing import IO, Any

import torch
from torch import _utils


class Inert:
    """An object in place of one whose class is not known to be harmless."""

    def __new__(cls, *_: Any, **__: Any) -> Inert:
        """Returns an object, whatever the file passes to its class."""
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        """Keeps nothing."""

    def __call__(self, *_: Any, **__: Any) -> Inert:
        """Returns the object itself, where the file takes it for a function."""
        return self

    def __setstate__(self, _: Any) -> None:
        """Keeps nothing."""

    def __setitem__(self, _: Any, __: Any) -> None:
        """Keeps nothing."""

    def append(self, _: Any) -> None:
        """Keeps nothing."""

    def extend(self, _: Any) -> None:
        """Keeps nothing."""

    def add(self, _: Any) -> None:
        """Keeps nothing."""


#: What a pickle may call, by module and name: makers of tensors, and containers.
HARMLESS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    ("torch._utils", "_rebuild_tensor"): _utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): _utils._rebuild_parameter,
}


def _harmless(module: str, name: str) -> Any:
    """Returns what the file names, or None where that is not known to be harmless."""
    if (module, name) in HARMLESS:
        return HARMLESS[module, name]
    if module in ("torch", "torch.storage"):
        found = getattr(torch, name, None)
        is_storage = isinstance(found, type) and name.endswith("Storage")
        if is_storage or isinstance(found, torch.dtype):
            return found
    return None


class Unpickler(pickle.Unpickler):
    """The reader of one pickle."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns a harmless function or class, or a class of inert objects of the same name."""
        found = _harmless(module, name)
        if found is not None:
            return found
        return type(name.rpartition(".")[2], (Inert,), {"__module__": module})


def load(file: IO[bytes], **how: Any) -> Any:
    """Returns what the next pickle of a file holds, as `pickle.load` does."""
    return Unpickler(file, **how).load()
