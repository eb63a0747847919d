"""The norm of the training loss's gradient along a path."""

from __future__ import annotations

from typing import ClassVar

import torch

from engine.problem.problem import Problem
from engine.quantities.base import Found, Kind, Measurement, floats
from engine.quantities.models import OneByOne
from engine.quantities.path import Path
from engine.record.quantity import Series
from engine.shapes import Weights

#: How many passes forward a pass forward and backward counts as.
PASSES = 3

NORMALIZED = (
    "The loss is what a step on all samples computes: batch normalization goes by the batch, and "
    "derivatives go through its statistics."
)


class Gradient(Kind):
    """‖∇F_e‖₂ at each place, over all training samples."""

    title: ClassVar[str] = "the gradient of the training loss"

    def samples(self, path: Path, problem: Problem) -> int:
        """See `Kind`."""
        return PASSES * len(problem.train) * len(path.places)

    def measured(self, on: Measurement) -> Found:
        """See `Kind`."""

        def norm(backend: OneByOne, theta: Weights) -> float:
            _, slope = backend.slope(theta)
            return float(torch.linalg.vector_norm(slope))

        norms = on.at_places(norm, PASSES * len(on.problem.train))
        notes = (NORMALIZED,) if on.problem.normalizes else ()
        return Found((Series("norm", "training", "gradient norm", floats(norms)),), notes=notes)


QUANTITY = Gradient()
