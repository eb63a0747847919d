"""How far each two beads of a path differ as functions, in what they put out for samples.

Distances of weights say little of this, since relabelled models are far apart and compute the same
(Fort et al. 2019, *Deep Ensembles: A Loss Landscape Perspective*; Benjamin et al. 2019, *Measuring
and Regularizing Networks in Function Space*).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from engine.problem.problem import Problem, Split
from engine.quantities.base import SPLITS, Found, Kind, Measurement, floats, splits_of
from engine.quantities.models import OneByOne
from engine.quantities.outputs import distance, gives_scores, no_single_output, outputs, share
from engine.quantities.path import Path
from engine.record.quantity import Row, Series, Table

DIFFERENT, APART = "disagreement", "distance of outputs"
OF_SCORES = (
    "The table and the curves have a number for each two beads: the mean total variation of their "
    "probabilities. Disagreement is the share of samples whose predicted class differs."
)
OF_VALUES = (
    "The table and the curves have a number for each two beads: the root of the mean squared "
    "Euclidean distance of their outputs."
)


class Distances(Kind):
    """How far each two beads differ, over the samples held out where there are any."""

    title: ClassVar[str] = "how far each two beads differ as functions"

    def refusal(self, problem: Problem) -> str | None:
        """See `Kind`."""
        return no_single_output(problem)

    def samples(self, path: Path, problem: Problem) -> int:
        """See `Kind`."""
        return len(problem.samples(splits_of(problem)[-1])) * len(path.at_beads)

    def measured(self, on: Measurement) -> Found:
        """See `Kind`. Points between beads have no numbers."""
        split, known = splits_of(on.problem)[-1], on.statistics()

        def of_piece(backend: OneByOne, some: slice) -> Tensor:
            return summed(backend, on.path, known, split, some)

        sums = torch.stack(on.in_pieces(of_piece, split)).sum(0)
        different, apart = sums / len(on.problem.samples(split))
        scores = gives_scores(on.problem)
        apart = apart if scores else apart.sqrt()
        charts = {APART: apart} | ({DIFFERENT: different} if on.problem.classes else {})
        return Found(
            tuple(each for chart, of in charts.items() for each in _series(on, split, chart, of)),
            _table(on, apart),
            (f"{OF_SCORES if scores else OF_VALUES} Measured on the {SPLITS[split]} samples.",),
        )


def summed(
    backend: OneByOne, path: Path, known: list[dict[str, Tensor]], split: Split, some: slice
) -> Tensor:
    """Returns sums over some samples of a split for each two beads, (2, bead, bead) float64.

    They are those of the samples whose predicted classes differ, and of the distances of outputs.
    `known` are the beads' statistics of batch normalization. The outputs of all beads for these
    samples are in memory.
    """
    problem = backend.problem
    x, _ = problem.samples(split).part(some, problem.dtype)
    put_out = []
    for place, statistics in zip(path.at_beads, known, strict=True):
        with backend.model(path.weights(place), statistics or None) as model:
            put_out.append(outputs(problem, model, x).cpu())
    found = torch.zeros(2, len(put_out), len(put_out), dtype=torch.float64)
    for one, here in enumerate(put_out):
        for other, there in enumerate(put_out[:one]):
            found[1, one, other] = distance(problem, here, there).sum()
            if problem.classes is not None:
                found[0, one, other] = share(here.argmax(1) != there.argmax(1)).sum()
    return found + found.mT


def _series(on: Measurement, split: Split, chart: str, of: Tensor) -> list[Series]:
    """Returns a column of (bead, bead) for each bead: the others' distances from it."""
    key = chart.partition(" ")[0]
    return [
        Series(
            f"{split}_{key}_{place.bead}",
            f"from bead {place.bead}",
            chart,
            on.path.spread(floats(column)),
        )
        for place, column in zip(on.path.at_beads, of.T, strict=True)
    ]


def _table(on: Measurement, of: Tensor) -> Table:
    """Returns (bead, bead) as a table."""
    beads = [f"{place.bead}" for place in on.path.at_beads]
    rows = (Row(f"bead {bead}", floats(row)) for bead, row in zip(beads, of, strict=True))
    return Table(tuple(f"to {bead}" for bead in beads), tuple(rows))


QUANTITY = Distances()
