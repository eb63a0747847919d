"""The accuracy of each class along a path."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from engine.problem.problem import Problem, Split
from engine.quantities.base import SPLITS, Found, Kind, Measurement, floats, samples_of
from engine.quantities.models import OneByOne
from engine.quantities.outputs import labels, outputs
from engine.quantities.path import Path
from engine.record.quantity import Series
from engine.shapes import Weights

NOTE = "Of the samples of a class, the share that the model puts into it; none where it has none."


class Classes(Kind):
    """The share of each class's samples that is put into it, at each place, on both splits."""

    title: ClassVar[str] = "the accuracy of each class"

    def refusal(self, problem: Problem) -> str | None:
        """See `Kind`."""
        return None if problem.classes is not None else "the network gives no scores of classes"

    def samples(self, path: Path, problem: Problem) -> int:
        """See `Kind`."""
        return samples_of(problem) * len(path.places)

    def measured(self, on: Measurement) -> Found:
        """See `Kind`."""
        splits = on.splits

        def of_model(backend: OneByOne, theta: Weights) -> Tensor:
            return torch.cat([accuracies(backend, theta, split) for split in splits])

        found = torch.stack(on.at_places(of_model, samples_of(on.problem)))  # (place, class)
        classes = on.problem.classes or 0
        keys = [(split, each) for split in splits for each in range(classes)]
        series = [
            Series(f"{split}_{each}", str(each), f"{SPLITS[split]} accuracy", floats(values))
            for (split, each), values in zip(keys, found.T, strict=True)
        ]
        return Found(tuple(series), notes=(NOTE,))


def accuracies(backend: OneByOne, theta: Weights, split: Split) -> Tensor:
    """Returns the accuracy of a model on each class of a split, (class,) float64.

    It is NaN where the split has no sample of a class.
    """
    problem, samples = backend.problem, backend.problem.samples(split)
    classes = problem.classes or 0
    right, every = (torch.zeros(classes, dtype=torch.float64) for _ in range(2))
    with backend.model(theta) as model:
        for some in backend.bounds(samples):
            x, y = samples.part(some, problem.dtype)
            true = labels(y)
            hits = true[outputs(problem, model, x).argmax(1) == true]
            right += torch.bincount(hits.flatten(), minlength=classes)[:classes].cpu()
            every += torch.bincount(true.flatten(), minlength=classes)[:classes].cpu()
    return right / every


QUANTITY = Classes()
