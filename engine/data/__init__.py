"""Data sets as numpy arrays: what a spec names, loaded. No torch here."""

from __future__ import annotations

from engine.data.arrays import load_arrays
from engine.data.base import Dataset
from engine.data.digits import load_digits
from engine.data.polynomial import make_polynomial
from engine.spec import ArraysData, Data, DigitsData, PolynomialData

__all__ = ["Dataset", "load_data"]


def load_data(spec: Data) -> Dataset:
    """The data set of a spec. Raises InputError where a user's file does not hold one."""
    match spec:
        case PolynomialData():
            return make_polynomial(spec)
        case DigitsData():
            return load_digits()
        case ArraysData():
            return load_arrays(spec)
