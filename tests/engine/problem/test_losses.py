"""Losses of single samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.problem.losses import LOSSES


def test_losses_against_numpy() -> None:
    output, target = np.array([[0.3, -1.2], [2.0, 0.5]]), np.array([[0.1, 0.4], [1.0, -0.5]])
    a, b = torch.from_numpy(output), torch.from_numpy(target)
    assert LOSSES["mse"](a, b).tolist() == pytest.approx(((output - target) ** 2).sum(1))
    assert LOSSES["l1"](a, b).tolist() == pytest.approx(abs(output - target).sum(1))
    softmax = np.exp(output) / np.exp(output).sum(1, keepdims=True)
    entropy = -np.log(softmax[[0, 1], [1, 0]])
    assert LOSSES["cross_entropy"](a, torch.tensor([1, 0])).tolist() == pytest.approx(entropy)
