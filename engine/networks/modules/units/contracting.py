"""Operations that sum over an axis of two values: products, convolutions, attention."""

from __future__ import annotations

from engine.networks.modules.units.atoms import Axis, axis, divide, fix, freeze, length, spread
from engine.networks.modules.units.merging import unify
from engine.networks.modules.units.values import Call, Results, Rule, Value, without


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


CONTRACTING: dict[str, Rule] = {
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot"), product),
    "linear": linear,
    "convolution": convolution,
    "embedding": embed,
    "_scaled_dot_product_flash_attention_for_cpu": attend,
    "_scaled_dot_product_flash_attention": attend,  # the same in torch 2.2
}
"""The operations that sum over an axis of two values, by their names."""
