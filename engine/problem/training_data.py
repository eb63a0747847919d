"""The training samples of a problem as numpy arrays, for files that carry them along."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch.utils._pytree import tree_map

from engine.data import fields
from engine.problem.problem import build_problem
from engine.spec.problem import ProblemSpec


def training_data(spec: ProblemSpec) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns x and y of a spec's training samples as network and loss take them, in float32.

    Raises InputError where the parts of the spec do not fit.
    """
    x, y = build_problem(spec).train.part(slice(None), torch.float32)
    inputs = tree_map(torch.Tensor.numpy, x)
    return fields.joined(inputs) if isinstance(inputs, dict) else inputs, y.numpy()
