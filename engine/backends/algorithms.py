"""The algorithms that the libraries of GPUs choose between, for the whole process.

cuDNN can try its algorithms on each new shape of a convolution and keep the fastest. That pays
where shapes stay the same, as with one model at a time, and not where each number of beads is
another shape. What it finds differs from run to run, and with it the last bits.
"""

from __future__ import annotations

import os

import torch

from engine.backends.backend import Way

#: The variable that cuBLAS reads when it is first used, and the room with which it sums in order.
WORKSPACE, ROOM = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"


def choose_algorithms(way: Way, *, deterministic: bool) -> None:
    """Takes the fastest algorithms for a backend, or those that give the same bits in each run.

    With `deterministic`, torch raises RuntimeError for an operation that has no such algorithm.
    """
    torch.backends.cudnn.benchmark = way == "loop" and not deterministic
    torch.backends.cudnn.deterministic = deterministic
    if deterministic:
        os.environ.setdefault(WORKSPACE, ROOM)
    torch.use_deterministic_algorithms(deterministic)
