"""How far the confidence of a classifier is from its accuracy (Guo et al. 2017).

A sample's confidence is the probability of its predicted class. The expected calibration error
(ECE) sorts samples into bins by it, and takes the mean over the samples of the distance between
their bin's accuracy and its mean confidence.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from engine.problem.problem import Problem, Split
from engine.quantities.base import SPLITS, Found, Kind, Measurement, floats, samples_of
from engine.quantities.models import OneByOne
from engine.quantities.outputs import labels, no_scores, outputs
from engine.quantities.path import Path
from engine.record.quantity import Series
from engine.shapes import Weights

#: The number of bins, of equal width.
BINS = 15

NOTE = (
    f"The calibration error is over {BINS} bins of equal width; a bin holds its upper edge. The "
    "negative log-likelihood is in nats, and every sample counts alike."
)


def in_bins(confidence: Tensor, right: Tensor) -> Tensor:
    """Returns count, sum of confidences and number of right answers of each bin, (3, bin) float64.

    A bin holds its upper edge and not its lower one, and the first one 0 too.
    """
    confidence = confidence.flatten().double()
    edges = torch.arange(1, BINS, dtype=torch.float64, device=confidence.device) / BINS
    which = torch.bucketize(confidence, edges)
    weights = torch.stack([torch.ones_like(confidence), confidence, right.flatten().double()])
    return torch.stack([torch.bincount(which, each, BINS) for each in weights])


def expected_error(bins: Tensor) -> float:
    """Returns the expected calibration error of bins as `in_bins` gives them."""
    count, confidence, right = bins
    return float((confidence - right).abs().sum() / count.sum())


class Calibration(Kind):
    """Expected calibration error and negative log-likelihood at each place, on both splits."""

    title: ClassVar[str] = "how far confidence is from accuracy"

    def refusal(self, problem: Problem) -> str | None:
        """See `Kind`."""
        return no_scores(problem)

    def samples(self, path: Path, problem: Problem) -> int:
        """See `Kind`."""
        return samples_of(problem) * len(path.places)

    def measured(self, on: Measurement) -> Found:
        """See `Kind`."""
        splits = on.splits

        def of_model(backend: OneByOne, theta: Weights) -> list[float]:
            return [each for split in splits for each in calibration(backend, theta, split)]

        found = on.at_places(of_model, samples_of(on.problem))
        keys = [
            (f"{split}_{key}", SPLITS[split], chart)
            for split in splits
            for key, chart in (
                ("ece", "expected calibration error"),
                ("nll", "negative log-likelihood"),
            )
        ]
        series = [
            Series(key, words, chart, floats(values))
            for (key, words, chart), values in zip(keys, zip(*found, strict=True), strict=True)
        ]
        return Found(tuple(series), notes=(NOTE,))


def calibration(backend: OneByOne, theta: Weights, split: Split) -> tuple[float, float]:
    """Returns the calibration error of a model over a split, and its negative log-likelihood."""
    problem, samples = backend.problem, backend.problem.samples(split)
    bins, likelihood = torch.zeros(3, BINS, dtype=torch.float64), 0.0
    with backend.model(theta) as model:
        for some in backend.bounds(samples):
            x, y = samples.part(some, problem.dtype)
            logs, true = outputs(problem, model, x), labels(y)
            confidence, predicted = logs.max(1)
            bins += in_bins(confidence.exp(), predicted == true).cpu()
            likelihood -= float(logs.gather(1, true[:, None]).double().sum())
    return expected_error(bins), likelihood / float(bins[0].sum())


QUANTITY = Calibration()
