"""Operations that arrange values in another way: views, parts, and several in one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from engine.networks.modules.units.atoms import (
    Axis,
    Factor,
    axis,
    divide,
    fix,
    freeze,
    length,
    spread,
)
from engine.networks.modules.units.merging import placed, unify
from engine.networks.modules.units.sequences import cut, joined
from engine.networks.modules.units.values import Call, Results, Rule, Value, dims_of


def view(call: Call) -> Results:
    """Gives the factors of all axes, in their order, to the axes of another shape."""
    left = [factor for each in call["self"].axes for factor in spread(each)]
    axes: list[Axis] = []
    for size in call.shape:
        taken: list[Factor] = []
        while length(taken) < size and size % length(taken) == 0:
            factor = left.pop(0)
            rest = size // length(taken)
            if factor.atom.size > rest and factor.atom.size % rest == 0:
                divide(factor.atom, rest)
                factor, *inner = spread((factor,))
                left = [*inner, *left]
            taken.append(factor)
        if length(taken) != size:
            return call.unknown()
        axes.append(tuple(taken))
    return [tuple(axes)]


def unsqueeze(call: Call) -> Results:
    """Adds an axis of length 1."""
    axes = list(call["self"].axes)
    axes.insert(call["dim"] % (len(axes) + 1), ())
    return [tuple(axes)]


def squeeze(call: Call) -> Results:
    """Leaves axes of length 1 out."""
    value = call["self"]
    dims = dims_of(call.given.get("dim"), value.ndim)
    kept = [each for dim, each in enumerate(value.axes) if dim not in dims or length(each) > 1]
    return [tuple(kept)]


def transpose(call: Call) -> Results:
    """Swaps two axes."""
    axes = list(call["self"].axes)
    if len(axes) > 1:
        one, other = call.given.get("dim0", 0), call.given.get("dim1", 1)
        axes[one], axes[other] = axes[other], axes[one]
    return [tuple(axes)]


def permute(call: Call) -> Results:
    """Brings the axes into another order."""
    axes = call["self"].axes
    return [tuple(axes[dim] for dim in call["dims"])]


def expand(call: Call) -> Results:
    """Repeats a value along axes of length 1, and along new ones before the others.

    What is the same everywhere along an axis is so in any order.
    """
    return [tuple(_repeated(each, size) for each, size in _aligned(call["self"], call.shape))]


def _repeated(of: Axis, size: int) -> Axis:
    return of if length(of) == size else axis(size)


def _aligned(value: Value, shape: Sequence[int]) -> list[tuple[Axis, int]]:
    """Returns the axes of a value and the sizes of a shape in pairs, the last with the last."""
    missing = len(shape) - value.ndim
    return [*zip([*([()] * missing), *value.axes], shape, strict=True)]


def select(call: Call) -> Results:
    """Takes one place of an axis, which then keeps its order."""
    return [_at(call["self"], call["dim"], call["index"])]


def unbind(call: Call) -> Results:
    """Takes the places of an axis one by one."""
    return [_at(call["self"], call["dim"], place) for place in range(len(call.shapes))]


def _at(value: Value, dim: int, index: int) -> tuple[Axis, ...]:
    dim %= value.ndim
    chosen = spread(value.axes[dim])
    index %= length(chosen)
    freeze(chosen)
    rest = [each for number, each in enumerate(value.axes) if number != dim]
    for number, factor in enumerate(chosen):
        inner = length(chosen[number + 1 :])
        place, index = divmod(index, inner)
        rest = [placed(each, factor.atom.root, place) for each in rest]
    return tuple(rest)


def part(call: Call) -> Results:
    """Takes consecutive places of an axis; those with steps between them keep their order."""
    value: Value = call["self"]
    dim = call["dim"] % value.ndim
    whole, size = length(value.axes[dim]), call.shape[dim]
    axes = list(value.axes)
    if size == whole:
        return [tuple(axes)]
    if call["step"] != 1:
        freeze(axes[dim])
        axes[dim] = axis(size, frozen=True)
        return [tuple(axes)]
    start = call["start"] or 0
    start = max(0, start + whole) if start < 0 else start
    sizes = [start, size, whole - start - size]
    _, axes[dim], _ = _cut(axes[dim], sizes)
    return [tuple(axes)]


def _cut(of: Axis, sizes: Sequence[int]) -> list[Axis]:
    """Returns consecutive parts of an axis, some of which may be of length 0."""
    parts = iter(cut(of, [size for size in sizes if size]))
    return [next(parts) if size else () for size in sizes]


def split(call: Call) -> Results:
    """Takes a value apart along an axis."""
    value: Value = call["self"]
    dim = call["dim"] % value.ndim
    parts = cut(value.axes[dim], [shape[dim] for shape in call.shapes])
    return [(*value.axes[:dim], each, *value.axes[dim + 1 :]) for each in parts]


def cat(call: Call) -> Results:
    """Puts values one after another along an axis."""
    values = [each for each in call["tensors"] if each.ndim == len(call.shape)]
    dim = call["dim"] % len(call.shape)
    first, *others = values
    for other in others:
        for number, (ours, theirs) in enumerate(zip(first.axes, other.axes, strict=True)):
            if number != dim:
                unify(ours, theirs)
    along = joined([each.axes[dim] for each in values])
    return [(*first.axes[:dim], along, *first.axes[dim + 1 :])]


def stack(call: Call) -> Results:
    """Puts values one after another along a new axis, whose places keep their order."""
    first, *others = call["tensors"]
    for other in others:
        for ours, theirs in zip(first.axes, other.axes, strict=True):
            unify(ours, theirs)
    axes = list(first.axes)
    axes.insert(call["dim"] % (first.ndim + 1), axis(len(call["tensors"]), frozen=True))
    return [tuple(axes)]


def pad(call: Call) -> Results:
    """Adds places of one number at the ends of axes. Zeros may stand where units were, no others.

    A shortcut that pads channels with zeros makes its wide axis a sequence of three.
    """
    value: Value = call["self"]
    pairs = [*zip(call["pad"][::2], call["pad"][1::2], strict=True)]
    axes = list(value.axes)
    for dim, (before, after) in zip(range(value.ndim - 1, -1, -1), pairs, strict=False):
        if before == after == 0:
            continue
        if min(before, after) < 0:
            freeze(axes[dim])
            axes[dim] = axis(call.shape[dim], frozen=True)
        else:
            if call["value"]:
                value.fix()
            ends = [axis(size) if size else None for size in (before, after)]
            pieces = [ends[0], axes[dim], ends[1]]
            axes[dim] = joined([piece for piece in pieces if piece is not None])
    return [tuple(axes)]


def picked(call: Call) -> Results:
    """Takes places of axes by numbers: these axes keep their order, the others are as they were."""
    value: Value = call["self"]
    numbers = call.given.get("indices")
    if numbers is None:
        numbers = [None] * (call["dim"] % value.ndim) + [call["index"]]
    taken = [dim for dim, each in enumerate(numbers) if each is not None]
    if any(b - a != 1 for a, b in pairwise(taken)):
        return call.unknown()
    for dim in taken:
        freeze(value.axes[dim])
        numbers[dim].freeze()
    more = len(call.shape) - (value.ndim - len(taken))
    first = taken[0]
    new = [axis(size, frozen=True) for size in call.shape[first : first + more]]
    return [(*value.axes[:first], *new, *value.axes[first + len(taken) :])]


def constant(call: Call) -> Results:
    """Makes a value that is the same everywhere, or is written before it is read.

    Its units may be ordered in another way at each place of the axes before them.
    """
    for value in call.values:
        value.fix()
    zeros = call.name.endswith(("zeros", "zeros_like"))
    axes: list[Axis] = []
    for size in call.shape:
        before = [factor.atom for each in axes for factor in each]
        axes.append(axis(size, scaled=zeros))
        for factor in axes[-1]:
            factor.atom.adopt(before)
    return [tuple(axes)]


def copied(call: Call) -> Results:
    """Writes a value into another."""
    value, source = call["self"], call["src"]
    for each, other in zip(reversed(value.axes), reversed(source.axes), strict=False):
        if length(each) == length(other):
            unify(each, other)
        else:
            fix(each)
    for each in value.axes[: value.ndim - source.ndim]:
        fix(each)
    return [value.axes]


def along(call: Call) -> Results:
    """Does something along axes whose places have an order, which they keep."""
    value: Value = call["self"]
    which = call["dims"] if "dims" in call.given else call["dim"]
    value.fix()
    for dim in dims_of(which, value.ndim):
        freeze(value.axes[dim])
    return [value.axes] * len(call.shapes)


def repeat(call: Call) -> Results:
    """Repeats a value as a whole; what is repeated keeps its order."""
    return call.unknown() if prod(call["repeats"]) != 1 else view(call)


def fixed_scale(call: Call) -> Results:
    """Gives a function of each value along an axis that treats all its places alike."""
    call["self"].fix()
    return [call["self"].axes]


SHAPING: dict[str, Rule] = {
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "_reshape_alias"), view),
    "unsqueeze": unsqueeze,
    "squeeze": squeeze,
    "transpose": transpose,
    "t": transpose,
    "permute": permute,
    "expand": expand,
    "select": select,
    "unbind": unbind,
    "slice": part,
    **dict.fromkeys(
        ("split", "unsafe_split", "split_with_sizes", "unsafe_split_with_sizes"), split
    ),
    **dict.fromkeys(("unsafe_chunk", "chunk"), split),
    "cat": cat,
    "stack": stack,
    "constant_pad_nd": pad,
    "repeat": repeat,
    **dict.fromkeys(("index", "index_select"), picked),
    **dict.fromkeys(
        (
            *("zeros", "ones", "full", "empty", "new_zeros", "new_ones", "new_full", "new_empty"),
            *("zeros_like", "ones_like", "full_like", "empty_like", "scalar_tensor"),
        ),
        constant,
    ),
    "copy": copied,
    **dict.fromkeys(("flip", "cumsum", "cumprod", "roll"), along),
    **dict.fromkeys(("_softmax", "_safe_softmax", "_log_softmax", "softmax"), fixed_scale),
}
"""The operations that arrange values, by their names."""
