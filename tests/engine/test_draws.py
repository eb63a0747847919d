"""Draws are those of SplitMix64, evenly spread, and independent between keys."""

from __future__ import annotations

import pytest
import torch

from engine.draws import mixed, uniform
from tests.support.torch_recipes import MASK, key_below, numbers_of


@pytest.mark.parametrize("key", [0, 1, 2**62 + 12345, -7])
def test_numbers_are_those_of_split_mix(key: int) -> None:
    assert uniform(torch.tensor(key), 9).tolist() == numbers_of(key, 9)


def test_the_first_number_of_seed_1234567_is_the_published_one() -> None:
    """6457827717110365317, of the reference implementation's own test."""
    assert uniform(torch.tensor(1234567), 1).item() == (6457827717110365317 >> 40) / 2**24


def test_mixed_keys_are_those_of_whole_numbers() -> None:
    found = mixed(torch.tensor(987654321), torch.tensor([41, 5]))
    assert [key & MASK for key in found.tolist()] == [
        key_below(987654321, counter) for counter in (41, 5)
    ]
    assert int(mixed(found[0], 2**40)) & MASK == key_below(987654321, 41, 2**40)


def test_numbers_are_evenly_spread_and_uncorrelated() -> None:
    keys = mixed(torch.arange(64)[:, None], torch.arange(32))  # (64, 32)
    drawn = uniform(keys, 64).double()
    counts = torch.histc(drawn, bins=100, min=0, max=1)
    expected = drawn.numel() / 100
    chi = ((counts - expected) ** 2 / expected).sum().item()
    assert 50 < chi < 160  # 99 degrees of freedom; three standard deviations are 42
    centred = drawn - 0.5
    most = 4 / (12 * drawn.numel() ** 0.5)  # four standard errors of a mean of products
    for axis in range(3):
        neighbours = (centred * centred.roll(1, axis)).mean()
        assert abs(neighbours.item()) < most
    assert len(set(keys.flatten().tolist())) == keys.numel()


def test_a_key_draws_the_same_in_any_company() -> None:
    keys = mixed(torch.tensor([3, 4, 5]), 9)
    together = uniform(keys, 5)
    under_vmap = torch.func.vmap(lambda key: uniform(key, 5))(keys)
    assert torch.equal(together, torch.stack([uniform(key, 5) for key in keys]))
    assert torch.equal(together, under_vmap)
