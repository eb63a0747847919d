"""Very many events, and very many runs, in every command and on every screen.

`python -m tests.support.faults.long` takes more of both; docs/reliability.md has its figures.
"""

from __future__ import annotations

from tests.support.faults.asked import counts


def test_they_are_read_in_time() -> None:
    asked = ("--events", "5000", "--runs", "30")
    assert counts(r"in all: (\d+) tried, (\d+) lost", "tests.support.faults.long", *asked) == (9, 0)
