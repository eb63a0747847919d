"""The disconnectivity graph, against components by brute force and a graph drawn by hand."""

from __future__ import annotations

from itertools import combinations
from math import inf, isnan
from random import Random

import pytest

from engine.record.disconnectivity import Barrier, Node, by_levels, by_peaks, components
from engine.record.merging import Groups

LOSSES = (0.01, 0.02, 0.03, 0.4, inf)
BARRIERS = (
    Barrier(0, 1, 0.2, proven=True),
    Barrier(0, 1, 0.25),
    Barrier(1, 2, 0.1),
    Barrier(0, 2, 0.3),
    Barrier(2, 3, 0.9),
)


def told(node: Node) -> tuple[object, ...]:
    return node.node, node.parent, node.height, node.kind, node.loss, node.proven, node.models


def test_joins_stand_at_the_peaks_of_the_lowest_paths() -> None:
    nodes = by_peaks(LOSSES, BARRIERS)
    assert [told(node) for node in nodes[:4]] == [
        (0, 6, 0.01, "model", 0.01, None, (0,)),
        (1, 5, 0.02, "model", 0.02, None, (1,)),
        (2, 5, 0.03, "model", 0.03, None, (2,)),
        (3, 7, 0.4, "model", 0.4, None, (3,)),
    ]
    assert isnan(nodes[4].height) and nodes[4].parent is None
    assert [told(node) for node in nodes[5:]] == [
        (5, 6, 0.1, "join", 0.02, False, (1, 2)),
        (6, 7, 0.2, "join", 0.01, True, (0, 1, 2)),
        (7, None, 0.9, "join", 0.01, False, (0, 1, 2, 3)),
    ]
    assert [node.pair for node in nodes[5:]] == [(1, 2), (0, 1), (2, 3)]


def test_joins_stand_at_the_given_levels() -> None:
    nodes = by_levels(LOSSES, BARRIERS, (0.9, 0.25))
    assert [told(node) for node in nodes[5:]] == [
        (5, 6, 0.25, "join", 0.01, False, (0, 1, 2)),
        (6, None, 0.9, "join", 0.01, False, (0, 1, 2, 3)),
    ]
    assert by_levels(LOSSES, BARRIERS, (0.19,))[5].models == (1, 2)
    within = by_levels(LOSSES, BARRIERS, (0.19,), tolerance=0.1)[5]
    assert within.models == (0, 1, 2) and within.height == 0.19


@pytest.mark.parametrize("seed", range(4))
def test_a_cut_through_the_graph_is_the_components_at_that_height(seed: int) -> None:
    draw = Random(seed)
    losses = [draw.random() / 4 for _ in range(9)]
    barriers = [
        Barrier(a, b, draw.uniform(max(losses[a], losses[b]), 1.0))
        for a, b in combinations(range(9), 2)
        if draw.random() < 0.35
    ]
    nodes, levels = by_peaks(losses, barriers), (0.3, 0.5, 0.7)
    coarse = by_levels(losses, barriers, levels)
    for level in levels:
        groups = Groups(model for model, loss in enumerate(losses) if loss <= level)
        for each in barriers:
            if each.peak <= level:
                groups.join(each.a, each.b)
        expected = groups.members()
        assert components(losses, barriers, level) == expected
        for graph in (nodes, coarse):
            tops = [
                node.models
                for node in graph
                if node.height <= level
                and (node.parent is None or graph[node.parent].height > level)
            ]
            assert sorted(tops) == sorted(expected)
    heights = [node.height for node in nodes if node.kind == "join"]
    assert heights == sorted(heights)
