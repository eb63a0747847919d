"""What viewers are shown of a chain."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.path.chain import Chain
from engine.path.chain_view import SECONDARY_POINTS, ChainView, Work
from engine.path.snapshot import MethodProgress
from engine.record.events import FIRST, LAST
from tests.support.chains import ENDS, LEVEL, POINTS, chain_of, measured

SEARCH = Work("search", LEVEL, 0)


def seen(chain: Chain, work: Work = SEARCH) -> MethodProgress:
    """What is shown while nothing is audited."""
    return ChainView(chain).progress(work, {})


def test_a_board_shows_the_string() -> None:
    chain = measured(ENDS[0], [0.5, 0.0], ENDS[1])
    chain.depths[3] = 1
    now = seen(chain, Work("search", 0.25, 7, losses={3: 0.125}))
    assert (now.phase, now.aim, now.bead_steps) == ("search", 0.25, 7)
    assert (now.beads, now.order, now.beads_per_depth) == (3, (FIRST, 3, LAST), (2, 1))
    assert now.losses == pytest.approx((0.3, 0.125, 1.0))  # the fresher loss counts
    assert [segment.state for segment in now.segments] == ["closed", "open"]
    assert now.max_peak == pytest.approx(1.0)
    straight = math.hypot(3.0, 0.4)
    bent = math.hypot(1.5, 0.2) + math.hypot(1.5, 0.6)
    assert now.normalized_length == pytest.approx(bent / straight)


def test_a_board_before_anything_is_measured_has_no_order() -> None:
    chain = chain_of(ENDS[0], [0.5, 0.0], ENDS[1])
    now = seen(chain, Work("endpoints", LEVEL, 0))
    assert (now.beads, now.order, now.losses, now.segments) == (3, (), (), ())
    assert math.isnan(now.max_peak)


def test_a_board_names_a_bead_only_while_it_trains() -> None:
    chain = measured(*ENDS)
    segment = replace(chain.in_order()[0], bead=9, state="training")
    chain.update(segment)
    assert seen(chain).segments[0].bead == 9
    chain.update(replace(segment, state="failed"))
    assert seen(chain).segments[0].bead is None


def test_audited_profiles_are_shown_where_every_segment_has_one() -> None:
    chain = measured(ENDS[0], [0.5, 0.0], ENDS[1])
    fine = {
        key: replace(chain.segments[key].measured, losses=np.full(POINTS, 0.5 + n), peak=0.5 + n)
        for n, key in enumerate(chain.keys)
    }
    view, work = ChainView(chain), Work("audit", LEVEL, 0)
    first = {chain.keys[0]: fine[chain.keys[0]]}
    assert view.progress(work, first).max_peak == pytest.approx(1.0)
    assert view.progress(work, fine).max_peak == 1.5
    assert view.profiles(fine) == fine


def test_the_metric_beside_is_measured_once_for_beads_that_stay() -> None:
    chain = measured(ENDS[0], [0.5, 0.0], ENDS[1])
    view = ChainView(chain)
    first = view.secondary()
    assert [values.shape for values in first] == 2 * [(SECONDARY_POINTS,)]
    chain.move([(LAST, torch.tensor([1.0, 0.5]))])
    then = view.secondary()
    assert then[0] is first[0]
    assert then[1] is not first[1] and (then[1] != first[1]).any()


def test_of_large_networks_some_segments_are_measured_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.path.chain_view.SECONDARY_PRODUCTS", 0)
    view = ChainView(measured(ENDS[0], [0.5, 0.0], ENDS[1]))
    sizes = [[len(values) for values in view.secondary()] for _ in range(3)]
    whole = SECONDARY_POINTS
    assert sizes == [[whole, 0], [whole, whole], [whole, whole]]
