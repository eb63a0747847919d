"""The stream of samples that mini-batches are taken from."""

from __future__ import annotations

import numpy as np

from engine.steps.mini_batches import sample_numbers


def test_the_stream_of_samples_passes_through_all_of_them() -> None:
    stream = sample_numbers(9, 0, 30, samples=10)
    for epoch in range(3):
        assert sorted(stream[10 * epoch : 10 * epoch + 10].tolist()) == list(range(10))
    assert stream[:10].tolist() != stream[10:20].tolist()
    np.testing.assert_array_equal(sample_numbers(9, 7, 16, samples=10), stream[7:23])
    assert sample_numbers(8, 0, 30, samples=10).tolist() != stream.tolist()
