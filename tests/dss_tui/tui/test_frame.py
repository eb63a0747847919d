"""The axes around a plot's curves."""

from __future__ import annotations

import math

import pytest

from dss_tui.tui.frame import Frame
from dss_tui.tui.plot import Curve, Plot


def framed(level: float | None = None, *, log: bool = False) -> Frame:
    curve = Curve((1.0, 5.0), (2.0, 4.0), "", "train")
    return Frame.around(Plot("", (curve,), "", "", level, log_y=log), [(1.0, 2.0), (5.0, 4.0)])


def test_a_level_beyond_the_curves_is_within_the_axes() -> None:
    frame = framed(12.0)
    assert frame.level is not None and 0 < frame.level < 1
    assert frame.y.value(frame.level) == pytest.approx(12.0)
    assert frame.level_label == "12"


@pytest.mark.parametrize(("level", "log"), [(math.nan, False), (math.inf, False), (-1.0, True)])
def test_a_level_that_the_axis_cannot_show_is_none(level: float, log: bool) -> None:
    assert framed(level, log=log).level is None


@pytest.mark.parametrize("size", [(300, 100), (100, 300)])
def test_equal_units_widen_one_axis_about_its_middle(size: tuple[int, int]) -> None:
    before, after = framed(), framed().with_equal_units(*size)
    x, y = (axis.high - axis.low for axis in (after.x, after.y))
    assert x / size[0] == pytest.approx(y / size[1])
    for old, new in ((before.x, after.x), (before.y, after.y)):
        assert new.low + new.high == pytest.approx(old.low + old.high)
        assert new.low <= old.low and new.high >= old.high
    assert after.place([(3.0, 3.0), None])[1] is None
    assert after.place([(3.0, 3.0)])[0] == pytest.approx((0.5, 0.5), abs=0.02)
