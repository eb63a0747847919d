"""The precision of products on GPUs: TF32 within steps that ask for it, float32 everywhere else.

torch keeps the switches for the whole process, and reads them when it launches a kernel. So threads
that want the same precision compute side by side, and one that wants the other waits for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Condition
from typing import Any

import torch

from engine.spec.keys import Precision


def use_tf32(on: bool) -> None:
    """Lets GPUs round the factors of products to TF32, or not, in the whole process.

    The switch of each library is set where torch has one. Otherwise they would inherit a general
    one, whatever the switches of older versions say.
    """
    for switch in (torch.backends.cuda.matmul, *_cudnn_switches()):
        if hasattr(switch, "fp32_precision"):
            switch.fp32_precision = "tf32" if on else "ieee"
        else:
            switch.allow_tf32 = on


def _cudnn_switches() -> list[Any]:
    """Returns the objects whose attributes set cuDNN's precision."""
    cudnn = torch.backends.cudnn
    if hasattr(cudnn, "conv") and hasattr(cudnn.conv, "fp32_precision"):
        return [cudnn.conv, cudnn.rnn]
    return [cudnn]


class Phases:
    """The threads that compute by now, all with TF32 or all without."""

    def __init__(self) -> None:
        """Begins with no thread that computes."""
        self._changed = Condition()
        self._inside = 0
        self._tf32: bool | None = None

    @contextmanager
    def phase(self, tf32: bool) -> Iterator[None]:
        """Computes with TF32 or without; waits until no thread computes otherwise."""
        with self._changed:
            self._changed.wait_for(lambda: not self._inside or self._tf32 == tf32)
            if self._tf32 != tf32:
                use_tf32(tf32)
                self._tf32 = tf32
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()


PHASES = Phases()
"""The phases of this process."""


def measuring(device: torch.device) -> AbstractContextManager[None]:
    """Returns the context in which models are measured on a device: in full precision."""
    return nullcontext() if device.type == "cpu" else PHASES.phase(tf32=False)


def stepping(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """Returns the context in which a step's losses and gradients are computed on a device."""
    return nullcontext() if device.type == "cpu" else PHASES.phase(tf32=precision == "tf32")


def casting(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Returns the context in which a step's network runs: torch's autocast where it is bf16.

    Weights are cast at each use, because a cached cast would outlive the weights that are lent.
    """
    if precision != "bf16":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)
