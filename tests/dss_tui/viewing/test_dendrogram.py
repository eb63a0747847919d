"""The disconnectivity graph in characters, drawn by hand beside."""

from __future__ import annotations

from itertools import combinations
from math import inf
from random import Random

import pytest

from dss_tui.viewing.dendrogram import MODEL, OPEN, dendrogram
from engine.record.disconnectivity import Barrier, by_peaks

LEVELS = (0.1, 1.0)


def drawn(losses: list[float], barriers: list[Barrier], width: int = 36) -> str:
    return "\n".join(dendrogram(by_peaks(losses, barriers), LEVELS, width))


def test_models_join_where_their_paths_are_highest() -> None:
    found = drawn(
        [0.01, 0.03, 0.01, 0.05],
        [Barrier(0, 1, 0.1), Barrier(2, 3, 0.3), Barrier(1, 2, 1.0)],
    )
    assert found == (
        "                    0.1           1\n"
        "0 0.01 •─────────────┬────────────┐\n"
        "1 0.03       •───────┘            │\n"
        "2 0.01 •───────────────────┬──────┘\n"
        "3 0.05          •──────────┘      ┊"
    )


def test_what_is_not_joined_goes_on_in_dots_to_the_edge() -> None:
    found = drawn([0.01, 0.01, inf], [Barrier(0, 1, 0.1)]).splitlines()
    assert found[1].endswith("┬" + OPEN * 14) and found[2].startswith("1 0.01 •─")
    assert found[3].startswith("2 –") and found[3].count(MODEL) == 1


def test_joins_in_one_column_are_drawn_as_one() -> None:
    found = drawn([0.01] * 4, [Barrier(0, k, 0.5 + k / 1e4) for k in (1, 2, 3)]).splitlines()
    assert [line[30] for line in found[1:]] == ["┐", "┤", "┤", "┘"]


def test_negative_losses_have_a_linear_axis_and_none_an_empty_one() -> None:
    found = drawn([-1.0, 0.0], [Barrier(0, 1, 1.0)]).splitlines()
    start, end = found[1].index(MODEL), found[1].index("┐")
    assert found[2].index(MODEL) - start == pytest.approx((end - start) / 2, abs=1)
    zero = drawn([0.0, 0.01], [Barrier(0, 1, 0.1)]).splitlines()  # as low as the axis reaches
    assert zero[1].startswith("0 0    •") and zero[2].index(MODEL) > 12
    assert dendrogram([], LEVELS, 40) == []


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("width", [20, 80, 120])
def test_every_graph_has_a_line_for_each_model_and_fits(seed: int, width: int) -> None:
    draw = Random(seed)
    losses = [draw.choice([0.05, 0.08, draw.random(), inf]) for _ in range(11)]
    barriers = [
        Barrier(a, b, draw.choice([0.9, 0.901, 1.5, 2 + draw.random()]))
        for a, b in combinations(range(11), 2)
        if draw.random() < 0.2 and max(losses[a], losses[b]) < 1
    ]
    lines = dendrogram(by_peaks(losses, barriers), LEVELS, width)
    assert len(lines) == 12 and all(len(line) <= max(width, 26) for line in lines)
    assert all(line.count(MODEL) == 1 for line in lines[1:])
    assert sorted(int(line.split()[0]) for line in lines[1:]) == list(range(11))
