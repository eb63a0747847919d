"""The string of a chain as a string file holds it: beads, losses, profiles and proven cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.path.chain import Chain
from engine.path.segments import Floats, Measured
from engine.path.snapshot import Key, Snapshot
from engine.record.geometry import BeadString, stacked
from engine.shapes import Weights


def string_products(chain: Chain) -> int:
    """Returns the number of multiplications that `string_of` costs now, without refining peaks."""
    points = len(chain.unmeasured) * len(chain.grid)
    return points * chain.problem.objective_samples * chain.problem.cost.products


def string_of(chain: Chain, known: Mapping[Key, Measured]) -> BeadString:
    """Returns the string of a chain as it is, with the profiles that are known of its segments.

    Where segments are not measured yet, they are measured for it, but the chain keeps nothing of
    that. The others then have the profiles of the search.
    """
    pairs = {key: (chain.weights[key[0]], chain.weights[key[1]]) for key in chain.unmeasured}
    found = chain.profiles_of(list(pairs.values()), chain.bound, chain.pool.unmetered)
    fresh = dict(zip(pairs, found, strict=True))
    if fresh:
        known = fresh
    profiles = [known.get(key) or chain.segments[key].measured.on(chain.grid) for key in chain.keys]
    return _bead_string([chain.weights[bead] for bead in chain.order], profiles, _cells(chain))


def string_of_snapshot(kept: Snapshot, grid: Floats) -> BeadString:
    """Returns an earlier string of a chain, with its profiles on the search's grid."""
    profiles = [kept.segments[key].measured.on(grid) for key in pairwise(kept.order)]
    return _bead_string([kept.weights[bead] for bead in kept.order], profiles, None)


def _cells(chain: Chain) -> NDArray[np.float64] | None:
    """Returns the proven cells (cell, 4) of the segments that are proven as a whole."""
    proofs = [
        (number, chain.segments[key].proof)
        for number, key in enumerate(chain.keys)
        if key in chain.segments and key not in chain.stale
    ]
    rows = [
        (number, cell.u, cell.v, cell.bound)
        for number, proof in proofs
        if proof is not None and proof.proven
        for cell in proof.cells
    ]
    return np.array(rows, dtype=np.float64) if rows else None


def _bead_string(
    weights: Sequence[Weights], profiles: Sequence[Measured], cells: NDArray[np.float64] | None
) -> BeadString:
    """Returns a string of beads (param,) with the profiles of its segments and its proven cells."""
    losses = [profile.losses[0] for profile in profiles] + [profiles[-1].losses[-1]]
    return BeadString(
        beads=stacked([theta.cpu().numpy() for theta in weights]),
        losses=np.array(losses),
        t=profiles[0].t,
        profiles=np.stack([profile.losses for profile in profiles]),
        cells=cells,
    )
