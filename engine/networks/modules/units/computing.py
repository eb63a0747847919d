"""Operations that compute new values: entry by entry, and over axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.networks.modules.units.atoms import (
    Axis,
    Factor,
    axis,
    divide,
    fix,
    freeze,
    length,
    spread,
    unify,
)
from engine.networks.modules.units.values import Call, Rule, Value, dims_of, without

Results = Sequence[tuple[Axis, ...]]

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


def product(call: Call) -> Results:
    """Multiplies matrices, or batches of them, and adds a value where there is one."""
    one, other = _matrices(call)
    batch = one.ndim - 2
    for ours, theirs in zip(one.axes[:batch], other.axes[:batch], strict=True):
        unify(without(ours), without(theirs))
        fix((*ours, *theirs))
    rows = () if one.ndim == 1 else one.axes[-2]
    columns = () if other.ndim == 1 else other.axes[-1]
    inner = other.axes[-1] if other.ndim == 1 else other.axes[-2]
    contract(call, one, one.axes[-1], other, inner)
    axes = [*map(without, one.axes[: max(batch, 0)])]
    axes += [rows] if one.ndim > 1 else []
    axes += [columns] if other.ndim > 1 else []
    return [_plus(call.given.get("self") if _adds(call) else None, axes)]


def _adds(call: Call) -> bool:
    return call.name in ("addmm", "addmv", "baddbmm")


def _matrices(call: Call) -> tuple[Value, Value]:
    """Returns the two operands of a product."""
    given = call.given
    one = (
        next(given[name] for name in ("mat1", "batch1", "mat") if name in given)
        if (_adds(call))
        else given["self"]
    )
    other = next(given[name] for name in ("mat2", "batch2", "vec", "tensor") if name in given)
    return one, other


def contract(call: Call, one: Value, ours: Axis, other: Value, theirs: Axis) -> None:
    """Sums over an axis of each of two values; those that depend on samples are read by it."""
    unify(ours, theirs, inverse=True)
    call.read.extend(value for value in (one, other) if value.varies)


def _plus(added: Value | None, axes: list[Axis]) -> tuple[Axis, ...]:
    """Returns the axes of a result to which a value is added, repeated where it has length 1."""
    if added is None:
        return tuple(axes)
    missing = len(axes) - added.ndim
    for number, each in enumerate(axes):
        theirs = added.axes[number - missing] if number >= missing else ()
        if length(theirs) == length(each):
            unify(each, theirs)
        else:
            fix(each)
    return tuple(axes)


def linear(call: Call) -> Results:
    """Multiplies by a matrix (out, in), and adds a bias."""
    x, weight = call["input"], call["weight"]
    contract(call, x, x.axes[-1], weight, weight.axes[1])
    return [_plus(call["bias"], [*x.axes[:-1], weight.axes[0]])]


def convolution(call: Call) -> Results:
    """Convolves, in groups of channels."""
    x, weight, groups = call["input"], call["weight"], call["groups"]
    incoming, outgoing = (0, 1) if call["transposed"] else (1, 0)
    for value in (x, weight):
        for each in value.axes[2:]:
            freeze(each)
    out = weight.axes[outgoing]
    if groups == 1:
        contract(call, x, x.axes[1], weight, weight.axes[incoming])
    elif call["transposed"]:
        return call.unknown()
    else:
        out = _grouped(call, x, weight, groups)
    found = [x.axes[0], out, *(axis(size, frozen=True) for size in call.shape[2:])]
    if call["bias"] is not None:
        unify(out, call["bias"].axes[0])
    return [tuple(found)]


def _grouped(call: Call, x: Value, weight: Value, groups: int) -> Axis:
    """Convolves each group of channels by kernels of its own, and returns the outgoing channels.

    Groups may change places as wholes, and channels within each.
    """
    channels, out = apart(x.axes[1], groups), apart(weight.axes[0], groups)
    fix((*channels[:1], *out[:1]))
    unify(without(channels[:1]), without(out[:1]))
    parents = spread(out[:1])
    own = spread(weight.axes[1])
    fresh = weight.node.op == "placeholder" and len(weight.node.users) == 1
    if len(own) == 1 and fresh and not own[0].atom.frozen:
        own[0].atom.adopt([factor.atom for factor in parents])
    if channels[1:]:
        contract(call, x, channels[1:], weight, weight.axes[1])
    else:
        call.read.append(x)
    return spread(out)


def apart(of: Axis, outer: int) -> Axis:
    """Returns an axis as so many outer units, each with its inner ones; frozen where it cannot."""
    parts = spread(of)
    if not parts or parts[0].atom.size == outer:
        return parts
    first = parts[0].atom
    if len(parts) > 1 or first.size % outer or first.pieces is not None:
        freeze(parts)
        return axis(outer, frozen=True) + axis(length(parts) // outer, frozen=True)
    divide(first, outer)
    return spread(of)


def embed(call: Call) -> Results:
    """Takes rows of a matrix by numbers, so that the rows keep their order."""
    freeze(call["weight"].axes[0])
    call["indices"].freeze()
    return [(*call["indices"].axes, spread(call["weight"].axes[1]))]


def attend(call: Call) -> Results:
    """Attends: sums of values, weighted by products of queries and keys."""
    query, key, value = call["query"], call["key"], call["value"]
    if call.given.get("attn_mask", call.given.get("attn_bias")) is not None:
        call.given.get("attn_mask", call.given.get("attn_bias")).freeze()
    for ours, theirs, more in zip(query.axes[:-2], key.axes, value.axes, strict=False):
        unify(ours, theirs)
        unify(ours, more)
    for each in (query, key, value):
        each.fix()
    freeze(query.axes[-2])
    freeze(key.axes[-2])
    unify(key.axes[-2], value.axes[-2])
    contract(call, query, query.axes[-1], key, key.axes[-1])
    found = (*query.axes[:-1], spread(value.axes[-1]))
    return [found, *(tuple(axis(n, frozen=True) for n in shape) for shape in call.shapes[1:])]


# ---------------------------------------------------------------- normalization and pooling


def normalize_batch(call: Call) -> Results:
    """Normalizes each channel, and multiplies and shifts it."""
    x: Value = call["input"]
    channel = x.axes[1]
    for name in ("running_mean", "running_var"):
        if call.given.get(name) is not None:
            fix(call[name].axes[0])
            unify(without(channel), without(call[name].axes[0]))
    return _normalized(call, [1])


def normalize_layer(call: Call) -> Results:
    """Normalizes each sample over its last axes, and multiplies and shifts them."""
    x: Value = call["input"]
    return _normalized(call, [*range(x.ndim - len(call["normalized_shape"]), x.ndim)])


def normalize_groups(call: Call) -> Results:
    """Normalizes groups of channels, and multiplies and shifts each channel."""
    x, groups = call["input"], call["group"]
    if groups > 1:
        apart(x.axes[1], groups)
    return _normalized(call, [1])


def _normalized(call: Call, dims: Sequence[int]) -> Results:
    """Returns the axes of normalized values, to which weights and biases of some axes belong."""
    x: Value = call["input"]
    x.fix()
    axes = [*map(without, x.axes)]
    weight, bias = call["weight"], call["bias"]
    for number, dim in enumerate(dims):
        for affine in (weight, bias):
            if affine is not None:
                unify(axes[dim], without(affine.axes[number]))
        if weight is not None and bias is not None:
            unify(weight.axes[number], bias.axes[number])
        elif weight is None and bias is not None:
            fix(bias.axes[number])
        if weight is not None:
            axes[dim] = spread(weight.axes[number])
    if len(dims) > 1:
        for affine in (weight, bias):
            if affine is not None:
                affine.fix()
    rest = [tuple(axis(n, frozen=True) for n in shape) for shape in call.shapes[1:]]
    return [tuple(axes), *rest]


def pool(call: Call) -> Results:
    """Pools or resizes images over their last axes, whose places keep their order."""
    value: Value = call.values[0]
    over = {"1": 1, "2": 2, "3": 3}[next(c for c in call.name if c in "123")]
    for each in value.axes[-over:]:
        freeze(each)
    new = tuple(axis(size, frozen=True) for size in call.shape[-over:])
    return [(*value.axes[:-over], *new)] * len(call.shapes)


COMPUTING: dict[str, Rule] = {
    **dict.fromkeys((*HOMOGENEOUS, "hardswish", "log_sigmoid_forward"), entrywise),
    **dict.fromkeys(
        (
            *("sum", "mean", "amax", "amin", "linalg_vector_norm", "norm", "logsumexp"),
            *("var", "std", "var_mean", "std_mean", "prod", "any", "all"),
        ),
        reduce,
    ),
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot"), product),
    "linear": linear,
    "convolution": convolution,
    "embedding": embed,
    "_scaled_dot_product_flash_attention_for_cpu": attend,
    **dict.fromkeys(
        ("native_batch_norm", "_native_batch_norm_legit_no_training", "_native_batch_norm_legit"),
        normalize_batch,
    ),
    "native_layer_norm": normalize_layer,
    "native_group_norm": normalize_groups,
    **dict.fromkeys(
        (
            *("max_pool2d_with_indices", "max_pool3d_with_indices", "_adaptive_avg_pool2d"),
            *("_adaptive_avg_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d"),
            *("adaptive_max_pool2d", "upsample_nearest1d", "upsample_nearest2d"),
            *("upsample_bilinear2d", "upsample_nearest3d"),
        ),
        pool,
    ),
}
"""The operations that compute new values, by their names."""


def rule_of(call: Call, rules: dict[str, Rule]) -> Any:
    """Returns the rule of a call, or None where what it does to its axes is not known."""
    return rules.get(call.name) or (entrywise if call.pointwise else None)


__all__ = ["COMPUTING", "Factor", "rule_of"]
