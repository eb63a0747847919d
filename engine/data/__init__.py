"""Data sets as numpy arrays: what a spec names, loaded. No torch here."""

from __future__ import annotations

from pathlib import Path
from threading import RLock

from engine.data import cifar10, idx, images, text
from engine.data.arrays import load_arrays
from engine.data.base import Dataset
from engine.data.digits import load_digits
from engine.data.files import locate
from engine.data.linear_map import make_linear_map
from engine.data.points import make_points
from engine.data.polynomial import make_polynomial
from engine.spec.keys import (
    ArraysData,
    Cifar10Data,
    CustomData,
    Data,
    DigitsData,
    IdxData,
    LinearMapData,
    PointsData,
    PolynomialData,
    TextData,
)

__all__ = ["Dataset", "caveat", "counts", "load_data"]

#: Data sets that stay loaded, and the lock of those that load one.
KEPT, LOADING = 8, RLock()
_loaded: dict[tuple[object, ...], Dataset] = {}


def load_data(spec: Data) -> Dataset:
    """The data set of a spec. Raises InputError where a user's file does not hold one.

    It is loaded once a process, and again where its files have changed; all callers share the
    arrays, so none may write to them.
    """
    with LOADING:
        key = (spec.model_dump_json(), *_stamps(spec))
        data = _loaded.pop(key, None)
        _loaded[key] = _load(spec) if data is None else data
        while len(_loaded) > KEPT:
            del _loaded[next(iter(_loaded))]
        return _loaded[key]


def counts(spec: Data) -> tuple[int, int]:
    """Training and held-out samples; of images without decoding them. Raises InputError."""
    match spec:
        case IdxData():
            return images.sizes(spec, *idx.stored(spec))
        case Cifar10Data():
            return images.sizes(spec, *cifar10.stored(spec))
        case _:
            data = load_data(spec)
            return len(data.x), len(data.x_held_out)


def caveat(spec: Data) -> str | None:
    """What must be said of results on these data: that the files hold a subset. Raises InputError.

    None where there is nothing to say. A subset that the spec itself asks for is not counted.
    """
    match spec:
        case IdxData():
            return images.caveat(spec.kind, *idx.stored(spec))
        case Cifar10Data():
            return images.caveat(spec.kind, *cifar10.stored(spec))
        case _:
            return None


def _load(spec: Data) -> Dataset:
    match spec:
        case PolynomialData():
            return make_polynomial(spec)
        case LinearMapData():
            return make_linear_map(spec)
        case PointsData():
            return make_points(spec)
        case DigitsData():
            return load_digits()
        case ArraysData():
            return load_arrays(spec)
        case IdxData():
            return idx.load_idx(spec)
        case Cifar10Data():
            return cifar10.load_cifar10(spec)
        case TextData():
            return text.load_text(spec)
        case CustomData():
            from engine.data.custom import load_custom

            return load_custom(spec)


def _stamps(spec: Data) -> list[tuple[str, int, int]]:
    """The files of a spec: place, bytes, and time of the last change."""
    stamps = []
    for path in _files(spec):
        state = path.stat()
        stamps.append((str(path), state.st_size, state.st_mtime_ns))
    return stamps


def _files(spec: Data) -> list[Path]:
    match spec:
        case ArraysData():
            found = locate(spec.path)
            return [found] if found else []
        case IdxData():
            return list(idx.needed_files(spec).values())
        case Cifar10Data():
            train, test = cifar10.needed_files(spec)
            return [*train, *([test] if test else [])]
        case TextData():
            return text.files(spec)
        case _:
            return []
