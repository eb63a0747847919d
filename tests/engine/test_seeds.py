"""Random streams: what they depend on, and that they do not change from one release to the next."""

from __future__ import annotations

import itertools

import numpy as np

from engine.seeds import derive, generator, permutation


def test_a_stream_is_the_same_on_every_machine() -> None:
    """The first 8 bytes of BLAKE2b of "7/endpoint/2" as a little-endian number, less its last bit.

    Taken from `b2sum -l 64`.
    """
    assert derive(7, "endpoint", 2) == int.from_bytes(bytes.fromhex(DIGEST), "little") // 2


DIGEST = "8343624aa190fc63"


def test_every_part_of_the_path_counts() -> None:
    paths = [(), ("a",), ("b",), ("a", 1), ("a", 2), ("a", "b"), (1, "a")]
    found = {derive(seed, *path) for seed, path in itertools.product((0, 1, 7), paths)}
    assert len(found) == 3 * len(paths)
    assert all(0 <= seed < 2**63 for seed in found)


def test_streams_are_independent_of_each_other() -> None:
    drawn = np.stack([generator(3, "noise", n).standard_normal(2000) for n in range(6)])
    shared = np.corrcoef(drawn) - np.eye(6)
    assert np.abs(shared).max() < 0.1  # four and a half standard errors
    np.testing.assert_array_equal(generator(3, "noise", 4).standard_normal(2000), drawn[4])


def test_an_epoch_passes_through_all_samples_in_an_order_of_its_own() -> None:
    orders = [permutation(5, epoch, 23) for epoch in range(4)]
    for order in orders:
        assert sorted(order.tolist()) == list(range(23))
    assert len({tuple(order.tolist()) for order in orders}) == 4
