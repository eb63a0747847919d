"""The steps of a training block: clipping, weight decay, and the optimizers' rules."""

from __future__ import annotations

import math

import numpy as np

from engine.backends.fused.kernels.arrays import RMSPROP, SGD, Floats, Rows, Rule
from engine.backends.fused.kernels.compiling import STRICT, compiled


@compiled()
def take_step(rule: Rule, rows: Rows, bead: int, grad: Floats, number: int) -> None:
    """Takes one step of a row along its gradient, which is its step of that number in the round.

    The gradient is overwritten where it is clipped or weights decay.
    """
    theta = rows.theta[bead]
    rate = rule.rates[bead, number] if rule.rates.size else rule.lr
    _clip(rule, grad)
    _decay(rule, theta, grad, rate)
    if rule.kind == SGD:
        _sgd(rule, theta, rows.slow[bead], grad, rate)
    elif rule.kind == RMSPROP:
        _rmsprop(rule, theta, rows.slow[bead], rows.square[bead], grad, rate)
    else:
        taken = rows.steps[bead] + 1
        _adam(rule, theta, rows.slow[bead], rows.square[bead], grad, taken, rate)
    rows.steps[bead] += 1


@compiled(STRICT)
def _clip(rule: Rule, grad: Floats) -> None:
    """Brings a gradient within its bounds, first each entry and then the norm."""
    real = grad.dtype.type
    if rule.clip_value < np.inf:
        most = real(rule.clip_value)
        for p in range(grad.size):
            if grad[p] > most:
                grad[p] = most
            elif grad[p] < -most:
                grad[p] = -most
    if rule.clip_norm < np.inf:
        squares = 0.0
        for p in range(grad.size):
            squares += np.float64(grad[p]) * np.float64(grad[p])
        share = rule.clip_norm / (math.sqrt(squares) + rule.norm_eps)
        if not share > 1:  # a gradient that is not a number stays so
            for p in range(grad.size):
                grad[p] *= real(share)


@compiled(STRICT)
def _decay(rule: Rule, theta: Floats, grad: Floats, rate: float) -> None:
    """Lets weights decay, through the gradient or apart from it."""
    if rule.weight_decay == 0:
        return
    real = theta.dtype.type
    share = real(rule.weight_decay * rate) if rule.apart else real(rule.weight_decay)
    for p in range(theta.size):
        if rule.decays.size and rule.decays[p] == 0:
            continue
        if rule.apart:
            theta[p] *= real(1) - share
        else:
            grad[p] += share * theta[p]


@compiled(STRICT)
def _sgd(rule: Rule, theta: Floats, slow: Floats, grad: Floats, rate: float) -> None:
    """Takes one step of stochastic gradient descent."""
    real = theta.dtype.type
    lr, momentum = real(rate), real(rule.momentum)
    if rule.momentum == 0:
        for p in range(theta.size):
            theta[p] -= lr * grad[p]
    elif rule.nesterov:
        for p in range(theta.size):
            slow[p] = momentum * slow[p] + grad[p]
            theta[p] -= lr * (grad[p] + momentum * slow[p])
    else:
        for p in range(theta.size):
            slow[p] = momentum * slow[p] + grad[p]
            theta[p] -= lr * slow[p]


@compiled(STRICT)
def _rmsprop(
    rule: Rule, theta: Floats, slow: Floats, square: Floats, grad: Floats, rate: float
) -> None:
    """Takes one step of RMSprop."""
    real = theta.dtype.type
    lr, momentum, eps = real(rate), real(rule.momentum), real(rule.eps)
    keep, take = real(rule.decay), real(1 - rule.decay)
    if rule.momentum == 0:
        for p in range(theta.size):
            square[p] = keep * square[p] + take * grad[p] * grad[p]
            theta[p] -= lr * grad[p] / (np.sqrt(square[p]) + eps)
    else:
        for p in range(theta.size):
            square[p] = keep * square[p] + take * grad[p] * grad[p]
            slow[p] = momentum * slow[p] + grad[p] / (np.sqrt(square[p]) + eps)
            theta[p] -= lr * slow[p]


@compiled(STRICT)
def _adam(
    rule: Rule, theta: Floats, slow: Floats, square: Floats, grad: Floats, taken: int, rate: float
) -> None:
    """Takes one step of Adam. The row's own steps give the bias corrections, in float64."""
    real = theta.dtype.type
    keep, take = real(rule.decay), real(1 - rule.decay)
    new, eps = real(1 - rule.first), real(rule.eps)
    lr = real(rate / (1 - rule.first ** np.float64(taken)))
    root = real(math.sqrt(1 - rule.decay ** np.float64(taken)))
    for p in range(theta.size):
        slow[p] += new * (grad[p] - slow[p])
        square[p] = keep * square[p] + take * grad[p] * grad[p]
        theta[p] -= lr * slow[p] / (np.sqrt(square[p]) / root + eps)
