"""Fewer beads on the same string: those go whose neighbours connect directly."""

from __future__ import annotations

from engine.path.chain import Chain


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
    beads = chain.order[1:-1][parity::2]
    pairs = [chain.neighbours(bead) for bead in beads]
    found = chain.profiles_of(
        [(chain.weights[left], chain.weights[right]) for left, right in pairs], bound
    )
    gone = [bead for bead, along in zip(beads, found, strict=True) if along.peak <= bound]
    gone = gone[: max(0, len(chain.order) - 2 - least)]
    for bead in gone:
        chain.drop(bead)
    chain.measure(chain.unmeasured)
    return len(gone)
