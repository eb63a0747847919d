"""Weights of a few beads at a time, so that what is computed of them on the way fits memory."""

from __future__ import annotations

from engine.shapes import Beads

#: The bytes of beads that are worked on at once in main memory, and on a GPU. What is computed on
#: the way takes several times as many, which would be several strings if all beads of a large
#: network went together.
PIECE, GPU_PIECE = 2**24, 2**30


def pieces(theta: Beads, first: int, last: int) -> list[slice]:
    """Returns the rows from `first` to before `last` as slices that are worked on at once."""
    at_once = beads_at_once(theta)
    return [slice(row, min(row + at_once, last)) for row in range(first, last, at_once)]


def beads_at_once(theta: Beads) -> int:
    """Returns the number of rows of weights (bead, param) that are worked on at once."""
    room = PIECE if theta.device.type == "cpu" else GPU_PIECE
    return max(1, room // max(1, theta[0].nbytes))


def moved(rows: slice, by: int) -> slice:
    """Returns the slice of the rows that lie `by` places after those of a slice."""
    return slice(rows.start + by, rows.stop + by)
