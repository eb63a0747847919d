"""Training blocks as kernels take them."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest
import torch

from engine.backends.fused.kernels import arrays
from engine.backends.triton_rounds.rules import how_of, numbers_of, pace_of_round
from engine.spec.training import Training
from engine.steps.descent import build_descent
from tests.support.torch_recipes import BLOCKS, EXTRAS, OPTIMIZERS


def training(name: str, **keys: Any) -> Training:
    return Training(optimizer=OPTIMIZERS[name], check_every=5, max_steps=70, **keys)


def test_choices_become_constants() -> None:
    how = how_of(training("sgd-nesterov", batch_size=8, **EXTRAS["norm"]), 33, True)
    assert (how.kind, how.heavy, how.nesterov) == (arrays.SGD, True, True)
    assert (how.decays, how.apart, how.exempt) == (True, False, True)
    assert (how.clips_values, how.clips_norm, how.batched) == (False, True, True)
    assert how.piece == 64
    how = how_of(training("adamw", **EXTRAS["value"]), 5000, False)
    assert (how.kind, how.heavy, how.nesterov) == (arrays.ADAM, False, False)
    assert (how.decays, how.apart, how.exempt) == (True, True, False)
    assert (how.clips_values, how.clips_norm, how.batched) == (True, False, False)
    assert how.piece == 1024


def test_shares_are_taken_in_float64() -> None:
    rule = numbers_of(training("adam"))
    assert (rule.keep, rule.take, rule.new) == (0.99, 1 - 0.99, 1 - 0.8)
    assert (rule.check_every, rule.max_steps) == (5, 70)
    assert rule.better == 1 - 1e-3
    assert numbers_of(training("rmsprop-momentum")).momentum == 0.7


@pytest.mark.parametrize("name", BLOCKS)
def test_rates_are_those_of_single_steps(name: str) -> None:
    """A step of sgd from zero along ones goes as far as the rate."""
    optimizer, keys = BLOCKS[name]
    schedule = {"schedule": keys["schedule"]} if "schedule" in keys else {}
    block = Training(optimizer=optimizer, check_every=5, batch_size=6, **schedule)
    plain = block.model_copy(
        update={"optimizer": OPTIMIZERS["sgd"].model_copy(update={"lr": optimizer.lr})}
    )
    steps, like = torch.tensor([0, 11, 38]), torch.zeros(3, 1)
    pace = pace_of_round(block, steps, 6, 40, like)
    assert pace.rate.dtype == torch.float32 and pace.rate.shape == (3, 5)
    descent = build_descent(plain, 6, 40)
    for step in range(5):
        theta, _ = descent.step(like, -torch.ones(3, 1), {}, steps + step)
        torch.testing.assert_close(pace.rate[:, step], theta[:, 0], rtol=1e-6, atol=0)


def test_corrections_of_adam_go_by_a_rows_own_steps() -> None:
    pace = pace_of_round(training("adam"), torch.tensor([0, 6]), 40, 40, torch.zeros(2, 1))
    for row, taken in enumerate([0, 6]):
        for step in range(5):
            count = taken + step + 1
            assert pace.corrected[row, step] == pytest.approx(0.01 / (1 - 0.8**count))
            assert pace.root[row, step] == pytest.approx(sqrt(1 - 0.99**count))
