"""The error for a value that does not fit, and the place that it names."""

from __future__ import annotations

import pytest

from engine.record.unfit import Unfit, below, refused


def test_a_place_grows_from_the_inside_out() -> None:
    with pytest.raises(Unfit) as found, below("counters", 3), below("beads"):
        raise Unfit("is missing")
    assert str(found.value) == "counters.3.beads is missing"
    assert str(Unfit("is missing").below("name")) == "name is missing"


def test_what_is_long_is_shown_shortened() -> None:
    assert str(refused("x" * 100, "short")) == f"is '{'x' * 36}…, but must be short"
