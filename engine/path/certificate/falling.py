"""The exponential function of numbers up to 0, in compiled code of proofs.

It computes e^x = 2^n·e^r with |r| ≤ ½ ln 2 from operations that loops can do on several numbers at
once, which calls of the platform's library cannot. docs/proof.md counts its error. Trained beads
use an exponential of their own, in whose code products and sums may round together. This module
needs numba.
"""

from __future__ import annotations

from math import factorial, log

import numpy as np

from engine.path.certificate.jit import inner

#: Below it, the value at it is returned, 10⁻³⁰⁴, so that no power of two is too small.
LEAST = -700.0

INVERSE = 1 / log(2)
#: The first 32 bits of ln 2, of which the product with n is exact, and the rest of it.
COARSE = int(log(2) * 2**32) / 2**32
FINE = log(2) - COARSE + 2.3190468138462996e-17
#: Adding this and taking it away rounds to a whole number, which is then in the lowest bits.
SHIFT = 1.5 * 2.0**52
ORIGIN = np.float64(SHIFT).view(np.int64)
BIAS, BITS = np.int64(1023), np.int64(52)

C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13 = (1 / factorial(n) for n in range(2, 14))


@inner
def falling(x: float) -> float:
    """Returns e^x for x ≤ 0, right to 4 units of `EPSILON` where x ≥ `LEAST`; NaN for NaN."""
    x = LEAST if x < LEAST else x
    shifted = x * INVERSE + SHIFT
    n = shifted - SHIFT
    r = (x - n * COARSE) - n * FINE
    p = C13 * r + C12
    p = p * r + C11
    p = p * r + C10
    p = p * r + C9
    p = p * r + C8
    p = p * r + C7
    p = p * r + C6
    p = p * r + C5
    p = p * r + C4
    p = p * r + C3
    p = p * r + C2
    power = np.int64(np.float64(shifted).view(np.int64) - ORIGIN)
    scale = np.int64(np.int64(power + BIAS) << BITS).view(np.float64)
    return float((1 + (r + r * r * p)) * scale)
