"""The string along its axis, from progress made by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from dss_tui.viewing.scene import scene_of
from dss_tui.viewing.view_state import View
from tests.support.run_folders import progress
from tests.support.scenes import HILL, progress_along, scene, segment


def test_beads_stand_at_their_distances() -> None:
    string = scene(segment(1, 5, 1.0), segment(5, 2, 3.0))
    assert (string.at, string.length, string.to_scale) == ((0.0, 0.25, 1.0), 4.0, True)
    assert string.locate(0.625) == (1, 0.5)
    assert string.share(1, 0.5) == 0.625


def test_unknown_distances_are_said_and_drawn_evenly() -> None:
    string = scene(segment(1, 5, math.nan), segment(5, 2, 3.0))
    assert (string.at, string.to_scale) == ((0.0, 0.5, 1.0), False)


def test_without_a_whole_string_there_is_no_scene() -> None:
    assert scene_of(None, View()) is None
    assert scene_of(progress(), View()) is None
    odd = replace(progress_along(segment(1, 2)), order=(1, 2, 3), losses=(0.1, 0.1, 0.1))
    assert scene_of(odd, View()) is None


def test_the_peak_between_grid_points_is_known_too() -> None:
    refined = segment(1, 2, profile=HILL, peak=0.05, t_star=0.45)
    string = scene(refined)
    assert string.loss(0, 0.45) == pytest.approx(0.05)
    assert string.loss(0, 0.25) == pytest.approx(0.018)


def test_gaps_of_a_measured_profile_stay_and_those_of_a_told_one_are_crossed() -> None:
    holes = segment(1, 2, profile=(0.01, math.nan, math.nan, math.nan, 0.02), peak=0.06, t_star=0.5)
    assert math.isnan(scene(holes).loss(0, 0.3))
    assert scene(holes, whole=False).loss(0, 0.25) == pytest.approx(0.035)


def test_the_aim_counts_only_above_the_level() -> None:
    assert scene(segment(1, 2), level=0.02, aim=0.03).aim == 0.03
    assert scene(segment(1, 2), level=0.02, aim=0.02).aim is None


def test_the_cursor_is_on_a_bead_at_a_peak_or_where_it_was_put() -> None:
    string = scene(segment(1, 5, 1.0), segment(5, 2, 3.0, profile=HILL))
    assert string.cursor(2, None) == 0.25
    assert string.cursor(3, None) == 0.625
    assert string.cursor(3, 0.75) == 0.8125
    assert string.cursor(None, None) is None and string.cursor(9, None) is None
