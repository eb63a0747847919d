"""What becomes of a row: the twin of `engine.steps.judge` on a GPU."""

from __future__ import annotations

import triton.language as tl

from engine.backends.fused.kernels import arrays
from engine.backends.triton_rounds.kernels.compiling import compiled

GOING = tl.constexpr(arrays.GOING)
REACHED = tl.constexpr(arrays.REACHED)
OUT_OF_STEPS = tl.constexpr(arrays.OUT_OF_STEPS)
STUCK = tl.constexpr(arrays.STUCK)
DIVERGED = tl.constexpr(arrays.DIVERGED)


@compiled
def judged(mean, rows, rule, bead, steps, best, best_step):
    """Returns a bead's loss, best loss, its step, and its end, exactly as `engine.steps.judge`.

    `mean` is its loss in float64 after `steps`.
    """
    loss = mean.to(tl.float32)
    finite = tl.abs(loss) < float("inf")
    reached = finite & (loss <= tl.load(rows.target + bead))
    lower = loss < best * rule.better
    best = tl.where(reached, float("inf"), tl.where(lower, loss, best))
    best_step = tl.where(reached | lower, steps, best_step)
    waits = steps - best_step >= tl.load(rows.patience + bead)
    end = tl.where(waits, STUCK, GOING)
    end = tl.where(steps >= rule.max_steps, OUT_OF_STEPS, end)
    end = tl.where(reached, REACHED, end)
    end = tl.where(finite, end, DIVERGED)
    return loss, best, best_step, end
