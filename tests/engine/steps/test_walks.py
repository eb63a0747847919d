"""Walks round one order of the samples."""

from __future__ import annotations

from engine.steps.mini_batches import walked_batches
from engine.steps.walks import walks


def test_walks_are_where_their_lists_begin() -> None:
    seeds, steps, size, samples = [3, 24, 2**40], [0, 7, 9], 8, 20
    drawn = walked_batches(seeds, steps, 5, size, samples)
    found = walks(seeds, steps, size, samples)
    for row, start in enumerate(found.starts.tolist()):
        for step in range(5):
            at = (start + step * found.size) % found.samples
            assert found.order[at : at + size].tolist() == drawn[row, step].tolist()
