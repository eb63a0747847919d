"""What follows from a level."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from engine.spec.goal import goal_above, goal_of, goal_to_time
from engine.spec.keys import Spec
from engine.spec.yaml_file import parse


def spec_of(level: Any, **search: Any) -> Spec:
    problem = {
        "data": {"kind": "polynomial", "coefficients": [0.1]},
        "network": {"kind": "mlp", "sizes": [1, 1]},
        "loss": "mse",
    }
    ends = {"until": "epochs", "epochs": 3, "alpha": 0.5}
    return parse({"problem": problem, "endpoints": ends, "search": {"level": level} | search})


def test_a_number_has_its_goal_from_the_beginning() -> None:
    goal = goal_of(spec_of(0.3, alpha=0.7, tolerance=0.1))
    assert (goal.level, goal.target, goal.end_target) == pytest.approx((0.3, 0.21, 0.15))
    assert goal.bound == pytest.approx(0.33) and goal.known


@pytest.mark.parametrize("level", ["lowest", {"times_ends": 3}])
def test_another_level_is_not_known_yet(level: Any) -> None:
    goal = goal_of(spec_of(level))
    assert not goal.known and goal.bound == inf
    assert goal_to_time(spec_of(level)).known
    assert goal_to_time(spec_of(0.3)) == goal_of(spec_of(0.3))


def test_a_share_of_the_room_above_the_ends_is_enough() -> None:
    goal = goal_above(spec_of("lowest", alpha=0.7), 0.5, 0.3)
    assert (goal.target, goal.enough) == pytest.approx((0.35, 0.44)) and goal.end_target == inf
    assert goal_above(spec_of("lowest"), 0.3, 0.3).enough == 0.3
    assert goal_of(spec_of(0.3)).enough < 0


def test_levels_in_words() -> None:
    words = {spec_of(level).search.level_words for level in (0.01, "lowest", {"times_ends": 1.5})}
    assert words == {"0.01", "lowest", "1.5 × the worse end"}
