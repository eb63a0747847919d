"""Which searches are decided: against truths that are known, and against brute force."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from math import inf
from random import Random

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from engine.record.merging import Decided, Groups, Models, Pair, decide, spanning_tree

LEVELS = (0.1, 0.4, 1.0)


def reached(adjacent: set[Pair], items: int) -> set[frozenset[int]]:
    """The sets of items that hang together, by walking along every edge."""
    left, found = set(range(items)), set()
    while left:
        here, todo = set(), [left.pop()]
        while todo:
            item = todo.pop()
            here.add(item)
            todo += [b for b in range(items) if b not in here and _two(item, b) in adjacent]
        left -= here
        found.add(frozenset(here))
    return found


def _two(a: int, b: int) -> Pair:
    return min(a, b), max(a, b)


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_what_walking_finds(seed: int) -> None:
    draw = Random(seed)
    every = list(combinations(range(12), 2))
    groups, adjacent = Groups(range(12)), set[Pair]()
    for pair in draw.sample(every, 18):
        before = len(groups.members())
        assert groups.join(*pair) == (len(groups.members()) < before)
        adjacent.add(pair)
        assert set(map(frozenset, groups.members())) == reached(adjacent, 12)
    sizes = [len(group) for group in groups.members()]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("seed", range(5))
def test_the_spanning_tree_is_as_low_as_that_of_scipy(seed: int) -> None:
    draw = Random(seed)
    pairs = [pair for pair in combinations(range(15), 2) if draw.random() < 0.2]
    barriers = {pair: draw.choice([0.25, 0.5, draw.random() + 0.01]) for pair in pairs}
    matrix = np.zeros((15, 15))
    for (a, b), barrier in barriers.items():
        matrix[a, b] = barrier
    found = spanning_tree({**barriers, (0, 14): inf} if (0, 14) not in barriers else barriers)
    theirs = minimum_spanning_tree(matrix)
    assert sum(barriers[pair] for pair in found) == pytest.approx(theirs.sum())
    assert len(found) == theirs.nnz == 15 - connected_components(matrix, directed=False)[0]


def models(draw: Random, count: int) -> Models:
    """Models at random places on a line, one of which is above the lowest level."""
    at = [draw.random() for _ in range(count)]
    distances = tuple(tuple(abs(a - b) for b in at) for a in at)
    return Models((0.2, *(draw.random() / 10 for _ in range(count - 1))), distances)


def played(
    known: Models, barriers: Mapping[Pair, float], tries: int, *, leaves: float = inf
) -> tuple[Decided, dict[tuple[float, Pair], float]]:
    """All rounds, where a search finds a path if the true barrier is not above its level.

    One that fails leaves a path so many times as high as the barrier.
    """
    peaks: dict[tuple[float, Pair], float] = {}
    while (now := decide(known, LEVELS, peaks, tries=tries)).left:
        for level, pair in now.left:
            true = barriers[pair]
            peaks[level, pair] = true if true <= level else leaves * true
    return now, peaks


def truth(draw: Random, known: Models) -> dict[Pair, float]:
    """Barriers that are those of a landscape: none is higher than the way over others."""
    count = len(known.losses)
    direct = {pair: draw.choice([0.3, 0.35, 0.8, 2.0]) for pair in combinations(range(count), 2)}
    lowest = {}
    for a, b in direct:
        levels = sorted({*known.losses, *direct.values()})
        lowest[a, b] = next(
            level
            for level in levels
            if level >= max(known.losses[a], known.losses[b])
            and any(
                {a, b} <= each
                for each in reached({p for p, top in direct.items() if top <= level}, count)
            )
        )
    return lowest


@pytest.mark.parametrize("seed", range(6))
def test_all_components_are_found_by_searches_of_which_none_is_one_too_many(seed: int) -> None:
    draw = Random(seed)
    known = models(draw, 8)
    barriers = truth(draw, known)
    now, peaks = played(known, barriers, tries=28)
    joined = 0
    for level in LEVELS:
        groups = Groups(known.present(level))
        for (_, pair), peak in peaks.items():
            if peak <= level:
                groups.join(*pair)
        there = known.present(level)
        true = {p for p, top in barriers.items() if top <= level}
        expected = {each & frozenset(there) for each in reached(true, 8)} - {frozenset()}
        assert set(map(frozenset, groups.members())) == expected
        joined = max(joined, len(there) - len(expected))
    found = [key for key in now.searches if peaks[key] <= key[0]]
    assert len(found) == joined  # each path joins two components
    assert len(set(now.searches)) == len(now.searches) == len(peaks)


def test_only_pairs_between_components_are_searched_the_closest_first() -> None:
    at = (0.0, 0.1, 1.0, 1.05, 3.0)
    known = Models((0.0,) * 5, tuple(tuple(abs(a - b) for b in at) for a in at))
    barriers = {p: 0.05 if {*p} <= {0, 1, 2} else 2.0 for p in combinations(range(5), 2)}
    now, _ = played(known, barriers, tries=2)
    first, second, *_ = now.rounds
    assert first.level == 0.1 and first.pairs == ((2, 3), (0, 1), (1, 2), (3, 4))
    # 3 was tried with 2, so the next closest pair between {0, 1, 2} and {3} is 1 and 3. Between
    # {0, 1, 2} and {4} it is 2 and 4, which close the forest: 3 and 4 were tried once.
    assert second.pairs == ((1, 3), (2, 4))
    inner = {pair for _, pair in now.searches if {*pair} <= {0, 1, 2}}
    assert inner == {(0, 1), (1, 2)}
    for level in LEVELS:
        between = [pair for at_, pair in now.searches if at_ == level and 4 in pair]
        assert len([pair for pair in between if 3 not in pair]) == 2  # as many as may be tried


def test_what_a_failed_search_has_left_joins_at_a_higher_level_without_a_search() -> None:
    known = Models((0.0, 0.0), ((0.0, 1.0), (1.0, 0.0)))
    now, peaks = played(known, {(0, 1): 0.2}, tries=3, leaves=1.5)
    assert now.searches == ((0.1, (0, 1)),) and peaks[0.1, (0, 1)] == pytest.approx(0.3)


def test_a_model_above_a_level_is_not_searched_there() -> None:
    known = Models((0.2, 0.0), ((0.0, 1.0), (1.0, 0.0)))
    assert decide(known, (0.1,), {}, tries=3) == Decided((), ())
    assert decide(known, (0.19,), {}, tries=3, tolerance=0.1).left == ((0.19, (0, 1)),)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_in_which_searches_end_makes_no_difference(seed: int) -> None:
    """A session that is cut after any search, and told anything of others, goes on the same."""
    draw = Random(seed)
    known = models(draw, 7)
    barriers = truth(draw, known)
    whole, peaks = played(known, barriers, tries=2, leaves=1.2)
    ended: dict[tuple[float, Pair], float] = {}
    while (now := decide(known, LEVELS, ended, tries=2)).left:
        assert now.rounds == whole.rounds[: len(now.rounds)]
        key = draw.choice(now.left)
        ended[key] = peaks[key]
    assert now == whole and ended == peaks
