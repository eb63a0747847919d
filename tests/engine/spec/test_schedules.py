"""Mistakes in a schedule's keys, and in the bounds of gradients."""

from __future__ import annotations

import pytest

from tests.support.preset import refusal


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ("{kind: cosin, length: 4}", ".kind: unknown kind 'cosin'; did you mean 'cosine'?"),
        ("{kind: cosine}", ".length: is missing; give it a value"),
        ("{kind: cosine, length: 5, warmup: 5}", ": warmup: 5 must be below length: 5"),
        (
            "{kind: step, milestones: [60, 30]}",
            ": milestones must rise, such as [60, 120, 160]",
        ),
        (
            "{kind: step, milestones: []}",
            ".milestones: is [], but must be a list of at least 1 item",
        ),
        (
            "{kind: piecewise, length: 9, points: [[0, 1], [0.5, 0.1]]}",
            ": the shares of points must rise from 0 to 1",
        ),
        (
            "{kind: piecewise, length: 9, points: [[0, 1], [0, 1], [1, 0.1]]}",
            ": the shares of points must rise from 0 to 1",
        ),
        (
            "{kind: linear, length: 9, unit: epoch}",
            ".unit: is \"epoch\"; did you mean 'epochs'?",
        ),
    ],
)
def test_a_mistake_is_one_sentence(keys: str, sentence: str) -> None:
    message = refusal(f"search.greedy.schedule={keys}")
    assert message == f"p.yaml: search.greedy.schedule{sentence}"


def test_bounds_of_the_gradient_are_above_zero() -> None:
    message = refusal("endpoints.clip={norm: 0}")
    assert message == "p.yaml: endpoints.clip.norm: is 0, but must be greater than 0"
