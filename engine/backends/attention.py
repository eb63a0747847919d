"""Attention without fused kernels, where a gradient is to be differentiated once more.

torch keeps the switches of these kernels for the whole process, and its own context gives them back
as it found them. Where several threads enter and leave it, one would find them as another needs
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from threading import Lock

import torch


class WhileAnyIsInside:
    """A setting of the whole process, made by the first thread that needs it.

    It lasts until the last of the threads that need it at a time has left.
    """

    def __init__(self, make: Callable[[], AbstractContextManager[object]]) -> None:
        """Begins with no thread inside. `make` returns the context that makes the setting."""
        self._make = make
        self._lock = Lock()
        self._inside = 0
        self._setting: AbstractContextManager[object] = nullcontext()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Computes with the setting, beside other threads that do."""
        with self._lock:
            if not self._inside:
                self._setting = self._make()
                self._setting.__enter__()
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self._setting.__exit__(None, None, None)


def _of_parts() -> AbstractContextManager[object]:
    """Returns torch's context without fused kernels for attention."""
    if find_spec("torch.nn.attention") is None:  # before torch 2.3
        return torch.backends.cuda.sdp_kernel(enable_flash=False, enable_mem_efficient=False)
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel(SDPBackend.MATH)


plain_attention = WhileAnyIsInside(_of_parts)
"""Makes a context in which attention is computed by operations that all have derivatives."""
