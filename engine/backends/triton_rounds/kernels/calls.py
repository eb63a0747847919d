"""The kernels that Python launches: rounds of steps."""

from __future__ import annotations

import triton.language as tl

from engine.backends.fused.kernels import arrays
from engine.backends.triton_rounds.kernels.compiling import compiled
from engine.backends.triton_rounds.kernels.judging import judged
from engine.backends.triton_rounds.kernels.optimizers import take_step
from engine.backends.triton_rounds.kernels.passes import mean_loss

GOING = tl.constexpr(arrays.GOING)


@compiled
def advance(
    net: tl.constexpr,
    data,
    how: tl.constexpr,
    rule,
    pace,
    rows,
    grads,
    decays,
    batches,
    batch,
    weight_count,
):
    """Takes a round of steps of each bead that goes, on batches (bead, step, sample) or on all.

    On all samples each step sees the loss. With batches it is evaluated once, before the steps.
    """
    bead = tl.program_id(0).to(tl.int64)
    theta, grad = rows.theta + bead * weight_count, grads + bead * weight_count
    slow, square = rows.slow + bead * weight_count, rows.square + bead * weight_count
    loss, best, best_step = (
        tl.load(rows.loss + bead),
        tl.load(rows.best + bead),
        tl.load(rows.best_step + bead),
    )
    steps, end = tl.load(rows.steps + bead), tl.load(rows.end + bead).to(tl.int32)
    if how.batched:
        if end == GOING:
            mean = mean_loss(net, data, theta, grad, batches, data.samples, False, False)
            loss, best, best_step, end = judged(mean, rows, rule, bead, steps, best, best_step)
    done = 0
    # On all samples a bead without steps left is judged once more, which ends it.
    limit = rule.max_steps if how.batched else rule.max_steps + 1
    while (done < rule.check_every) & (end == GOING) & (steps < limit):
        step = bead * rule.check_every + done
        if how.batched:
            mean_loss(net, data, theta, grad, batches + step * batch, batch, True, True)
        else:
            mean = mean_loss(net, data, theta, grad, batches, data.samples, False, True)
            loss, best, best_step, end = judged(mean, rows, rule, bead, steps, best, best_step)
        # The threads that take the step have not all written the gradient, and the other way round.
        tl.debug_barrier()
        if end == GOING:
            take_step(how, rule, weight_count, theta, slow, square, grad, decays, pace, step)
            steps += 1
        tl.debug_barrier()
        done += 1
    tl.store(rows.loss + bead, loss)
    tl.store(rows.best + bead, best)
    tl.store(rows.best_step + bead, best_step)
    tl.store(rows.steps + bead, steps)
    tl.store(rows.end + bead, end.to(tl.int8))


@compiled
def measure(net: tl.constexpr, data, theta, losses, weight_count):
    """Writes the mean loss of each weight vector on all samples, without gradients."""
    bead = tl.program_id(0).to(tl.int64)
    weights = theta + bead * weight_count
    mean = mean_loss(net, data, weights, weights, weights, data.samples, False, False)
    tl.store(losses + bead, mean.to(tl.float32))
