"""A pickle reader for `torch.load` that builds tensors and containers, and runs nothing else.

Checkpoints of training frameworks hold objects of many classes beside their tensors, such as
settings and the states of callbacks. Here each of them becomes an object that does nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import IO, Any

import torch
from torch import _utils

from engine.inert import InertUnpickler

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


class Unpickler(InertUnpickler):
    """The reader of one pickle."""

    def harmless(self, module: str, name: str) -> Any:
        """Returns what the file names, or None where that is not known to be harmless."""
        if (module, name) in HARMLESS:
            return HARMLESS[module, name]
        if module in ("torch", "torch.storage"):
            found = getattr(torch, name, None)
            is_storage = isinstance(found, type) and name.endswith("Storage")
            if is_storage or isinstance(found, torch.dtype):
                return found
        return None


def load(file: IO[bytes], **how: Any) -> Any:
    """Returns what the next pickle of a file holds, as `pickle.load` does."""
    return Unpickler(file, **how).load()
