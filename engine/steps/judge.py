"""What becomes of a row by its loss: whether it goes on, and whether it has come any lower."""

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
    """Returns `best`, `best_step` and `end` of rows by a loss just seen, after `steps` steps.

    A row goes on while its loss is finite and above its target, it has steps left, and its last
    lower loss is less than `patience` steps ago. At its target a row has all its patience again, so
    that it begins anew when something moves it away. Compiled code has a twin of this,
    `fused.kernels.judge`, which agrees to the bit.
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
