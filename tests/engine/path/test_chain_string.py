"""The string of a chain as a file holds it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch

from engine.path.chain_string import string_of, string_of_snapshot, string_products
from engine.record.events import FIRST, LAST
from tests.support.chains import ENDS, POINTS, bowl, measured


def test_a_string_is_measured_for_its_file_where_it_has_moved() -> None:
    chain = measured(ENDS[0], [0.5, 0.0], ENDS[1])
    chain.move([(3, torch.tensor([0.5, 0.7]))])
    assert string_products(chain) == 2 * POINTS * 3 * 2  # points, samples, weights
    string = string_of(chain, {})
    assert chain.unmeasured == [(FIRST, 3), (3, LAST)]  # nothing of it is kept
    exact = [bowl(torch.from_numpy(bead)).item() for bead in string.beads]
    np.testing.assert_allclose(string.losses, exact, rtol=1e-6)
    for (a, b), profile in zip(
        pairwise(torch.from_numpy(string.beads)), string.profiles, strict=True
    ):
        there = [bowl(torch.lerp(a, b, float(t))).item() for t in string.t]
        np.testing.assert_allclose(profile, there, rtol=1e-5)


def test_known_profiles_are_those_of_a_string_that_is_measured() -> None:
    chain = measured(ENDS[0], [0.5, 0.0], ENDS[1])
    known = {
        key: replace(chain.segments[key].measured, losses=np.full(POINTS, 0.5 + n))
        for n, key in enumerate(chain.keys)
    }
    assert string_of(chain, known).losses.tolist() == [0.5, 1.5, 1.5]
    chain.move([(3, torch.tensor([0.5, 0.7]))])  # what was known of it is so no more
    assert max(string_of(chain, known).losses) < 1.5


def test_profiles_on_a_finer_grid_are_put_on_that_of_the_search() -> None:
    chain = measured(ENDS[0], [0.5, 0.0], ENDS[1])
    coarse = string_of(chain, {})
    fine = chain.segments[3, LAST].measured.on(np.linspace(0, 1, 2 * POINTS - 1))
    chain.update(replace(chain.segments[3, LAST], measured=fine))
    for string in (string_of(chain, {}), string_of_snapshot(chain.snapshot(), chain.grid)):
        np.testing.assert_allclose(string.profiles, coarse.profiles)
        np.testing.assert_array_equal(string.t, chain.grid)
