"""The training samples of a problem as arrays, for files that carry them along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from engine.data import fields
from engine.problem.problem import build_problem
from engine.record.tensor_file import Pieced
from engine.spec.problem import ProblemSpec


def training_data(spec: ProblemSpec) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns x and y of a spec's training samples as network and loss take them, in float32.

    They are `Pieced`: made some samples at a time, where a file is written. Several inputs are the
    fields of one x. Raises InputError where the parts of the spec do not fit.
    """
    samples = build_problem(spec).train
    x = _pieced(len(samples), lambda some: samples.part(some, torch.float32)[0])
    y = _pieced(len(samples), lambda some: samples.targets(some, torch.float32))
    return cast("NDArray[Any]", x), cast("NDArray[Any]", y)


def _pieced(count: int, part: Callable[[slice], Any]) -> Pieced:
    """Returns the inputs or the targets of so many samples, which a function gives of some."""
    first = _array(part(slice(0, 1)))
    return Pieced(count, first.shape[1:], first.dtype, lambda some: _array(part(some)))


def _array(part: Any) -> NDArray[Any]:
    """Returns some samples' inputs or targets as an array (sample, …)."""
    if not isinstance(part, dict):
        return part.numpy()  # type: ignore[no-any-return]
    return fields.joined({name: np.asarray(each) for name, each in part.items()})
