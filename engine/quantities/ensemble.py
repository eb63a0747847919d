"""The models of a path as an ensemble, and how far they disagree.

An ensemble puts out the mean of its members' probabilities (Lakshminarayanan et al. 2017, *Simple
and Scalable Predictive Uncertainty Estimation using Deep Ensembles*). It gains by what the members
disagree about (Fort et al. 2019, *Deep Ensembles: A Loss Landscape Perspective*).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from engine.problem.problem import Problem, Split
from engine.quantities.base import SPLITS, Found, Kind, Measurement, floats, samples_of
from engine.quantities.models import OneByOne
from engine.quantities.outputs import (
    Mean,
    distance,
    gives_scores,
    labels,
    no_single_output,
    outputs,
    share,
)
from engine.quantities.path import Path
from engine.record.quantity import Row, Series, Table

TOLD = "Of the best bead each column has the best value."
OF_SCORES = (
    "An ensemble puts out the mean of its beads' probabilities. Disagreement is the share of "
    "samples whose predicted class differs, and the distance of outputs the mean total variation."
)
OF_VALUES = (
    "An ensemble puts out the mean of its beads' outputs. The distance of outputs is the root of "
    "the mean squared Euclidean one."
)


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over samples, which become means of a split."""

    members: Tensor
    """Of each bead (bead, 6): loss, wrong answers, samples whose class differs from that of the
    first bead and of the bead before, and distances from these two."""
    means: Tensor
    """Of all beads' mean and of the two ends' (2, 2): loss and wrong answers."""
    count: float
    """The number of samples."""
    weight: float
    """The weights of the samples in the loss."""

    def __add__(self, other: Sums) -> Sums:
        """Returns the sums over the samples of both."""
        return Sums(
            self.members + other.members,
            self.means + other.means,
            self.count + other.count,
            self.weight + other.weight,
        )


class Ensemble(Kind):
    """The mean of the beads' outputs as a model, and how far beads disagree, on both splits."""

    title: ClassVar[str] = "the beads as an ensemble"

    def refusal(self, problem: Problem) -> str | None:
        """See `Kind`."""
        return no_single_output(problem)

    def samples(self, path: Path, problem: Problem) -> int:
        """See `Kind`."""
        return samples_of(problem) * len(path.at_beads)

    def measured(self, on: Measurement) -> Found:
        """See `Kind`. Only beads are members, whatever points lie between them."""
        problem, known = on.problem, on.statistics()
        found = {split: self._on(on, split, known) for split in on.splits}
        series = [each for split, sums in found.items() for each in _series(on, split, sums)]
        scores = gives_scores(problem)
        return Found(
            tuple(series), _table(problem, found), (OF_SCORES if scores else OF_VALUES, TOLD)
        )

    def _on(self, on: Measurement, split: Split, known: list[dict[str, Tensor]]) -> Sums:
        """Returns the sums over the samples of a split."""

        def of_piece(backend: OneByOne, some: slice) -> Sums:
            return summed(backend, on.path, known, split, some)

        first, *rest = on.in_pieces(of_piece, split)
        return sum(rest, first)


def summed(
    backend: OneByOne, path: Path, known: list[dict[str, Tensor]], split: Split, some: slice
) -> Sums:
    """Returns the sums over some samples of a split. One bead after another is in memory.

    `known` are the beads' statistics of batch normalization.
    """
    problem = backend.problem
    x, y = problem.samples(split).part(some, problem.dtype)
    loss = problem.sample_loss
    whole, ends, members = Mean(problem), Mean(problem), []
    first = before = torch.empty(0)
    places = path.at_beads

    def judged(output: Tensor) -> list[Tensor]:
        wrong = torch.zeros(len(y)) if problem.classes is None else differs(output, labels(y))
        return [loss(output, y).double().sum(), wrong.sum().double()]

    def differs(output: Tensor, classes: Tensor) -> Tensor:
        return share(output.argmax(1) != classes)

    for number, place in enumerate(places):
        with backend.model(path.weights(place), known[number] or None) as model:
            output = outputs(problem, model, x)
            first, before = (first, before) if number else (output, output)
            row = judged(output)
            for other in (first, before):
                apart = differs(output, other.argmax(1)) if problem.classes else torch.zeros(1)
                row.append(apart.sum())
            row += [distance(problem, output, other).sum() for other in (first, before)]
        members.append(torch.stack([each.cpu() for each in row]))
        whole.add(output)
        if number in (0, len(places) - 1):
            ends.add(output)
        before = output
    with backend.looking():
        means = torch.stack([torch.stack(judged(each.output)).cpu() for each in (whole, ends)])
        weight = float(problem.weights(y).sum())
    return Sums(torch.stack(members), means, float(len(y)), weight)


def _series(on: Measurement, split: Split, sums: Sums) -> list[Series]:
    """Returns what is measured of each bead on a split."""
    problem, words = on.problem, SPLITS[split]
    loss, wrong, *differs_from, from_first, from_before = sums.members.T / sums.count
    loss = loss * sums.count / sums.weight

    def series(key: str, words: str, chart: str, values: Tensor) -> Series:
        return Series(f"{split}_{key}", words, chart, on.path.spread(floats(values)))

    found = [series("loss", words, "loss", loss)]
    if problem.classes is not None:
        found.append(series("accuracy", words, "accuracy", 1 - wrong))
    apart = [("disagreement", differs_from)] if problem.classes is not None else []
    distances = [from_first, from_before]
    if not gives_scores(problem):
        distances = [each.sqrt() for each in distances]
    for chart, (first, before) in [*apart, ("distance of outputs", distances)]:
        key = chart.partition(" ")[0]
        found.append(series(f"{key}_first", f"{words}, from the first end", chart, first))
        before = before.clone()
        before[0] = torch.nan  # there is none before it
        found.append(series(f"{key}_before", f"{words}, from the bead before", chart, before))
    return found


def _table(problem: Problem, found: dict[Split, Sums]) -> Table:
    """Returns loss and accuracy of the ensembles beside those of single beads."""
    heads: list[str] = []
    columns: list[list[float]] = []
    for split, sums in found.items():
        single, means = sums.members[:, 0] / sums.weight, sums.means[:, 0] / sums.weight
        heads.append(f"{SPLITS[split]} loss")
        columns.append([*floats(means), float(single.min()), float(single.mean())])
        if problem.classes is not None:
            single = 1 - sums.members[:, 1] / sums.count
            means = 1 - sums.means[:, 1] / sums.count
            heads.append(f"{SPLITS[split]} accuracy")
            columns.append([*floats(means), float(single.max()), float(single.mean())])
    names = ("all beads together", "the two ends together", "best bead", "mean of the beads")
    rows = [
        Row(name, values) for name, values in zip(names, zip(*columns, strict=True), strict=True)
    ]
    return Table(tuple(heads), tuple(rows))


QUANTITY = Ensemble()
