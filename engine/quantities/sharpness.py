"""How the training loss bends around the models of a path: its Hessian (Keskar et al. 2017).

The products of the Hessian with vectors are exact and over all training samples, in pieces
(Pearlmutter 1994). `spectrum` makes eigenvalues and a trace of them, as PyHessian (Yao et al. 2020)
does by power iteration.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

from engine.problem.problem import Problem
from engine.quantities.base import Found, Kind, Measurement, floats
from engine.quantities.gradient import NORMALIZED
from engine.quantities.models import OneByOne
from engine.quantities.path import Path
from engine.quantities.spectrum import PROBES, WHOLE, Floats, spectrum
from engine.record.quantity import Series
from engine.seeds import derive
from engine.shapes import Weights

#: The number of eigenvalues.
TOP = 3
#: How many passes forward a product counts as, and about how many products eigenvalues take.
PASSES, LANCZOS_PRODUCTS = 4, 50


class Sharpness(Kind):
    """The largest eigenvalues and the trace of the training loss's Hessian at each place."""

    title: ClassVar[str] = "the sharpness of the training loss (its Hessian)"

    def refusal(self, problem: Problem) -> str | None:
        """See `Kind`. A product with the Hessian is tried on two samples."""
        theta = problem.initial(0)
        try:
            OneByOne(problem.cut("train", 2)).hessian(theta)(torch.ones_like(theta))
        except (RuntimeError, NotImplementedError) as error:
            return f"torch has no second derivative of the network or its loss ({_first(error)})"
        return None

    def samples(self, path: Path, problem: Problem) -> int:
        """See `Kind`."""
        return len(path.places) * _samples(problem)

    def measured(self, on: Measurement) -> Found:
        """See `Kind`. The same random vectors are drawn at every place."""
        seed, precise = derive(on.seed, "sharpness"), on.dtype == torch.float64
        size = on.problem.parameter_count

        def of_model(backend: OneByOne, theta: Weights) -> list[float]:
            product = backend.hessian(theta)

            def times(vector: Floats) -> Floats:
                there = torch.from_numpy(np.ascontiguousarray(vector)).to(backend.problem.device)
                return product(there).double().cpu().numpy()

            found = spectrum(times, size, min(TOP, size), seed, precise=precise)
            return [*found.largest, found.trace, found.error]

        numbers = on.at_places(of_model, _samples(on.problem))
        *largest, trace, error = map(floats, zip(*numbers, strict=True))
        series = [
            Series(f"eigenvalue_{number}", f"number {number}", "largest eigenvalues", values)
            for number, values in enumerate(largest, 1)
        ]
        series.append(Series("trace", "trace", "trace", trace))
        if any(error):
            series.append(Series("trace_error", "its standard error", "trace", error))
        return Found(tuple(series), notes=_notes(on.problem))


def _samples(problem: Problem) -> int:
    """Returns the number of samples that are computed at a place, about."""
    size = problem.parameter_count
    products = size if size <= WHOLE else LANCZOS_PRODUCTS + PROBES
    return products * PASSES * len(problem.train)


def _notes(problem: Problem) -> tuple[str, ...]:
    """Returns what is to be said of the numbers."""
    said = ["Of the Hessian of the mean training loss over all samples, without weight decay."]
    if problem.parameter_count > WHOLE:
        said.append(
            f"The trace is the eigenvalues found and Hutchinson's estimate of the rest from "
            f"{PROBES} random vectors."
        )
    return (*said, NORMALIZED) if problem.normalizes else tuple(said)


def _first(error: BaseException) -> str:
    """Returns the first line of what an error says."""
    return (str(error).splitlines() or [type(error).__name__])[0]


QUANTITY = Sharpness()
