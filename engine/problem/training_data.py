"""The training samples of a problem as arrays, for those who take them elsewhere."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray

from engine.problem.problem import build_problem
from engine.spec.problem import ProblemSpec


def training_data(spec: ProblemSpec) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns the training samples of a spec as its network and its loss see them, in float32.

    Raises InputError where the parts of the spec do not fit.
    """
    x, y = build_problem(spec).train.part(slice(None), torch.float32)
    return x.numpy(), y.numpy()
