"""How long a user waits for a command and for the first frame."""

from __future__ import annotations

import os
import sys

import pytest

from engine.bench.measures import (
    Effort,
    Spread,
)
from engine.bench.start import measure_start
from tests.support.benches import Ticks


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('a first frame'); time.sleep(1000)", None),
        ("print('something else')", "the command ended without drawing 'first frame'"),
    ],
)
def test_the_start_is_that_of_a_command(code: str, reason: str | None) -> None:
    """It is asked for help, and shown on a terminal until its words are there."""
    program = (
        f"import sys, time\nif '--help' not in sys.argv:\n    assert sys.stdout.isatty(); {code}"
    )
    found = measure_start(
        [sys.executable, "-c", program], "first frame", os.environ, Effort(repeats=2), Ticks(4, 2)
    )
    assert found.help_s == Spread(3, 2, 4)
    assert found.no_frame == reason
    assert found.first_frame_s == (Spread(1, 1, 1) if reason is None else None)
