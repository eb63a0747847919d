"""The judgement of ends that are taken as they are."""

from __future__ import annotations

import torch

from engine.methods.judged import above_the_level, judged
from engine.record.events import Outcome
from tests.support.landscapes import landscape, ring, spec_for
from tests.support.searches import method_for


def test_ends_are_measured_with_all_samples() -> None:
    points = [torch.tensor([0.6, 0.0]), torch.tensor([0.0, 1.2])]
    with method_for(landscape(ring), spec_for(0.3)) as search:
        found = judged(search.chain.pool, points)
    torch.testing.assert_close(torch.tensor(found), torch.tensor([0.4096, 0.1936]))


def test_only_what_is_above_the_bound_is_named() -> None:
    with method_for(landscape(ring), spec_for(0.3)) as search:
        assert above_the_level(search.spec, search.chain, {"one": 0.3, "two": 0.1}) is None
        verdict = above_the_level(search.spec, search.chain, {"one": 0.31, "two": 0.1})
        assert verdict is not None and verdict.outcome is Outcome.ENDPOINT_NOT_TRAINED
        assert "one has training loss 0.31; train it" in verdict.sentence
        assert above_the_level(search.spec, search.chain, {"one": float("nan")}) is not None
