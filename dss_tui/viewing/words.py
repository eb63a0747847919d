"""Puts numbers into words for people."""

from __future__ import annotations

import math
from collections.abc import Iterable

from engine.record.sweep_tables import Statistic
from engine.spec.level import multiple


def age(seconds: float) -> str:
    """Returns an age in its largest unit, such as 12 s, 5 min, 3 h or 2 d."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def clock(seconds: float) -> str:
    """Returns a time in the form h:mm:ss."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def short_clock(seconds: float) -> str:
    """Returns a time in the form m:ss, or h:mm:ss from an hour on."""
    return clock(seconds) if seconds >= 3600 else clock(seconds)[2:].removeprefix("0")


def bytes_of(count: int) -> str:
    """Returns a number of bytes in B, KiB, MiB or GiB."""
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def thousands(count: int) -> str:
    """Returns a whole number with its thousands apart, such as 61 204."""
    return f"{count:,}".replace(",", " ")


def peak_of(peak_over_level: float | None, tolerance: float) -> str:
    """Returns a multiple of the level, such as 1.031, or 1.031 (tolerance 0.05) with a tolerance.

    Returns a dash for None.
    """
    if peak_over_level is None:
        return "–"
    return multiple(peak_over_level, 3) + (f" (tolerance {tolerance:g})" if tolerance else "")


def short_count(number: float) -> str:
    """Returns a number of samples in three digits, such as 54.3 k or 1.21 M; a dash for a NaN."""
    if math.isnan(number):
        return "–"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= 0.9995 * size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"


def rounded(number: float, digits: int) -> str:
    """Returns a number in so many significant digits, or a dash for a NaN."""
    return "–" if math.isnan(number) else f"{number:.{digits}g}"


def plus_minus(statistic: Statistic, digits: int) -> str:
    """Returns a mean with its standard error in so many decimals, as far as they are known.

    An error that would read as none is said to be below the last decimal: 1.002 ± <0.001.
    """
    if math.isnan(statistic.mean):
        return "–"
    told, error = f"{statistic.mean:.{digits}f}", statistic.standard_error
    if math.isnan(error):
        return told
    least = 10.0**-digits
    return f"{told} ± {f'<{least:.{digits}f}' if 0 < error < least / 2 else f'{error:.{digits}f}'}"


def flowed(parts: Iterable[str], width: int, between: str = "   ") -> list[str]:
    """Returns parts joined into lines of at most `width` columns. No part goes over two lines."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(between) + len(part) <= width:
            lines[-1] += between + part
        else:
            lines.append(part)
    return lines


def told_in(sentence: str, width: int, lines: int | None) -> list[str]:
    """Returns a sentence in lines of at most `width` columns, and in at most `lines` where given.

    An ellipsis stands for the words that find no room.
    """
    whole = flowed(sentence.split(), width, " ")
    if lines is None or len(whole) <= lines:
        return whole
    if lines < 1:
        return []
    last = whole[lines - 1].split()
    while last and len(" ".join(last)) + 2 > width:
        last.pop()
    return [*whole[: lines - 1], " ".join([*last, "…"])]
