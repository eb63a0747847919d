"""The stream of samples that mini-batches are taken from."""

from __future__ import annotations

import numpy as np
import torch

from engine.spec.training import Training
from engine.steps.mini_batches import (
    hashed_batches,
    mini_batches,
    sample_numbers,
    walked_batches,
)
from engine.steps.recipe import Recipe


def test_the_stream_of_samples_passes_through_all_of_them() -> None:
    stream = sample_numbers(9, 0, 30, samples=10, of_a_pass=10)
    for epoch in range(3):
        assert sorted(stream[10 * epoch : 10 * epoch + 10].tolist()) == list(range(10))
    assert stream[:10].tolist() != stream[10:20].tolist()
    np.testing.assert_array_equal(sample_numbers(9, 7, 16, samples=10, of_a_pass=10), stream[7:23])
    assert sample_numbers(8, 0, 30, samples=10, of_a_pass=10).tolist() != stream.tolist()


def test_without_the_last_samples_no_step_sees_two_passes() -> None:
    drawn = mini_batches([4, 5], [0, 2], 30, size=3, samples=11, drop_last=True)
    assert drawn.shape == (2, 30, 3)
    for row, first in ((0, 0), (1, 2)):
        passes: dict[int, list[int]] = {}
        for step in range(30):
            passes.setdefault((first + step) // 3, []).extend(drawn[row, step].tolist())
        for seen in passes.values():
            assert len(set(seen)) == len(seen) <= 9
    # Others are left out each time.
    assert set(drawn[0].flatten().tolist()) == set(range(11))
    whole = mini_batches([4], [0], 6, size=3, samples=11)
    assert drawn[0, :3].equal(whole[0, :3]) and not drawn[0, 3:].equal(whole[0, 3:])


def test_hashed_streams_go_on_where_they_were() -> None:
    """Whatever the number of steps of a call; and a step never sees samples of two passes."""
    seeds = torch.tensor([4, 5])
    drawn = hashed_batches(seeds, torch.tensor([0, 2]), 30, size=3, samples=11, drop_last=True)
    later = hashed_batches(seeds, torch.tensor([7, 9]), 23, size=3, samples=11, drop_last=True)
    assert torch.equal(drawn[:, 7:], later)
    for step in range(0, 30, 3):
        assert len(set(drawn[0, step : step + 3].flatten().tolist())) == 9
    whole = hashed_batches(seeds, torch.tensor([0, 0]), 11, size=3, samples=11)
    assert [each.flatten().bincount().tolist() for each in whole] == [[3] * 11] * 2
    host = mini_batches([4, 5], [0, 2], 30, size=3, samples=11, drop_last=True)
    assert not torch.equal(host, drawn)


def test_a_recipe_draws_the_streams_that_it_names() -> None:
    for hashed in (False, True):
        recipe = Recipe(Training(batch_size=3, check_every=4, drop_last=True), hashed=hashed)
        found = recipe.drawn([4, 5], [0, 2], 11)
        steps = torch.tensor([4, 5]), torch.tensor([0, 2])
        expected = (
            hashed_batches(*steps, 4, 3, 11, drop_last=True)
            if hashed
            else mini_batches([4, 5], [0, 2], 4, 3, 11, drop_last=True)
        )
        assert found is not None and torch.equal(found, expected)
    assert Recipe(Training(batch_size="full")).drawn([4], [0], 11) is None


def test_walks_go_round_one_order_from_places_of_their_own() -> None:
    drawn = walked_batches([3, 24], [0, 0], 30, 4, 20)
    first, second = (row.flatten().tolist() for row in drawn)
    assert sorted(first[:20]) == [*range(20)] != first[:20]  # in a random order
    assert first[20:40] == first[:20] == first[100:]
    assert second[:99] == first[1:100]  # its seed is one more, modulo 20
    later = walked_batches([24], [7], 5, 4, 20)
    assert later.flatten().tolist() == second[28:48]
    grown = walked_batches([24], [7], 2, 8, 20)
    assert grown.shape == (1, 2, 8)


def test_growing_mini_batches_walk() -> None:
    how = Recipe(Training(batch_size=4, check_every=3, grow_batch=True))
    drawn = how.drawn([5, 6], [2, 9], 20)
    assert drawn is not None and torch.equal(drawn, walked_batches([5, 6], [2, 9], 3, 4, 20))
