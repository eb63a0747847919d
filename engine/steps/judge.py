"""Decides by a row's loss whether the row goes on, and whether the loss has come lower."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.shapes import PerBead, Steps
from engine.steps.rows import End

#: A loss counts as lower when it is lower by this share.
IMPROVEMENT = 1e-3


def judge(
    loss: PerBead,
    target: PerBead,
    best: PerBead,
    best_step: Steps,
    steps: Steps,
    patience: Steps,
    max_steps: int,
) -> tuple[PerBead, Steps, Tensor]:
    """Returns `best`, `best_step` and `end` (an `End` each) of rows whose objective is `loss`.

    All tensors are (row,), and `steps` are the steps taken so far. A row goes on while its loss is
    finite and above its target, it has steps left, and its last lower loss is less than `patience`
    steps ago. A row at its target has all its patience again, for the case that something moves it
    away. `fused.kernels.judging.judge` is the same in compiled code and agrees to the bit.
    """
    finite = loss.isfinite()
    reached = finite & (loss <= target)
    lower = loss < best * (1 - IMPROVEMENT)
    best = torch.where(reached, torch.inf, torch.where(lower, loss, best))
    best_step = torch.where(reached | lower, steps, best_step)
    end = torch.full_like(steps, End.GOING, dtype=torch.int8)
    end = torch.where(steps - best_step >= patience, End.STUCK, end)
    end = torch.where(steps >= max_steps, End.OUT_OF_STEPS, end)
    end = torch.where(reached, End.REACHED, end)
    end = torch.where(finite, end, End.DIVERGED)
    return best, best_step, end.to(torch.int8)
