"""Random numbers as a function of keys and counters alone, for draws within training steps.

A key is an int64 number. Whole tensors of keys are mixed and drawn from at once, in operations that
torch batches and that give the same bits on every device. Nothing is kept between two draws, so
whoever knows the keys can repeat each of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: The steps and the multipliers of SplitMix64 (Steele, Lea & Flood 2014), as int64.
_GOLDEN = 0x9E3779B97F4A7C15 - 2**64
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64
#: The number of random bits of a uniform number. Float32 holds them without rounding.
BITS = 24


def mixed(keys: Tensor, counters: Tensor | int) -> Tensor:
    """Returns new keys from keys and counters, which broadcast. All are int64.

    Keys of different counters, or counters under different keys, have nothing to do with each
    other.
    """
    if isinstance(counters, int):
        return _scrambled(_scrambled(keys) + _wrapped(_GOLDEN * (counters + 1)))
    return _scrambled(_scrambled(keys) + _GOLDEN * (counters + 1))


def whole(keys: Tensor, counters: Tensor) -> Tensor:
    """Returns int64 numbers from 0 to 2³¹ − 1 for keys and their counters, which broadcast."""
    return _shifted(_scrambled_in_place(keys + _GOLDEN * (counters + 1)), 33)


def uniform(keys: Tensor, count: int) -> Tensor:
    """Returns `count` numbers in [0, 1) for each key, (…, count) float32."""
    counters = torch.arange(1, count + 1, device=keys.device)
    bits = _shifted(_scrambled_in_place(keys[..., None] + _GOLDEN * counters), 64 - BITS)
    return bits.float().mul_(2.0**-BITS)


def _wrapped(number: int) -> int:
    """Returns a whole number as int64 holds it, by its lowest 64 bits."""
    return (number + 2**63) % 2**64 - 2**63


def _scrambled(z: Tensor) -> Tensor:
    """Returns the finalizer of SplitMix64 of each number: each bit depends on all of its bits."""
    return _scrambled_in_place(z.clone())


def _scrambled_in_place(z: Tensor) -> Tensor:
    """Returns what `_scrambled` does, in the memory of z, because masks may be large."""
    z.bitwise_xor_(_shifted(z, 30)).mul_(_FIRST)
    z.bitwise_xor_(_shifted(z, 27)).mul_(_SECOND)
    return z.bitwise_xor_(_shifted(z, 31))


def _shifted(z: Tensor, bits: int) -> Tensor:
    """Returns numbers of 64 bits moved to the right, with zeros coming in at the left."""
    return (z >> bits).bitwise_and_((1 << (64 - bits)) - 1)
