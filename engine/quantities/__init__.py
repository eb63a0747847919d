"""Quantities that lie along a path: how its models compute, and how the loss bends around them.

Each quantity is one file: a module of this package with a `QUANTITY`, which says what networks it
refuses, how long it takes, and how it is measured (`base`). `QUANTITIES` lists them, in the order
in which they are measured. Importing this package imports no torch; a quantity's module does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.quantities.base import Kind

#: The quantities by name, each with what it is in a few words.
QUANTITIES: dict[str, str] = {
    "ensemble": "the mean of the beads' outputs as a model, and how far beads disagree",
    "distances": "how far each two beads differ as functions",
    "swa": "the average of weights along the path as a model",
    "gradient": "the norm of the loss's gradient",
    "calibration": "how far confidence is from accuracy, and the likelihood",
    "classes": "the accuracy of each class",
    "cka": "how alike the hidden representations are",
    "sharpness": "the largest eigenvalues of the loss's Hessian, and its trace",
}


def quantity(name: str) -> Kind:
    """Returns the quantity of that name in `QUANTITIES`, whose module is imported now."""
    found: Kind = importlib.import_module(f"{__name__}.{name}").QUANTITY
    return found
