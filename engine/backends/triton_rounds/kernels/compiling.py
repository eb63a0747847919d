"""How functions are compiled, and the type checker's view of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import triton

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Any:
    """Compiles a function for the GPU when it is first called or launched."""
    return cast(Any, triton.jit(function))
