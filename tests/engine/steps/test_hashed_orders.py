"""Hashed orders: permutations, of any size, that look random, and streams made of them."""

from __future__ import annotations

import math

import pytest
import torch

from engine.steps.hashed_orders import permuted, sample_numbers, sides_of


@pytest.mark.parametrize("samples", [1, 2, 3, 7, 10, 97, 1437, 4999, 60013])
def test_every_key_gives_a_permutation(samples: int) -> None:
    for key in (0, 1, -5, 2**62):
        order = permuted(torch.tensor(key), torch.arange(samples), samples)
        assert sorted(order.tolist()) == list(range(samples))
    one, other = (permuted(torch.tensor(key), torch.arange(97), 97) for key in (8, 9))
    assert not torch.equal(one, other)


def test_few_places_are_beyond_the_samples() -> None:
    for samples in range(1, 3000):
        rows, columns = sides_of(samples)
        assert samples <= rows * columns <= samples + 30
        assert samples < 9 or min(rows, columns) >= math.isqrt(samples) // 2


@pytest.mark.parametrize("samples", [4, 16, 50])
def test_places_and_pairs_of_places_are_uniform(samples: int) -> None:
    """By χ² over many keys: where each sample goes, and where two neighbours go together."""
    keys = 20_000
    orders = permuted(torch.arange(keys)[:, None] * 7 + 3, torch.arange(samples), samples)
    single = torch.stack([orders[:, n].bincount(minlength=samples) for n in range(samples)])
    expected = keys / samples
    assert _excess(float(((single - expected) ** 2 / expected).sum()), (samples - 1) ** 2) < 5
    pairs = (orders[:, 0] * samples + orders[:, 1]).bincount(minlength=samples**2)
    pairs = pairs[~torch.eye(samples, dtype=torch.bool).flatten()]
    expected = keys / len(pairs)
    assert _excess(float(((pairs - expected) ** 2 / expected).sum()), len(pairs) - 1) < 5


def _excess(chi: float, freedom: int) -> float:
    """By how many standard deviations χ² exceeds its mean."""
    return (chi - freedom) / math.sqrt(2 * freedom)


def test_a_stream_passes_through_all_samples_again_and_again() -> None:
    seeds, first = torch.tensor([9, 9, 8]), torch.tensor([0, 7, 0])
    stream, later, other = sample_numbers(seeds, first, 30, samples=10, shown=10).tolist()
    for epoch in range(3):
        assert sorted(stream[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert stream[:10] != stream[10:20]
    assert stream[7:] == later[:23]
    assert stream != other
    shown = sample_numbers(seeds[:1], first[:1], 27, samples=10, shown=9)[0].tolist()
    assert [len(set(shown[start : start + 9])) for start in (0, 9, 18)] == [9, 9, 9]
    assert shown[:9] == stream[:9] and shown[9:18] == stream[10:19]
