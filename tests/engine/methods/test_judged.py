"""The judgement of ends that are taken as they are."""

from __future__ import annotations

import math

import torch

from engine.methods.judged import above_the_level, judged, trained_to
from engine.record.events import Outcome
from engine.spec.goal import Goal
from engine.steps.groups import Row
from engine.steps.rows import End
from tests.support.landscapes import landscape, ring, spec_for
from tests.support.searches import method_for


def test_ends_are_measured_with_all_samples() -> None:
    points = [torch.tensor([0.6, 0.0]), torch.tensor([0.0, 1.2])]
    with method_for(landscape(ring), spec_for(0.3)) as search:
        found = judged(search.chain.pool, points)
    torch.testing.assert_close(torch.tensor(found), torch.tensor([0.4096, 0.1936]))


def test_a_bead_that_comes_no_lower_is_taken_where_that_is_enough() -> None:
    """(|w|² − 1)² is 0.4096 at (0.6, 0): between a target of 0.3 and what is enough."""
    theta = torch.tensor([0.6, 0.0])
    with method_for(landscape(ring), spec_for(0.3)) as search:
        chain = search.chain
        for enough, taken in ((-math.inf, False), (0.4, False), (0.42, True)):
            chain.goal = Goal(0.5, 0.3, math.inf, enough=enough)
            for end in (End.STUCK, End.OUT_OF_STEPS):
                row = Row(3, theta, 0.1, 7, end)  # a loss that was cut short
                assert (trained_to(chain, row) is not None) == taken
            assert trained_to(chain, Row(3, theta, math.nan, 7, End.DIVERGED)) is None
            assert trained_to(chain, Row(3, theta, 0.25, 7, End.REACHED)) == 0.25


def test_only_what_is_above_the_bound_is_named() -> None:
    with method_for(landscape(ring), spec_for(0.3)) as search:
        assert above_the_level(search.spec, search.chain, {"one": 0.3, "two": 0.1}) is None
        verdict = above_the_level(search.spec, search.chain, {"one": 0.31, "two": 0.1})
        assert verdict is not None and verdict.outcome is Outcome.ENDPOINT_NOT_TRAINED
        assert "one has training loss 0.31; train it" in verdict.sentence
        assert above_the_level(search.spec, search.chain, {"one": float("nan")}) is not None
