"""What can be had without looking at x, against numpy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.problem.baseline import by_frequencies
from engine.problem.problem import Problem, build_problem
from engine.spec.level import LevelOn
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from presets import load_preset

TEXT = "the cat saw the dog and the dog saw the rat and then the cat ran on "


def text_problem(folder: Path) -> Problem:
    (folder / "tale.txt").write_text(20 * TEXT)
    tree = {
        "data": {
            "kind": "text",
            "path": str(folder / "tale.txt"),
            "unit": "character",
            "length": 8,
        },
        "network": {"kind": "lstm", "vocabulary": len(set(TEXT)), "embedding": 4, "hidden": 4},
        "loss": "cross_entropy",
    }
    return build_problem(validated(ProblemSpec, tree))


def test_the_unigram_model_of_a_text(tmp_path: Path) -> None:
    problem = text_problem(tmp_path)
    train, held_out = (samples.y.numpy().ravel() for samples in (problem.train, problem.held_out))
    shares = np.bincount(train) / len(train)
    expected = np.exp(-np.log(shares)[held_out].mean())
    on = LevelOn(metric="perplexity", split="held_out")
    assert by_frequencies(problem, on) == pytest.approx(expected, rel=1e-9)
    assert 5 < expected < len(set(TEXT))
    of_train = by_frequencies(problem, LevelOn())
    assert of_train == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-9)  # the entropy


def test_digits_by_the_most_frequent_class() -> None:
    problem = build_problem(load_preset("digits").problem)
    y = problem.held_out.y.numpy()
    most = np.bincount(problem.train.y.numpy()).argmax()
    on = LevelOn(metric="error_rate", split="held_out")
    assert by_frequencies(problem, on) == pytest.approx((y != most).mean())


def test_a_class_that_was_never_seen_is_infinitely_unlikely() -> None:
    problem = build_problem(load_preset("digits").problem)
    without = problem.train.y != 3
    train = replace(problem.train, x=problem.train.x[without], y=problem.train.y[without])
    loss = by_frequencies(replace(problem, train=train), LevelOn(split="held_out"))
    assert loss == float("inf")


def test_there_are_no_frequencies_without_classes() -> None:
    assert by_frequencies(build_problem(load_preset("quadratic").problem), LevelOn()) is None
