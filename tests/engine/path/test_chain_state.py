"""A chain in a checkpoint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.path.chain import Chain
from engine.path.chain_state import resume, state_of
from engine.path.snapshot import Snapshot
from engine.record.events import LAST
from engine.record.unfit import Unfit
from tests.support.chains import ENDS, LEVEL, POINTS, measured
from tests.support.landscapes import goal, landscape
from tests.support.workers import Here, vmapped


def test_a_restored_chain_is_the_same() -> None:
    chain = measured(ENDS[0], [0.5, 0.0], [1.0, 0.1], ENDS[1])
    chain.move([(3, torch.tensor([0.5, 0.7])), (4, torch.tensor([1.0, 0.8]))])
    chain.measure([(3, 4)])
    chain.update(replace(chain.in_order()[2], bead=8, attempt=2, stalled=1, state="training"))
    chain.stale.add((4, LAST))
    again = Chain(chain.pool, goal(LEVEL), POINTS)
    resume(again, state_of(chain))
    assert again.order == chain.order
    assert again.depths == chain.depths
    assert again.known == chain.known
    assert again.unmeasured == chain.unmeasured
    assert again.trace == chain.trace
    assert again.new_bead() == chain.new_bead()
    for one, other in zip(chain.in_order(), again.in_order(), strict=True):
        assert replace(one, measured=other.measured) == other
        np.testing.assert_array_equal(one.measured.losses, other.measured.losses)
        assert (one.measured.peak, one.measured.t_star) == (
            other.measured.peak,
            other.measured.t_star,
        )
    for bead in chain.order:
        assert torch.equal(again.weights[bead], chain.weights[bead])
    kept, lowest = again.lowest, chain.lowest
    assert isinstance(kept, Snapshot) and lowest is not None
    assert kept.highest == lowest.highest
    assert kept.weights[3].tolist() == [0.5, 0.0]


def test_a_chain_of_another_problem_is_refused_and_nothing_of_it_is_taken() -> None:
    state = state_of(measured(*ENDS))
    wider = landscape(lambda w: w.square().sum(), 3)
    chain = Chain(Here(vmapped(wider)), goal(LEVEL), POINTS)
    with pytest.raises(Unfit, match=r"its beads are 2 numbers .* has 3 of"):
        resume(chain, state)
    assert chain.order == []
