"""Fewer beads on the same string: those go whose neighbours connect directly."""

from __future__ import annotations

from engine.path.chain import Chain
from engine.path.segments import Pair


def prune(chain: Chain, bound: float, least: int = 0) -> int:
    """Takes out inner beads between whose neighbours the loss is `bound` at most.

    Every other bead is tried at a time, so that no two neighbours go at once, until none goes any
    more. At least `least` inner beads stay. Returns how many have gone; the segments that take
    their place are measured.
    """
    gone = 0
    while True:
        now = sum(_prune_every_other(chain, bound, least, parity) for parity in (0, 1))
        if not now:
            return gone
        gone += now


def _prune_every_other(chain: Chain, bound: float, least: int, parity: int) -> int:
    """Tries every other inner bead, and returns how many have gone.

    Most of those that are needed are told by few points.
    """
    room = max(0, len(chain.order) - 2 - least)
    beads = chain.order[1:-1][parity::2] if room else []
    pairs = [_around(chain, bead) for bead in beads]
    low = [seen.losses.max() <= bound for seen in chain.seen_of(pairs)]
    beads = [bead for bead, holds in zip(beads, low, strict=True) if holds]
    found = chain.profiles_of([_around(chain, bead) for bead in beads], bound)
    gone = [each for each in zip(beads, found, strict=True) if each[1].peak <= bound][:room]
    chain.enter({chain.drop(bead): measured for bead, measured in gone})
    return len(gone)


def _around(chain: Chain, bead: int) -> Pair:
    """Returns the weights of a bead's neighbours."""
    left, right = chain.neighbours(bead)
    return chain.weights[left], chain.weights[right]
