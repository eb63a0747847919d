"""The functions that Python calls: losses along segments, and rounds of steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.backends.fused.kernels.arrays import (
    GOING,
    Blocks,
    Budget,
    Drawn,
    Floats,
    Net,
    Rows,
    Rule,
    Scratch,
    Table,
    Tie,
    Work,
)
from engine.backends.fused.kernels.compiling import STRICT, compiled, inlined
from engine.backends.fused.kernels.judging import grows, judge, note_loss
from engine.backends.fused.kernels.optimizers import take_step
from engine.backends.fused.kernels.passes import mean_loss
from engine.backends.fused.kernels.tethers import respace, step_together


@compiled(entry=True)
def measure(
    net: Net,
    blocks: Blocks,
    table: Table,
    scratch: Scratch,
    left: Floats,
    right: Floats,
    rows: NDArray[np.int64],
    t: Floats,
    batches: NDArray[np.int64],
    losses: Floats,
    grads: Floats | None,
) -> None:
    """Writes losses[i] at the point t[i] of the segment from left[rows[i]] to right[rows[i]].

    Writes gradients too where there is an array for them. Samples are those of the numbers
    batches[i], or all where there are none.
    """
    half, one = left.dtype.type(0.5), left.dtype.type(1)
    for i in range(rows.size):
        row, place = rows[i], t[i]
        for p in range(left.shape[1]):
            way = right[row, p] - left[row, p]
            scratch.theta[p] = (
                left[row, p] + place * way if place < half else right[row, p] - (one - place) * way
            )
        losses[i] = mean_loss(net, blocks, table, batches[i], scratch.theta, scratch, grads, True)
        if grads is not None:
            for p in range(left.shape[1]):
                grads[i, p] = scratch.grad[p]


@compiled(entry=True)
def advance(
    net: Net,
    blocks: Blocks,
    table: Table,
    scratch: Scratch,
    rule: Rule,
    budget: Budget,
    rows: Rows,
    drawn: Drawn,
    all_samples: NDArray[np.int64],
) -> None:
    """Takes a round of steps of every row, on the samples drawn, or on all samples.

    On all samples each step sees the loss. Elsewhere it is evaluated before the steps, and then
    after every `check_every` of them, until the row ends, its mini-batch is to double, or there
    have been `checks` evaluations.
    """
    on_all, every = drawn.size == 0, budget.check_every
    for bead in range(len(rows.theta)):
        theta, first = rows.theta[bead], rows.steps[bead]
        for _ in range(budget.checks):
            judged = rows.steps[bead]
            for step in range(every if on_all else every + 1):
                evaluate, move = on_all or step == 0, on_all or step > 0
                taken = rows.steps[bead] - first
                numbers = all_samples if evaluate else samples_of(drawn, bead, taken)
                loss = mean_loss(net, blocks, table, numbers, theta, scratch, theta, move)
                if evaluate and not judge(rows, bead, loss, budget):
                    break
                if rows.steps[bead] >= budget.max_steps:
                    break
                if move:
                    take_step(rule, rows, bead, scratch.grad, taken)
            if rows.end[bead] != GOING or grows(rows, bead, judged, budget):
                break


@compiled(entry=True)
def advance_string(
    net: Net,
    blocks: Blocks,
    table: Table,
    scratch: Scratch,
    rule: Rule,
    budget: Budget,
    rows: Rows,
    drawn: Drawn,
    all_samples: NDArray[np.int64],
    tie: Tie,
    work: Work,
) -> None:
    """Takes a round of steps of one string, evaluates it, respaces it, and evaluates it again.

    One loop makes steps and evaluations, so that the code for losses is compiled once.
    """
    on_all, beads = drawn.size == 0, len(rows.theta)
    steps, respaced = budget.check_every, budget.check_every + 1
    for bead in range(beads):
        work.slot[bead] = rows.end[bead] == GOING
    for phase in range(steps + 2):
        if phase == respaced and (not tie.hard or not respace(rows.theta, work)):
            break
        move = phase < steps
        for bead in range(beads):
            if not is_due(rows, work, bead, phase - steps, on_all):
                continue
            numbers = samples_of(drawn, bead, phase) if move and not on_all else all_samples
            theta = rows.theta[bead]
            loss = mean_loss(net, blocks, table, numbers, theta, scratch, theta, move)
            if phase == respaced:
                note_loss(rows, bead, loss)
            elif (not move or on_all) and not judge(rows, bead, loss, budget):
                continue
            if move and rows.steps[bead] < budget.max_steps:
                work.moved[bead] = True
                keep_gradient(work, bead, scratch.grad)
        if move:
            step_together(rule, tie, rows, work, phase)


@inlined
def samples_of(drawn: Drawn, bead: int, step: int) -> NDArray[np.int64]:
    """Returns the sample numbers of a row's step, counted from 0 in the round."""
    start = (drawn.starts[bead] + step * drawn.size) % drawn.period
    return drawn.numbers[start : start + drawn.size]


@compiled(STRICT)
def keep_gradient(work: Work, bead: int, grad: Floats) -> None:
    """Keeps the gradient of a bead until all beads of the string take the step."""
    for p in range(grad.size):
        work.grads[bead, p] = grad[p]


@compiled(STRICT)
def is_due(rows: Rows, work: Work, bead: int, phase: int, on_all: bool) -> bool:
    """Returns whether the loss of a bead is needed in a phase.

    The phase is negative in a step, 0 in the evaluation after steps, and 1 after respacing.
    """
    if phase > 0:
        return bool(work.moved[bead])
    going = rows.end[bead] == GOING
    if phase == 0:
        return bool(work.slot[bead] and (going or not on_all))
    work.moved[bead] = False
    return bool(work.slot[bead] and going)
