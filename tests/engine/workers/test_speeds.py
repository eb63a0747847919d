"""How GPUs share a call: by their speeds within the same calls."""

from __future__ import annotations

import pytest

from engine.workers.speeds import Speeds


def test_shares_are_equal_until_something_is_known() -> None:
    assert Speeds(3).of_first(2) == [1.0, 1.0]


def test_shares_come_to_the_ratio_of_the_speeds_and_follow_it() -> None:
    speeds = Speeds(2)
    for _ in range(40):
        speeds.learn([200.0, 600.0])
    first, second = speeds.of_first(2)
    assert second / first == pytest.approx(3.0, rel=1e-3)
    for _ in range(40):  # something else slows the second
        speeds.learn([200.0, 200.0])
    assert speeds.of_first(2) == pytest.approx([1.0, 1.0], rel=1e-3)


def test_only_the_ratio_within_a_call_counts() -> None:
    """A call that is bound by its launches does a hundredth of the samples in the same time."""
    one, other = Speeds(2), Speeds(2)
    for _ in range(5):
        one.learn([200.0, 600.0])
        other.learn([2.0, 6.0])
    assert one.of_first(2) == pytest.approx(other.of_first(2))
