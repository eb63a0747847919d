"""Operations that compute entry by entry, and those that take one number over axes."""

from __future__ import annotations

from engine.networks.modules.units.atoms import Axis, axis, fix, length, spread
from engine.networks.modules.units.merging import unify
from engine.networks.modules.units.values import Call, Results, Rule, Value, dims_of, without

# ---------------------------------------------------------------- entry by entry

#: Functions f of one value with f(s·x) = s·f(x) for s > 0.
HOMOGENEOUS = {
    *("relu", "leaky_relu", "abs", "neg", "positive", "clone", "detach", "alias", "_to_copy"),
    *("lift_fresh", "lift_fresh_copy", "contiguous", "view_of"),
}
SUMS = {"add", "sub"}
PRODUCTS = {"mul", "div"}


def entrywise(call: Call) -> Results:
    """Computes each entry from those at the same place, with values of length 1 repeated."""
    axes = []
    for number, size in enumerate(call.shape):
        back = len(call.shape) - number
        along = [each.axes[-back] for each in call.values if each.ndim >= back]
        axes.append(_entries(call, [each for each in along if length(each) == size], size))
    return [tuple(axes)] * len(call.shapes)


def _entries(call: Call, axes: list[Axis], size: int) -> Axis:
    """Returns the axis of a result along which some of the arguments have these axes."""
    if size == 1 or not axes:
        return axis(size)
    first, *others = axes
    everywhere = len(axes) == _operands(call)
    same_scale = call.name in HOMOGENEOUS or (call.name in SUMS and everywhere)
    multiplied = call.name in PRODUCTS and not call.in_place
    scaled = _product(axes, call) if multiplied else None
    for other in others:
        unify(first if same_scale else without(first), other if same_scale else without(other))
    if same_scale:
        return spread(first)
    if scaled is None:
        for each in axes:
            fix(each)
        return without(first)
    return spread(scaled)


def _operands(call: Call) -> int:
    """Returns the number of values and numbers that a sum takes."""
    return sum(call.given.get(name) is not None for name in ("self", "other"))


def _product(axes: list[Axis], call: Call) -> Axis:
    """Returns the axis whose scale the product of values with these axes has."""
    values = call.values
    if len(axes) == 1:
        if call.name == "div" and axes[0] not in values[0].axes:
            fix(axes[0])  # a divisor
        return axes[0]
    first, second = axes
    if call.name == "mul" and not any(factor.power for factor in spread(first)):
        return second
    fix(second)
    return first


# ---------------------------------------------------------------- over axes

#: Reductions of which the result is multiplied by what the values are multiplied by.
SCALED_REDUCTIONS = {"sum", "mean", "amax", "amin", "max", "min", "linalg_vector_norm", "norm"}


def reduce(call: Call) -> Results:
    """Takes one number over axes, which does not depend on the order of their places."""
    value: Value = call["self"]
    dims = dims_of(call.given.get("dim"), value.ndim)
    for dim, each in enumerate(value.axes):
        if dim in dims or call.name not in SCALED_REDUCTIONS:
            fix(each)
    kept: list[Axis] = [
        () if dim in dims else spread(each)
        for dim, each in enumerate(value.axes)
        if dim not in dims or call.given.get("keepdim")
    ]
    return [tuple(kept)] * len(call.shapes)


COMPUTING: dict[str, Rule] = {
    **dict.fromkeys((*HOMOGENEOUS, "hardswish", "log_sigmoid_forward"), entrywise),
    **dict.fromkeys(
        (
            *("sum", "mean", "amax", "amin", "linalg_vector_norm", "norm", "logsumexp"),
            *("var", "std", "var_mean", "std_mean", "prod", "any", "all"),
        ),
        reduce,
    ),
}
"""The operations that compute entry by entry or over axes, by their names. What torch says to be
pointwise is so too."""
