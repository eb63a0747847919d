"""The sentences with which searches end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.methods.method import StagedMethod
from engine.methods.verdicts import Found, sampled
from engine.path.diagnosis import Trials
from engine.record.events import StringShortened
from tests.support.landscapes import landscape, ring, spec_for
from tests.support.searches import method_for, place_endpoints, run


def found_of(method: StagedMethod) -> Found:
    return Found(method.spec, method.chain, method.progress(), method.trials, method.plan)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (None, False),
        (StringShortened(1.25, 1.25, 4, 4), False),
        (StringShortened(1.3123, 1.25, 7, 4), True),
    ],
)
def test_only_a_string_that_became_shorter_is_called_shortened(
    told: StringShortened | None, said: bool
) -> None:
    with method_for(landscape(ring), spec_for(0.05)) as method:
        place_endpoints(method, [1.0, 0.02], [-1.0, 0.03])
        run(method)
        assert method.auditing is not None
        found = replace(found_of(method), trials=replace(Trials(), shortened=told))
        sentence = sampled(found, method.auditing).sentence
        assert ("shortened from 1.3123 with 7 beads" in sentence) is said
        assert ("shortened" in sentence) is said
