"""The tiles of networks, and which networks are small enough."""

from __future__ import annotations

import pytest

from engine.backends.fused.layout import Layout
from engine.backends.triton_rounds.tiles import fits, net_of, padded, power, warps_of


def layout(*sizes: int) -> Layout:
    return Layout(sizes, True, "relu", "tanh", "cross_entropy")


@pytest.mark.parametrize(
    ("size", "least", "expected"), [(1, 1, 1), (3, 1, 4), (4, 1, 4), (5, 16, 16), (33, 16, 64)]
)
def test_widths_are_powers_of_two(size: int, least: int, expected: int) -> None:
    assert power(size, least) == expected


def test_padded_weights_are_counted_layer_by_layer() -> None:
    assert padded((1, 4, 3, 1)) == 4 + 16 + 4
    assert padded((5, 17, 3), 16) == 16 * 32 + 32 * 16


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((1, 4, 4, 1), True),
        ((64, 32, 10), True),
        ((64, 64), True),
        ((64, 65), False),
        ((784, 10), False),
        ((2, *(40 * [1]), 2), True),  # many layers, each a number: narrow
    ],
)
def test_small_networks_fit(sizes: tuple[int, ...], expected: bool) -> None:
    assert fits(layout(*sizes)) is expected


@pytest.mark.parametrize(
    ("sizes", "samples", "wide", "tiles", "block", "warps"),
    [
        ((1, 4, 3, 1), 3, False, (1, 4, 4, 1), 32, 1),
        ((1, 4, 3, 1), 200, False, (1, 4, 4, 1), 256, 4),
        ((1, 4, 3, 1), 10_000, False, (1, 4, 4, 1), 512, 8),
        ((2, 8, 8, 2), 256, False, (2, 8, 8, 2), 256, 8),
        ((6, 8, 8, 3), 64, True, (16, 16, 16, 16), 64, 8),
        ((64, 32, 10), 1437, True, (64, 32, 16), 64, 8),
    ],
)
def test_a_network_has_its_tiles(
    sizes: tuple[int, ...],
    samples: int,
    wide: bool,
    tiles: tuple[int, ...],
    block: int,
    warps: int,
) -> None:
    net = net_of(layout(*sizes), samples)
    assert (net.sizes, net.wide, net.tiles, net.block) == (sizes, wide, tiles, block)
    assert (net.activation, net.output, net.loss) == (1, 3, 2)
    assert warps_of(net) == warps
