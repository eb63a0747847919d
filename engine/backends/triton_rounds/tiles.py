"""The tiles in which a network is computed, and the networks that are small enough for it.

A program of a kernel holds the weights of one bead, the values of some samples and the sums of the
gradient in its registers.
"""

from __future__ import annotations

from itertools import pairwise

from engine.backends.fused.kernels import arrays
from engine.backends.fused.layout import Layout
from engine.backends.triton_rounds.arrays import Net

#: The weights, padded, up to which each thread keeps the gradient of its own samples in registers.
#: With more, layers are products of matrices.
NARROW = 96
#: The weights, padded, up to which threads have registers left for two samples each.
TWO_SAMPLES = 32
#: The smallest width of a matrix of which Triton takes products.
LEAST = 16
#: The weights, padded, up to which the matrices of all layers fit the registers of a block.
MOST = 4096
#: The fewest and the most samples that a narrow network is computed for at a time, and their number
#: for one of products of matrices.
FEW, MANY, TOGETHER = 32, 512, 64
#: The threads of a warp, and the warps of a block for products of matrices.
WARP, WARPS = 32, 8


def fits(layout: Layout) -> bool:
    """Returns whether a network is small enough for one block of threads."""
    return padded(layout.sizes, LEAST) <= MOST or padded(layout.sizes) <= NARROW


def padded(sizes: tuple[int, ...], least: int = 1) -> int:
    """Returns the number of weights in tiles of at least `least` units."""
    tiles = [power(size, least) for size in sizes]
    return sum(o * i for i, o in pairwise(tiles))


def power(size: int, least: int = 1) -> int:
    """Returns the smallest power of two that is at least `size` and at least `least`."""
    return max(least, 1 << (size - 1).bit_length())


def net_of(layout: Layout, samples: int) -> Net:
    """Returns a network as kernels take it, for steps that see so many samples."""
    weights = padded(layout.sizes)
    wide = weights > NARROW
    block = TOGETHER if wide else min(power(samples, FEW), MANY)
    return Net(
        sizes=layout.sizes,
        tiles=tuple(power(size, LEAST if wide else 1) for size in layout.sizes),
        wide=wide,
        bias=layout.bias,
        activation=arrays.ACTIVATIONS[layout.activation],
        output=arrays.ACTIVATIONS[layout.output_activation],
        loss=arrays.LOSSES[layout.loss],
        block=block,
    )


def warps_of(net: Net) -> int:
    """Returns the number of warps of a block that computes a network."""
    if net.wide:
        return WARPS
    each = 2 if padded(net.sizes) <= TWO_SAMPLES else 1
    return max(1, min(WARPS, net.block // (each * WARP)))
