"""How functions of a proof are compiled: nothing is contracted, reordered or approximated.

This module needs numba.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from engine.backends.disk_cache import keep

Function = TypeVar("Function", bound=Callable[..., Any])
Floats = NDArray[np.float64]

#: How functions are compiled that Python calls, and those that only compiled code calls.
ENTRY: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
INNER: dict[str, Any] = {**ENTRY, "no_cpython_wrapper": True}


def entry(function: Function) -> Function:
    """Compiles a function that is called from Python, and keeps it on the disk."""
    made: Any = numba.njit(**ENTRY)(function)
    keep(made, Path(__file__).parent)
    return cast(Function, made)


def is_compiled(function: Any) -> bool:
    """Returns whether an entry is compiled, by this process or by one that kept it on the disk.

    It is, too, where numba compiles nothing (NUMBA_DISABLE_JIT) and the function stays Python's.
    """
    if not hasattr(function, "signatures"):
        return True
    return bool(function.signatures) or function._cache.is_filled()


def part(function: Function) -> Function:
    """Compiles a function of arrays that compiled code calls."""
    return cast(Function, numba.njit(**INNER)(function))


def inner(function: Function) -> Function:
    """Compiles a short function that is written out where compiled code calls it."""
    return cast(Function, numba.njit(forceinline=True, **INNER)(function))
