"""Operations that normalize values, and those that pool or resize images."""

from __future__ import annotations

from collections.abc import Sequence

from engine.networks.modules.units.atoms import axis, fix, freeze, spread
from engine.networks.modules.units.contracting import apart
from engine.networks.modules.units.merging import unify
from engine.networks.modules.units.values import Call, Results, Rule, Value, without


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


NORMALIZING: dict[str, Rule] = {
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
"""The operations that normalize or pool, by their names."""
