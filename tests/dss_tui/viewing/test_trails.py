"""The losses that a viewer has seen of beads in training."""

from __future__ import annotations

import math

from dss_tui.viewing.trails import LONGEST, Trails
from engine.record.progress import Progress, TrainingProgress
from tests.support.run_folders import progress
from tests.support.scenes import progress_along, segment


def look(seconds: float, **losses: float) -> Progress:
    beads = tuple(TrainingProgress(int(bead[1:]), loss, 7, 1) for bead, loss in losses.items())
    return progress(seconds, training=beads)


def test_each_look_adds_a_point() -> None:
    trails = Trails().after(look(1.5, b1=0.9, b2=0.7)).after(look(2.0, b1=0.4))
    assert trails.losses == {1: ((1.5, 0.9), (2.0, 0.4)), 2: ((1.5, 0.7),)}


def test_a_look_that_tells_nothing_new_adds_none() -> None:
    once = Trails().after(look(1.5, b1=0.9))
    assert once.after(look(1.5, b1=0.9)) == once
    assert once.after(look(2.5, b1=math.nan)) == once


def test_with_a_string_only_beads_in_training_are_kept() -> None:
    trails = Trails().after(look(1.5, b1=0.9))
    bead = TrainingProgress(5, 0.3, 7, 1)
    now = progress_along(segment(1, 5), segment(5, 2), training=(bead,), time=3.5)
    assert trails.after(now).losses == {5: ((3.5, 0.3),)}


def test_a_long_trail_is_thinned() -> None:
    trails = Trails()
    for number in range(3 * LONGEST):
        trails = trails.after(look(1.0 + number, b1=1.0 / (1 + number)))
    (trail,) = trails.losses.values()
    assert LONGEST // 2 <= len(trail) < LONGEST
    assert trail[0] == (1.0, 1.0) and trail[-1][0] > 3 * LONGEST - 3
