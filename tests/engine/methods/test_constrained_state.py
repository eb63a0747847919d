"""What a checkpoint holds of constrained DSS."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.support.landscapes import landscape, ring
from tests.support.searches import method_for
from tests.support.strings import stage_of, string_spec


def test_a_level_that_is_not_a_number_is_refused() -> None:
    with method_for(landscape(ring), string_spec(0.05)) as method:
        state = stage_of(method).state
    with pytest.raises(ValueError, match="level is not a number"):
        replace(state, level=math.nan)
