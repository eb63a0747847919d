"""How alike the hidden representations of a path's models are: linear CKA.

Kornblith et al. 2019, *Similarity of Neural Network Representations Revisited*: with the
representations X and Y (sample, value) of two models, less their means over the samples,
CKA = ‖XᵀY‖² / (‖XᵀX‖ ‖YᵀY‖) in Frobenius norms. It is 1 where one is the other turned, mirrored
or scaled. It is computed from the products of samples, ⟨XXᵀ, YYᵀ⟩ / (‖XXᵀ‖ ‖YYᵀ‖), which is the
same number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from engine.problem.problem import Problem
from engine.quantities.base import Found, Kind, Measurement, floats
from engine.quantities.models import OneByOne
from engine.quantities.outputs import no_single_output
from engine.quantities.path import Path, Place
from engine.quantities.representations import HELD_BYTES, OUTPUT, centred_grams, layers_of
from engine.record.quantity import Series
from engine.seeds import generator

#: The number of training samples at most, and at least.
MOST, LEAST = 512, 4
#: The number of neighbouring places that a worker compares at a time.
AT_ONCE = 8


class Cka(Kind):
    """Linear CKA with the first end and with the place before, at every hidden layer."""

    title: ClassVar[str] = "the likeness of hidden representations (linear CKA)"

    def refusal(self, problem: Problem) -> str | None:
        """See `Kind`."""
        if len(problem.train) < LEAST:
            return f"it needs {LEAST} training samples or more"
        return no_single_output(problem)

    def samples(self, path: Path, problem: Problem) -> int:
        """See `Kind`."""
        return min(MOST, len(problem.train)) * (len(path.places) * (AT_ONCE + 1) // AT_ONCE + 1)

    def measured(self, on: Measurement) -> Found:
        """See `Kind`."""
        backend = on.pool.backend.to(on.dtype)
        assert isinstance(backend, OneByOne)
        layers = layers_of(backend)
        samples = _drawn(on.problem, max(layers.values()), on.seed)
        places = on.path.places

        def grams(backend: OneByOne, place: Place) -> list[Tensor]:
            return centred_grams(backend, on.path.weights(place), layers, samples)

        def compared(backend: OneByOne, some: slice) -> list[list[float]]:
            before, found = None, []
            for place in places[max(0, some.start - 1) : some.stop]:
                here = grams(backend, place)
                if before is not None or some.start == 0:
                    found.append(_alike(here, first) + _alike(here, before or here))
                before = here
            return found

        (first,) = on.each(grams, places[:1], len(samples))
        runs = [slice(at, at + AT_ONCE) for at in range(0, len(places), AT_ONCE)]
        found = on.each(compared, runs, len(samples) * (AT_ONCE + 1))
        numbers = torch.tensor([row for run in found for row in run])  # (place, 2 × layer)
        with_first, with_before = torch.split(numbers.T, len(layers))
        with_before[:, 0] = torch.nan  # there is none before the first
        return Found(
            (
                *_series("first", "CKA with the first end", layers, with_first),
                *_series("before", "CKA with the place before", layers, with_before),
            ),
            notes=_notes(len(samples), layers),
        )


def _alike(one: Sequence[Tensor], other: Sequence[Tensor]) -> list[float]:
    """Returns the CKA of two models at each layer, from their products of norm 1."""
    return [float((a * b).sum()) for a, b in zip(one, other, strict=True)]


def _series(key: str, chart: str, layers: Iterable[str], numbers: Tensor) -> list[Series]:
    """Returns the likeness at each layer, whose numbers are (layer, place)."""
    named = [
        ("output", "output") if name == OUTPUT else (f"into_{name}", f"into {name}")
        for name in layers
    ]
    return [
        Series(f"{key}_{short}", words, chart, floats(values))
        for (short, words), values in zip(named, numbers, strict=True)
    ]


def _drawn(problem: Problem, values: int, seed: int) -> Tensor:
    """Returns the numbers of the training samples that are represented, in rising order.

    They are as many as memory holds of the widest layer, which has so many `values` for a sample.
    """
    fit = max(LEAST, HELD_BYTES // (8 * values))
    count = min(len(problem.train), MOST, fit)
    drawn = generator(seed, "cka").choice(len(problem.train), count, replace=False)
    return torch.from_numpy(drawn).sort().values


def _notes(samples: int, layers: dict[str, int]) -> tuple[str, ...]:
    """Returns what is to be said of the numbers."""
    said = [f"Over {samples} training samples; the value into a layer is what that layer takes."]
    wide = [name for name, values in layers.items() if values > samples]
    if wide:
        said.append(
            f"{len(wide)} of {len(layers)} representations have more values than there are "
            "samples, which raises CKA."
        )
    return tuple(said)


QUANTITY = Cka()
