"""Beads without which a string stays below a bound are taken out of it, and no others."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.path.chain import Chain
from engine.path.pruning import prune
from engine.record.events import FIRST, LAST
from tests.support.landscapes import goal, landscape
from tests.support.workers import Here, vmapped


def round_hill(w: Tensor) -> Tensor:
    """A hill of height 1 around the origin, of which hardly anything is left two units away."""
    return torch.exp(-2 * w.square().sum())


def string(*beads: list[float]) -> Chain:
    """The measured string 1 — 3 — 4 … — 2 through these points."""
    chain = Chain(Here(vmapped(landscape(round_hill))), goal(0.5), 33)
    ids = [FIRST, *range(LAST + 1, LAST + len(beads) - 1), LAST]
    chain.begin([(bead, torch.tensor(at), 0) for bead, at in zip(ids, beads, strict=True)])
    chain.measure(chain.keys)
    return chain


#: Half-way around the hill at a distance of 2: no chord of a quarter of the circle passes nearer
#: than √2, where the hill's height is exp(−4), and the diameter leads over its top.
AROUND = [[-2.0, 0.0], [-1.4, 1.4], [0.0, 2.0], [1.4, 1.4], [2.0, 0.0]]


def test_what_the_bound_needs_stays() -> None:
    chain = string(*AROUND)
    assert prune(chain, 0.02) == 2
    assert chain.order == [FIRST, 4, LAST]
    assert not chain.unmeasured
    assert max(segment.measured.peak for segment in chain.in_order()) <= 0.02


def test_without_a_hill_in_the_way_no_inner_bead_stays() -> None:
    chain = string(*AROUND)
    assert prune(chain, 1.0) == 3
    assert chain.order == [FIRST, LAST]


@pytest.mark.parametrize("least", [0, 1, 2, 3])
def test_a_number_of_inner_beads_can_be_kept(least: int) -> None:
    chain = string(*AROUND)
    prune(chain, 1.0, least)
    assert len(chain.order) == 2 + least


def test_a_string_that_needs_every_bead_is_left_alone() -> None:
    chain = string([-2.0, 0.0], [0.0, 2.0], [2.0, 0.0])
    before = chain.snapshot()
    assert prune(chain, 0.02) == 0
    assert chain.order == list(before.order)
    assert all(chain.segments[key] is before.segments[key] for key in chain.keys)
