"""Data sets as numpy arrays. Importing this package imports no torch.

Each kind is one file: a subclass of `DataKeys` with the kind's keys, its reader, and what else the
engine asks of it. `KINDS` lists the kinds, and the keys of presets are built from that list.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock

from engine.data.arrays import ArraysData
from engine.data.base import DataKeys, Dataset
from engine.data.cifar import Cifar10Data, Cifar100Data
from engine.data.custom import CustomData
from engine.data.digits import DigitsData
from engine.data.idx import IdxData
from engine.data.image_folder import ImageFolderData
from engine.data.linear_map import LinearMapData
from engine.data.points import PointsData
from engine.data.polynomial import PolynomialData
from engine.data.survey import Survey
from engine.data.text import TextData
from engine.errors import InputError, nearest
from engine.part import Kinds, words_of

__all__ = ["KINDS", "DataKeys", "Dataset", "counts", "is_named", "keys_of", "load_data", "surveys"]

#: The kinds of data sets, in the order in which `dss-tui data` shows them.
KINDS: Kinds[DataKeys] = Kinds(
    PolynomialData,
    LinearMapData,
    PointsData,
    DigitsData,
    ArraysData,
    IdxData,
    Cifar10Data,
    Cifar100Data,
    ImageFolderData,
    TextData,
    CustomData,
)

#: How many data sets stay loaded, and the lock that is held while one is loaded.
KEPT, LOADING = 8, RLock()
_loaded: dict[tuple[object, ...], Dataset] = {}


def load_data(spec: DataKeys) -> Dataset:
    """Returns the data set of these keys. Raises InputError where the files do not hold one.

    It is read once per process, and again where its files have changed. All callers share the
    arrays, so none may write to them.
    """
    with LOADING:
        key = (spec.model_dump_json(), *_stamps(spec))
        data = _loaded.pop(key, None)
        _loaded[key] = spec.read() if data is None else data
        while len(_loaded) > KEPT:
            del _loaded[next(iter(_loaded))]
        return _loaded[key]


def counts(spec: DataKeys) -> tuple[int, int]:
    """Returns how many samples are trained on and how many held out.

    Images are not decoded for it. Raises InputError where the files do not hold a data set.
    """
    stored = spec.stored_counts()
    if stored is not None:
        return stored
    data = load_data(spec)
    return len(data.x), len(data.x_held_out)


def is_named(name: str) -> bool:
    """Returns whether a data set has this name, or is of this kind."""
    return name in _looks()


def surveys(name: str | None = None) -> list[Survey]:
    """Returns a survey of every data set that has a name, or of those with one name or kind.

    Their files are read in full. Raises InputError for a name that no data set has.
    """
    if name is None:
        return [look() for kind in KINDS for look in kind.surveys().values()]
    looks = _looks()
    if name not in looks:
        raise InputError(f"no such data set; {nearest(name, list(looks))}", file=name)
    return [look() for look in looks[name]]


def _looks() -> dict[str, list[Callable[[], Survey]]]:
    """Returns the functions that look at the data sets of each name and of each kind."""
    looks: dict[str, list[Callable[[], Survey]]] = {}
    for kind in KINDS:
        own = kind.surveys()
        if own:
            looks |= {word: list(own.values()) for word in words_of(kind)}
        looks |= {each: [look] for each, look in own.items()}
    return looks


def keys_of(survey: Survey) -> DataKeys:
    """Returns the keys that read a data set that has a name, all else as it is by default."""
    (kind,) = (kind for kind in KINDS if survey.kind in words_of(kind))
    path = {} if survey.path is None else {"path": survey.path}
    return kind.model_validate({"kind": survey.kind} | path)


def _stamps(spec: DataKeys) -> list[tuple[str, int, int]]:
    """Returns each file's place, size in bytes, and time of the last change in ns."""
    states = [(path, path.stat()) for path in spec.files()]
    return [(str(path), state.st_size, state.st_mtime_ns) for path, state in states]
