"""Compiled code of proofs as plain Python, to look at each of its steps.

Functions that only compiled code calls cannot be called from Python. Here the same source is loaded
once more without the compiler.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from types import ModuleType
from typing import Any

import numba

import engine.path.certificate as package

#: numba's settings, of which its types tell nothing.
settings: Any = numba.config
#: The modules whose source is loaded, each after those that it imports.
NAMES = ("falling", "scalar", "compiled_losses", "compiled_forms", "compiled_layers")


def layers() -> ModuleType:
    """Returns `compiled_layers` without a compiler."""
    return _loaded()["compiled_layers"]


def forms() -> ModuleType:
    """Returns `compiled_forms` without a compiler."""
    return _loaded()["compiled_forms"]


def losses() -> ModuleType:
    """Returns `compiled_losses` without a compiler."""
    return _loaded()["compiled_losses"]


@cache
def _loaded() -> dict[str, ModuleType]:
    before = {name: sys.modules.pop(_full(name), None) for name in NAMES}
    for name in NAMES:
        vars(package).pop(name, None)
    settings.DISABLE_JIT = True
    try:
        return {name: importlib.import_module(_full(name)) for name in NAMES}
    finally:
        settings.DISABLE_JIT = False
        for name, kept in before.items():
            sys.modules.pop(_full(name))
            vars(package).pop(name, None)
            if kept is not None:
                sys.modules[_full(name)] = kept
                setattr(package, name, kept)


def _full(name: str) -> str:
    return f"{package.__name__}.{name}"
