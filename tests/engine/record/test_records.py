"""Which of the records count after a loss."""

from __future__ import annotations

import pytest

from engine.record.events import Continued, Record, RunFinished
from engine.record.records import effective, finished, read_all_records, read_records
from engine.record.rundir import RunDir
from tests.support.run_folders import (
    CONNECTED,
    STOPPED,
    saved,
    write,
)


def story_of(*story: int | RunFinished) -> list[Record]:
    """Records numbered from 1; a number n stands for `continued` from n, -1 for other work."""
    events = [
        entry if isinstance(entry, RunFinished) else saved("x") if entry < 0 else Continued(entry)
        for entry in story
    ]
    return [Record(n, 0.5 * n, event) for n, event in enumerate(events, 1)]


@pytest.mark.parametrize(
    ("story", "kept"),
    [
        ([], []),
        ([-1, -1, -1], [1, 2, 3]),
        ([-1, -1, -1, 3, -1], [1, 2, 3, 4, 5]),
        ([-1, -1, -1, -1, 2, -1], [1, 2, 5, 6]),
        ([-1, -1, 0, -1], [3, 4]),
        # No checkpoint between two losses: the second one undoes the first session anew.
        ([-1, -1, -1, 2, -1, 2, -1], [1, 2, 6, 7]),
        # A checkpoint after the first loss: what came before it stays.
        ([-1, -1, -1, 2, -1, -1, 5, -1], [1, 2, 4, 5, 7, 8]),
        # The second loss goes back to before the first.
        ([-1, -1, -1, 2, -1, 1, -1], [1, 6, 7]),
        ([-1, -1, -1, 2, -1, -1, 5, -1, 5, -1, -1, 10], [1, 2, 4, 5, 9, 10, 12]),
    ],
)
def test_events_undone_by_a_later_session_do_not_count(story: list[int], kept: list[int]) -> None:
    assert [record.seq for record in effective(story_of(*story))] == kept


def test_records_are_read_without_what_was_undone(run: RunDir) -> None:
    write(run, saved("a"), saved("lost"))
    write(run, Continued(1), saved("b"))
    events = [record.event for record in read_records(run)]
    assert events == [saved("a"), Continued(1), saved("b")]
    assert [record.seq for record in read_all_records(run)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("story", "ending"),
    [
        ([], None),
        ([-1, -1], None),
        ([-1, CONNECTED], CONNECTED),
        ([-1, STOPPED, 2], None),
        ([-1, STOPPED, 2, -1], None),
        ([-1, STOPPED, 2, -1, CONNECTED], CONNECTED),
    ],
)
def test_a_run_has_finished_unless_it_went_on(
    story: list[int | RunFinished], ending: RunFinished | None
) -> None:
    assert finished(story_of(*story)) is ending
