"""Strings whose beads train together: what ties them, and where their ends rest."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.methods.constrained import ConstrainedSearch
from engine.path.chain import Chain
from engine.problem.problem import Problem
from engine.record.events import (
    FIRST,
    LAST,
    Outcome,
)
from engine.spec.yaml_file import parse
from engine.workers.pool import Pool
from tests.support.landscapes import goal, landscape, ring, spec_for
from tests.support.more import more
from tests.support.searches import method_for, run
from tests.support.strings import string_spec
from tests.support.workers import vmapped


def bent(seed: int, beads: int = 9) -> Tensor:
    """Beads beside half the ring, at random places in four directions that cost nothing."""
    generator = torch.Generator().manual_seed(seed)
    first, span = torch.rand(2, generator=generator)
    angle = 6.28 * first + torch.linspace(0, 1, beads) * (1.5 + 1.5 * span)
    radius = torch.full((beads,), 1.5)
    radius[[0, -1]] = 1
    free = 0.3 * torch.randn(beads, 4, generator=generator)
    return torch.cat([(radius * torch.stack([angle.cos(), angle.sin()])).T, free], dim=1)


def length_with_springs(problem: Problem, seed: int, zeta: float, hyperplane: str) -> float:
    """Of a crooked string that is lowered between ends that stay.

    Strings that begin straight are nearly as short as they can be, so springs show little there.
    """
    spec = string_spec(0.05, seed, zeta=zeta, hyperplane=hyperplane)
    with Pool(vmapped(problem), [torch.device("cpu")]) as pool:
        chain = Chain(pool, goal(0.05), 5)
        beads = bent(seed)
        order = [FIRST, *range(3, len(beads) + 1), LAST]
        chain.begin([(bead, theta, 0) for bead, theta in zip(order, beads, strict=True)])
        chain.measure(chain.keys)
        search = ConstrainedSearch(spec, chain)
        search.begin()
        for _ in range(2000):
            if search.done:
                break
            search.step(None)
        assert search.done
        assert search.stuck is None
        return chain.shape().normalized_length


@pytest.mark.parametrize("hyperplane", ["hard", more("off")])
def test_springs_shorten_the_string(hyperplane: str) -> None:
    problem = landscape(lambda w: ring(w[:2]), 6)
    falls = 0
    for seed in range(8):
        lengths = [length_with_springs(problem, seed, zeta, hyperplane) for zeta in (0, 0.1, 0.3)]
        falls += lengths[0] > lengths[1] > lengths[2]
    assert falls >= 7


@pytest.mark.parametrize("share", [None, 0.5, 1.0])
def test_ends_rest_at_their_own_share_of_the_level(share: float | None) -> None:
    """Small steps, so that they stop just below it; the others go on to the search's share."""
    level, alpha = 0.02, 0.8
    tree = spec_for(level, seed=4).model_dump(mode="json")
    tree["endpoints"]["alpha"] = share
    tree["search"] |= {"method": "constrained", "alpha": alpha}
    small = {"optimizer": {"kind": "sgd", "lr": 1e-3}, "check_every": 1, "max_steps": 10**6}
    tree["search"]["constrained"] |= small | {"patience": 10**4, "hyperplane": "off"}
    with method_for(landscape(ring), parse(tree)) as method:
        run(method)
        assert method.verdict is not None and method.verdict.outcome is Outcome.CONNECTED
        first, *inner, last = method.string().losses.tolist()
        own = alpha if share is None else share
        for loss in (first, last):
            assert 0.9 * own * level <= loss <= own * level
        assert not inner or max(inner) <= alpha * level * (1 + 1e-6)
