"""Whether compiled code can be had on this machine, and whether it still has to be compiled."""

from __future__ import annotations

from functools import cache

import numpy as np

from engine.backends.fused.kernels import SOURCES
from engine.backends.fused.layout import Layout, Tie
from engine.backends.fused.problem import FusedProblem
from engine.spec.optimizers import Sgd
from engine.spec.training import Training


@cache
def available() -> bool:
    """Returns whether numba is installed and can be imported."""
    try:
        from engine.backends.fused.kernels import calls  # noqa: F401
    except ImportError:
        return False
    return True


def compiled() -> bool:
    """Returns whether an earlier process has left the compiled code on the disk."""
    from engine.backends.disk_cache import DiskCache

    return DiskCache("advance", SOURCES).is_filled()


def warm_up() -> None:
    """Compiles the code that searches use, or loads it from the disk."""
    layout = Layout((1, 1), True, "relu", "identity", "mse")
    one = np.ones((1, 1), np.float32)
    problem = FusedProblem(layout, one, one)
    theta = np.ones((1, 2), np.float32)
    problem.losses(theta)
    problem.to(np.float64).losses(theta.astype(np.float64))
    import torch

    from engine.steps.rows import fresh

    rows = fresh(torch.ones(1, 2), (), target=0.0, patience=1, seeds=[0])
    training = Training(optimizer=Sgd(kind="sgd"), check_every=1)
    problem.advance(training, rows, 0.0)
    problem.advance_string(training, rows, 0.0, Tie())
