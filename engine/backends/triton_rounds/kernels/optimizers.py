"""The steps of a training block: clipping, weight decay, and the optimizers' rules."""

from __future__ import annotations

import triton.language as tl

from engine.backends.fused.kernels import arrays
from engine.backends.triton_rounds.kernels.compiling import compiled

SGD = tl.constexpr(arrays.SGD)
RMSPROP = tl.constexpr(arrays.RMSPROP)


@compiled
def take_step(how: tl.constexpr, rule, weight_count, theta, slow, square, grad, decays, pace, step):
    """Takes one step of the weights at `theta` along the gradient at `grad`, in place.

    `slow` and `square` are as in `Columns`, `decays` as in the problem, and `pace` is read at
    `step`.
    """
    shrink = _shrink(how, rule, weight_count, grad)
    for start in range(0, weight_count, how.piece):
        p = start + tl.arange(0, how.piece)
        own = p < weight_count
        weights = tl.load(theta + p, own, 0.0)
        slope = _within(how, rule, tl.load(grad + p, own, 0.0)) * shrink
        rate = tl.load(pace.rate + step)
        if how.decays:
            shares = rule.weight_decay
            if how.exempt:
                shares = rule.weight_decay * tl.load(decays + p, own, 0.0)
            if how.apart:
                weights *= 1.0 - shares * rate
            else:
                slope += shares * weights
        if how.kind == SGD:
            way = _sgd(how, rule, slow + p, own, slope) * rate
        elif how.kind == RMSPROP:
            way = _rmsprop(how, rule, slow + p, square + p, own, slope, rate)
        else:
            way = _adam(rule, slow + p, square + p, own, slope, pace, step)
        tl.store(theta + p, weights - way, own)


@compiled
def _within(how: tl.constexpr, rule, slope):
    """Returns a gradient with each entry within its bounds."""
    if how.clips_values:
        most = rule.clip_value
        slope = tl.where(slope > most, most, tl.where(slope < -most, -most, slope))
    return slope


@compiled
def _shrink(how: tl.constexpr, rule, weight_count, grad):
    """Returns the factor that brings the norm of a gradient within its bound."""
    if not how.clips_norm:
        return 1.0
    squares = tl.full((how.piece,), 0.0, tl.float64)
    for start in range(0, weight_count, how.piece):
        p = start + tl.arange(0, how.piece)
        slope = _within(how, rule, tl.load(grad + p, p < weight_count, 0.0)).to(tl.float64)
        squares += slope * slope
    share = rule.clip_norm / (tl.sqrt(tl.sum(squares, axis=0)) + rule.norm_eps)
    return tl.where(share > 1.0, 1.0, share).to(tl.float32)  # one that is not a number stays so


@compiled
def _sgd(how: tl.constexpr, rule, slow, own, slope):
    """Returns the way of stochastic gradient descent before it is scaled by the rate."""
    way = slope
    if how.heavy:
        way = rule.momentum * tl.load(slow, own, 0.0) + slope
        tl.store(slow, way, own)
        if how.nesterov:
            way = slope + rule.momentum * way
    return way


@compiled
def _mean_square(rule, square, own, slope):
    """Returns the running mean of the squares of a gradient, and keeps it."""
    mean = rule.keep * tl.load(square, own, 0.0) + rule.take * slope * slope
    tl.store(square, mean, own)
    return mean


@compiled
def _rmsprop(how: tl.constexpr, rule, slow, square, own, slope, rate):
    """Returns the way of RMSprop."""
    scale = tl.sqrt_rn(_mean_square(rule, square, own, slope)) + rule.eps
    if how.heavy:
        way = rule.momentum * tl.load(slow, own, 0.0) + tl.div_rn(slope, scale)
        tl.store(slow, way, own)
        return rate * way
    else:
        return tl.div_rn(rate * slope, scale)


@compiled
def _adam(rule, slow, square, own, slope, pace, step):
    """Returns the way of Adam, with the corrections of a step."""
    mean = tl.load(slow, own, 0.0)
    mean += rule.new * (slope - mean)
    tl.store(slow, mean, own)
    scale = tl.sqrt_rn(_mean_square(rule, square, own, slope))
    scale = tl.div_rn(scale, tl.load(pace.root + step)) + rule.eps
    return tl.div_rn(tl.load(pace.corrected + step) * mean, scale)
