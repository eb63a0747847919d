"""A preset in words, as the menu and the runs list tell it."""

from __future__ import annotations

import pytest

import presets
from dss_tui.viewing import describe

SGD = "search.greedy.optimizer={kind: sgd, lr: 0.1, momentum: 0.9, weight_decay: 5e-4}"
COSINE = "search.greedy.schedule={kind: cosine, unit: epochs, length: 200}"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ([], "rmsprop, lr 0.001, all data"),
        (["search.greedy.batch_size=16"], "rmsprop, lr 0.001, batches of 16"),
        (
            ["search.greedy.batch_size=16", "search.greedy.grow_batch=true"],
            "rmsprop, lr 0.001, growing batches of 16",
        ),
        ([SGD, COSINE], "sgd, lr 0.1, cosine, weight decay 0.0005, all data"),
    ],
    ids=["plain", "batches", "growing", "recipe"],
)
def test_training_names_what_changes_the_steps(keys: list[str], words: str) -> None:
    assert describe.training(presets.load_preset("quadratic", keys)) == words
