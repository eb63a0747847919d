"""The struct of arrays that rows in training are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from engine.steps.rows import COLUMNS, End, Rows, fetched, fresh, joined, told_of
from tests.support.gpus import Gpus


def some(count: int, first: int = 0) -> Rows:
    """Rows whose every number is another."""
    theta = torch.arange(3.0 * count).view(count, 3) + 100 * first
    rows = fresh(theta, ("mean",), 0.5, 9, range(first, first + count))
    rows.state["mean"][:] = theta + 0.5
    for place, name in enumerate(("steps", "loss", "best", "best_step")):
        column = getattr(rows, name)
        column[:] = (torch.arange(count) + 10 * place + first).to(column)
    return replace(rows)  # of which nothing is told yet


def same(one: Rows, other: Rows) -> bool:
    columns = all(torch.equal(getattr(one, name), getattr(other, name)) for name in COLUMNS)
    states = all(torch.equal(one.state[slot], other.state[slot]) for slot in one.state)
    return columns and states and one.seeds == other.seeds


def test_what_is_split_is_joined_again() -> None:
    whole = some(6)
    parts = whole.split([1, 3, 2])
    assert [len(part) for part in parts] == [1, 3, 2]
    assert parts[1].seeds == (1, 2, 3)
    assert same(joined(parts), whole)
    assert joined(parts).theta.data_ptr() != whole.theta.data_ptr()


def test_a_part_goes_back_to_its_places() -> None:
    whole, numbers = some(5), [1, 4]
    other = some(2, first=50)
    put = whole.with_part(numbers, other)
    assert same(put.part(numbers), Rows(**{**vars(other), "seeds": (1, 4)}))
    rest = [0, 2, 3]
    assert same(put.part(rest), whole.part(rest))
    assert same(whole, some(5))  # the rows themselves are as they were


def test_copies_are_written_into_and_the_rows_they_were_made_of_are_as_before() -> None:
    rows, other = some(5), some(2, first=7)
    copied = rows.copied()
    assert same(copied, rows)
    copied.write(slice(1, 3), other)
    assert same(rows, some(5)) and not same(copied, rows)
    for column, new, old in zip(copied.tensors, other.tensors, rows.tensors, strict=True):
        assert torch.equal(column[1:3], new)
        assert torch.equal(column[[0, 3, 4]], old[[0, 3, 4]])


def test_a_row_is_put_in_and_taken_out() -> None:
    whole, new = some(4), some(1, first=70)
    longer = whole.with_row(2, new)
    assert longer.seeds == (0, 1, 70, 2, 3)
    assert same(longer.part(slice(2, 3)), new)
    assert same(longer.without(2), whole)


@pytest.mark.parametrize("gpus", [1], indirect=True)
def test_rows_come_from_a_gpu_with_one_wait(gpus: Gpus) -> None:
    there = some(3).to(gpus.devices[0])
    if gpus.machine is not None:
        gpus.machine.count_anew()
    back = there.to(torch.device("cpu"))
    assert same(back, some(3)) and back.theta.is_pinned()
    if gpus.machine is not None:
        assert gpus.machine.counts.sums["syncs"] == 1
    assert fetched([back.theta])[0] is back.theta


def test_another_target_renews_patience() -> None:
    rows = some(4).aimed(torch.tensor([12.5, 10.0, torch.inf, 11.0]))
    assert rows.end.tolist() == [End.REACHED, End.GOING, End.REACHED, End.GOING]
    assert rows.going.tolist() == [False, True, False, True]
    assert rows.best.isinf().all()
    assert torch.equal(rows.best_step, rows.steps)
    assert rows.waited.tolist() == [0, 0, 0, 0]


def test_a_loss_seen_apart_from_steps_moves_rows_between_going_and_reached() -> None:
    rows = some(4)
    rows.end[:] = torch.tensor([End.REACHED, End.GOING, End.STUCK, End.STUCK])
    seen = rows.with_loss(torch.tensor([0.6, 0.4, 0.6, 0.5]))
    assert seen.end.tolist() == [End.GOING, End.REACHED, End.STUCK, End.REACHED]
    assert seen.waited.tolist() == [-30, 0, -30, 0]  # steps less best_step; 0 at the target


def test_a_row_that_was_not_looked_at_goes() -> None:
    rows = fresh(torch.zeros(2, 3), (), 0.1, 5, [1, 2])
    assert rows.loss.isnan().all() and rows.best.isinf().all()
    assert rows.going.all()


def test_what_is_told_of_rows_is_told_of_their_parts() -> None:
    """And not of rows that are made from them with other values."""
    whole = some(6)
    untold = whole.split([1, 5])
    assert "told" not in vars(untold[0])
    assert (whole.told.steps, whole.told.loss) == ((0, 1, 2, 3, 4, 5), (10, 11, 12, 13, 14, 15))
    one, five = whole.split([1, 5])
    assert vars(five)["told"].steps == (1, 2, 3, 4, 5)
    assert told_of([five, one], joined([five, one])).loss == (11, 12, 13, 14, 15, 10)
    assert told_of([one, untold[1]], joined([one, untold[1]])) == whole.told
    later = replace(five, steps=five.steps + 1)
    assert later.told.steps == (2, 3, 4, 5, 6)
    start = fresh(torch.zeros(2, 3), (), 0.1, 5, [1, 2])
    again = replace(start).told
    assert (start.told.steps, start.told.end) == (again.steps, again.end) == ((0, 0), (0, 0))
    assert len(start.told.loss) == 2 and start.told.going == [0, 1]


@pytest.mark.parametrize("end", End)
def test_ends_have_words(end: End) -> None:
    assert end.words == end.name.lower().replace("_", " ")
