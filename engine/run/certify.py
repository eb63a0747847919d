"""The proof of a string file by somebody who trusts nothing in it but its weights.

Data and network are made anew from the file's description. The values at the beads, by the formula
that is proven, must be those that the file states, so that a network or data read wrongly are
noticed before anything is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from engine.errors import InputError
from engine.path.certificate.network import Provable
from engine.path.certificate.proof import Proof
from engine.path.certificate.proving import (
    Prove,
    Timed,
    allowed,
    disagreement,
    provable_or_why,
    proven,
)
from engine.path.segments import measure, search_grid
from engine.record.string_file import StringFile
from engine.run.mirror import Report
from engine.run.telling import Telling
from engine.run.verify import check_level, measuring, mirrored, problem_of
from engine.shapes import Weights
from engine.spec.level import bound
from engine.told import Told, untold
from engine.workers.pool import Pool

#: Points of a segment on which its peak is sampled first.
POINTS = 33
#: How far above a value that is reached the smallest provable peak is looked for first.
CLOSE = 1e-4
#: Tries with a distance ten times as large each.
TRIES = 4


@dataclass(frozen=True)
class Certificate:
    """What is proven of the path in a string file."""

    level: float
    """What the objective is to be proven not to exceed: (1 + tolerance) × the file's level, or the
    level that was asked for."""
    objective: str
    """The objective in words, such as "training loss"."""
    beads: tuple[int, ...]
    """The ids of the beads from end to end."""
    found: tuple[Timed, ...]
    """(bead−1,) What was found out about each segment."""
    disagreement: float
    """How far the values at the beads are from the file's, relative to them and to the level."""
    allowed: float
    """Up to which disagreement the file counts as read rightly."""
    mirror: Report | None
    """What plain torch makes of the path where its network, data or loss is a user's own."""

    @property
    def proofs(self) -> tuple[Proof, ...]:
        """The segments' proofs, without times."""
        return tuple(each.proof for each in self.found)

    @property
    def agrees(self) -> bool:
        """Whether the values at the beads are those that the file states."""
        return self.disagreement <= self.allowed and (self.mirror is None or self.mirror.agrees)

    @property
    def certified(self) -> bool | None:
        """True where all is proven, False where a point above the level is known, else None."""
        if any(proof.refuted_at is not None for proof in self.proofs):
            return False
        return True if self.agrees and all(proof.proven for proof in self.proofs) else None

    @property
    def bound(self) -> float:
        """What the objective is proven not to exceed anywhere; infinite where not all is proven."""
        return max(proof.bound for proof in self.proofs)


def certify(
    file: StringFile,
    *,
    level: float | None = None,
    straight: bool = False,
    run_factories: bool = False,
    told: Told = untold,
) -> Certificate:
    """Proves from weights and data alone that a file's path stays at or below a level.

    The level is the file's own unless one is given, and infinity asks for the smallest that can be
    proven, to one part in ten thousand where it comes to that. With `straight`, the path is the
    straight line between the file's two ends. `told` is called with the share of the segments whose
    proof, at the level that is tried, has ended. Raises InputError where there is no proof for the
    network, and as `verify` does.
    """
    check_level(file)
    problem = problem_of(file, run_factories=run_factories)
    net = provable_or_why(problem)
    if isinstance(net, str):
        raise InputError(
            f"there is no proof for this network ({net}); measure it without --certify",
            key="dss.problem.network",
        )
    header = file.header
    places = [0, len(file.string.beads) - 1] if straight else list(range(len(file.string.beads)))
    beads = [torch.from_numpy(file.string.beads[place]) for place in places]
    wanted = bound(header.level, header.tolerance) if level is None else level
    with measuring(header.problem, problem) as pool:
        if wanted == np.inf:
            wanted, found = lowest(pool, net, beads, told=told)
        else:
            found = _proven(pool, net, beads, wanted, told)
    ids = header.bead_ids or tuple(range(1, len(file.string.beads) + 1))
    string = file.string
    return Certificate(
        level=wanted,
        objective=header.level_on.words,
        beads=tuple(ids[place] for place in places),
        found=tuple(found),
        disagreement=max(
            disagreement(each.proof.ends, stated, header.level)
            for each, stated in zip(found, pairwise(string.losses[places].tolist()), strict=True)
        ),
        allowed=allowed(net, header.level),
        mirror=mirrored(file, problem, string.losses, string.profiles),
    )


def _proven(
    pool: Pool,
    net: Provable,
    beads: list[Weights],
    level: float,
    told: Told,
) -> list[Timed]:
    task, pairs = Prove(net, level), list(pairwise(beads))
    telling = Telling(pool, sum(map(task.size, pairs)), told, (Prove,), per_part=0)
    return proven(telling, task, pairs)


def lowest(
    pool: Pool,
    net: Provable,
    beads: list[Weights],
    told: Told = untold,
) -> tuple[float, list[Timed]]:
    """Returns the smallest level that is proven of the segments between beads, and its proofs.

    It begins a little above the highest value measured. A level below the true peak is refuted by
    a higher value, from which it goes on; one that stays undecided is tried farther above. Where
    none is proven, the last one tried is returned.
    """
    pairs, grid = list(pairwise(beads)), search_grid(POINTS)
    measured = measure(pool, pairs, grid, len(net.samples), dtype=torch.float64)
    reached, close, tries = max(segment.peak for segment in measured), CLOSE, 0
    while True:
        level = reached * (1 + close)
        found = _proven(pool, net, beads, level, told)
        higher = [each.proof.refuted_by for each in found if each.proof.refuted_by is not None]
        if higher:
            reached = max(higher)
            continue
        tries += 1
        if tries == TRIES or all(each.proof.proven for each in found):
            return level, found
        close *= 10
