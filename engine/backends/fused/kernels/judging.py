"""What becomes of a row: compiled twins of `engine.steps.judge` and `Rows.with_loss`."""

from __future__ import annotations

import numpy as np

from engine.backends.fused.kernels.arrays import (
    DIVERGED,
    GOING,
    OUT_OF_STEPS,
    REACHED,
    STUCK,
    Budget,
    Rows,
)
from engine.backends.fused.kernels.compiling import STRICT, compiled


@compiled(STRICT)
def judge(rows: Rows, bead: int, mean: float, budget: Budget) -> bool:
    """Notes a row's loss and returns whether the row goes on, exactly as `engine.steps.judge`."""
    real = rows.loss.dtype.type
    rows.loss[bead] = mean
    loss, steps = rows.loss[bead], rows.steps[bead]
    finite = np.isfinite(loss)
    reached = finite and loss <= rows.target[bead]
    lower = loss < rows.best[bead] * real(1 - budget.improvement)
    if reached:
        rows.best[bead] = np.inf
    elif lower:
        rows.best[bead] = loss
    if reached or lower:
        rows.best_step[bead] = steps
    if not finite:
        rows.end[bead] = DIVERGED
    elif reached:
        rows.end[bead] = REACHED
    elif steps >= budget.max_steps:
        rows.end[bead] = OUT_OF_STEPS
    elif steps - rows.best_step[bead] >= rows.patience[bead]:
        rows.end[bead] = STUCK
    else:
        rows.end[bead] = GOING
    going: bool = rows.end[bead] == GOING
    return going


@compiled(STRICT)
def grows(rows: Rows, bead: int, judged: int, budget: Budget) -> bool:
    """Returns whether a row's mini-batch is to double, exactly as `engine.steps.growth.is_due`.

    It had taken `judged` steps when it was judged last.
    """
    if budget.parts == 0:
        return False
    part = max(1, rows.patience[bead] // budget.parts)
    waited = judged - rows.best_step[bead]
    return bool(waited // part > max(0, waited - budget.check_every) // part)


@compiled(STRICT)
def note_loss(rows: Rows, bead: int, mean: float) -> None:
    """Notes a loss measured apart from steps, exactly as `Rows.with_loss`."""
    rows.loss[bead] = mean
    if rows.loss[bead] <= rows.target[bead]:
        rows.end[bead] = REACHED
    elif rows.end[bead] <= REACHED:
        rows.end[bead] = GOING
