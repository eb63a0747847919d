"""How functions are compiled: their rules of rounding, and where compiled code is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

from engine.backends.disk_cache import keep
from engine.backends.fused.kernels import SOURCES

Function = TypeVar("Function", bound=Callable[..., Any])

#: Rounding in which a product and the sum it enters round once. No sum has two products, so that
#: the compiler has no choice.
MULTIPLY_ADD = frozenset({"contract"})
#: Rounding in which sums may also be reordered. Numbers that are not finite stay what they are.
SUMS = frozenset({"contract", "reassoc", "nsz"})
#: Rounding of each operation by itself, in the order written.
STRICT: frozenset[str] = frozenset()


def compiled(
    rounding: frozenset[str] = MULTIPLY_ADD, *, inline: bool = False, entry: bool = False
) -> Callable[[Function], Function]:
    """Returns a decorator that compiles a function with these rules of rounding.

    An `entry` can be called from Python and is kept on the disk. A function that sums with SUMS
    must be `inline`, and so must its callers up to an entry. A function that is not inlined is
    optimised anew in each entry. The session that compiles then runs one of the copies, a session
    that loads from the disk another, and they may sum in different orders.

    Compiled code allocates nothing and its arrays outlive each call, so that numba need not count
    who uses an array (`_nrt`). Each count is an operation on memory that threads share, and some
    of them would be made for every block of samples.
    """
    how: dict[str, Any] = {
        "nogil": True,
        "fastmath": set(rounding),
        "error_model": "numpy",
        "forceinline": inline,
        "no_cfunc_wrapper": True,
        "no_cpython_wrapper": not entry,
        "_nrt": False,
    }

    def decorate(function: Function) -> Function:
        made = numba.njit(**how)(function)
        if entry:
            keep(made, SOURCES)
        return cast(Function, made)

    return decorate


def inlined(function: Function) -> Function:
    """Compiles a function that is written out where it is called, under the caller's rules."""
    return cast(Function, numba.njit(inline="always")(function))
