"""The axes of plots: their limits, the places of values between them, and their labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: The largest limit of an axis, so that the difference of two limits is finite.
LARGEST = 1e300


@dataclass(frozen=True)
class Axis:
    """The limits of an axis, or their common logarithms where `log`."""

    low: float
    high: float
    log: bool = False

    @classmethod
    def around(cls, values: Sequence[float], margin: float, log: bool = False) -> Axis:
        """Returns an axis that holds all values, with a share of their span on both sides.

        A margin does not reach below zero where no value does. Values that hardly differ
        get limits well around them.
        """
        if log:
            values = [math.log10(value) for value in values if value > 0]
        low = max(min(values), -LARGEST)
        high = min(max(values), LARGEST)
        size = max(abs(low), abs(high))
        if high - low <= 1e-5 * size or size < 1e-250:
            return cls(low - (size / 10 or 1.0), high + (size / 10 or 1.0), log)
        pad = margin * (high - low)
        return cls(low - pad if low < 0 or log else max(low - pad, 0.0), high + pad, log)

    def widened(self, span: float) -> Axis:
        """Returns an axis of that span, or of its own where that is wider, about its middle."""
        more = max(0.0, span - (self.high - self.low)) / 2
        return Axis(self.low - more, self.high + more, self.log)

    def share(self, value: float) -> float:
        """Returns the place of a value between the limits, from 0 to 1, clipped."""
        if self.log:
            value = math.log10(value) if value > 0 else self.low
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def value(self, share: float) -> float:
        """Returns the value at a place between the limits, from 0 to 1."""
        found = self.low + share * (self.high - self.low)
        return float(10.0**found) if self.log else found

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """Returns the shares and labels of about `count` round values within the limits."""
        if self.log and self.high - self.low >= 2:
            return self._decades(count)
        low, high = (10**self.low, 10**self.high) if self.log else (self.low, self.high)
        step = round_step((high - low) / count)
        multiples = range(math.ceil(low / step), math.floor(high / step) + 1)
        return [(self.share(k * step), in_digits(k * step, step)) for k in multiples]

    def _decades(self, count: int) -> list[tuple[float, str]]:
        """Returns the shares and labels of about `count` powers of ten within the limits."""
        span = self.high - self.low
        step = max(1, round(round_step(span / count)))
        powers = range(math.ceil(self.low / step) * step, math.floor(self.high) + 1, step)
        return [((power - self.low) / span, power_of_ten(power)) for power in powers]


def round_step(least: float) -> float:
    """Returns the smallest of 1, 2 and 5 times a power of ten that is at least `least`."""
    power: float = 10.0 ** math.floor(math.log10(least))
    return next((m * power for m in (1, 2, 5) if m * power >= least), 10 * power)


def in_digits(value: float, step: float) -> str:
    """Returns a value with as many digits as tell it from the next one, a step away."""
    exponent = math.floor(math.log10(step) + 1e-9)
    if value == 0:
        return "0"
    if exponent >= -4 and abs(value) < 1e6:
        return f"{value:.{max(0, -exponent)}f}"
    digits = max(0, math.floor(math.log10(abs(value))) - exponent)
    return short(f"{value:.{digits}e}")


def power_of_ten(exponent: int) -> str:
    """Returns ten to the exponent in digits."""
    if -4 <= exponent <= 4:
        return f"{10.0**exponent:.{max(0, -exponent)}f}"
    return f"1e{exponent}"


def short(scientific: str) -> str:
    """Returns a number in scientific notation without its idle zeros, such as 1e-5."""
    mantissa, _, exponent = scientific.partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}" if exponent else scientific
