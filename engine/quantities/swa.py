"""The average of weights along a path, as stochastic weight averaging takes it (SWA).

Izmailov et al. 2018, *Averaging Weights Leads to Wider Optima and Better Generalization*.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from engine.problem.problem import Problem
from engine.quantities.base import SPLITS, Found, Kind, Measurement, floats, samples_of
from engine.quantities.models import OneByOne
from engine.quantities.path import Path, Place
from engine.record.quantity import Row, Series, Table

NOTE = (
    "The average is the mean of the weights over the path's length, so that of each segment the "
    "middle counts in proportion to its length. Of the best bead each column has the lowest value."
)


class Swa(Kind):
    """The loss and the error of the average of weights, and of each place."""

    title: ClassVar[str] = "the average of weights along the path"

    def samples(self, path: Path, problem: Problem) -> int:
        """See `Kind`."""
        return 2 * samples_of(problem) * (len(path.places) + 1)

    def measured(self, on: Measurement) -> Found:
        """See `Kind`. The average has statistics of batch normalization of its own."""
        average, splits = on.path.centroid, on.splits
        errors = on.problem.classes is not None

        def of_model(backend: OneByOne, place: Place | None) -> list[float]:
            theta = average if place is None else on.path.weights(place)
            pairs = [backend.of_split(theta, split) for split in splits]
            return [value for pair in pairs for value in pair[: 1 + errors]]

        places: list[Place | None] = [*on.path.places, None]
        *along, mean = on.each(of_model, places, 2 * samples_of(on.problem))
        named = [
            (f"{split}_{key}", SPLITS[split], words)
            for split in splits
            for key, words in (("loss", "loss"), ("error", "error rate"))[: 1 + errors]
        ]
        numbers = torch.tensor(along, dtype=torch.float64)  # (place, column)
        beads = numbers[[place.bead is not None for place in on.path.places]]
        rows = (
            Row("average of weights", floats(mean)),
            Row("first end", floats(numbers[0])),
            Row("last end", floats(numbers[-1])),
            Row("best bead", floats(beads.min(0).values)),
        )
        series = tuple(
            Series(key, split, words, floats(values))
            for (key, split, words), values in zip(named, numbers.T, strict=True)
        )
        heads = tuple(f"{split} {words}" for _, split, words in named)
        return Found(series, Table(heads, rows), (NOTE,))


QUANTITY = Swa()
