"""The base of all keys of a preset, and the lists of kinds that its unions are built from.

A preset is a tree of *parts*, frozen pydantic models whose fields are its keys. Some parts come
in *kinds*, told apart by their key `kind`; each kind of data set and of network is one class in a
file of its own, listed once in a registry (`Kinds`). This module imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from functools import reduce
from operator import or_
from typing import Annotated, Any, Generic, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo


class Part(BaseModel):
    """A part of a preset: strict types, no unknown keys, only finite numbers, never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


AnyPart = TypeVar("AnyPart", bound=Part)

Fraction = Annotated[float, Field(gt=0, lt=1)]
"""A share strictly between 0 and 1."""

# Whole numbers are bounded, so that none is too large for any code that computes with it.
PositiveInt = Annotated[int, Field(gt=0, le=2**53)]
"""A whole number from 1, such as a number of steps."""
NonNegativeInt = Annotated[int, Field(ge=0, le=2**53)]
"""A whole number from 0."""
SeedInt = Annotated[int, Field(ge=0, lt=2**64)]
"""The seed of a random stream."""
Size = Annotated[int, Field(gt=0, le=10**7)]
"""A size of something that is made: units of a layer, pixels of a side, points, beads."""

#: The largest number that float32 holds, and so the highest loss.
LARGEST_LOSS = 3.4028234663852886e38
#: The most layers, blocks or widths that a network's keys may list.
MOST_LAYERS = 1000


# ---------------------------------------------------------------- what keys name


class Names(Enum):
    """The thing outside the preset that the text of a key names, as a mark in its annotation."""

    PATH = "a file or folder"
    FUNCTION = "a Python function, as package.module:function or file.py:function"


PathName = Annotated[str, Names.PATH]
"""A key whose text is the path of a file or folder."""
FunctionName = Annotated[str, Names.FUNCTION]
"""A key whose text names a function of the user's own."""


def renamed(part: AnyPart, new: Callable[[Names, str], str]) -> AnyPart:
    """Returns the part in which each text that names something is replaced by `new` of it.

    Parts within the part are included, except for those in lists.
    """
    changed: dict[str, Any] = {}
    for key, field in type(part).model_fields.items():
        value, names = getattr(part, key), _names(field)
        if isinstance(value, Part):
            changed[key] = renamed(value, new)
        elif isinstance(value, str) and names is not None:
            changed[key] = new(names, value)
    changed = {key: value for key, value in changed.items() if value != getattr(part, key)}
    return part.model_copy(update=changed) if changed else part


def functions_in(part: Part) -> Iterator[str]:
    """Yields the names of the user's own functions that a part, or a part within it, names."""
    return (name for _, name in named_functions(part))


def named_functions(part: Part, at: str = "") -> Iterator[tuple[str, str]]:
    """Yields the dotted key and the name of each function of the user's own that a part names.

    `at` is what stands before the keys.
    """
    for key, field in type(part).model_fields.items():
        value = getattr(part, key)
        if isinstance(value, Part):
            yield from named_functions(value, f"{at}{key}.")
        elif isinstance(value, str) and _names(field) is Names.FUNCTION:
            yield f"{at}{key}", value


def _names(field: FieldInfo) -> Names | None:
    """Returns what the text of a key names, or None where it names nothing."""
    return next((each for each in field.metadata if isinstance(each, Names)), None)


# ---------------------------------------------------------------- kinds


def words_of(kind: type[BaseModel]) -> tuple[str, ...]:
    """Returns the words that a class allows for its key `kind`, or () where it has no such key."""
    field = kind.model_fields.get("kind")
    return get_args(field.annotation) if field else ()


class Kinds(Generic[AnyPart]):
    """A registry: the classes of one part of a preset, told apart by the key `kind`."""

    def __init__(self, *listed: type[AnyPart]) -> None:
        """Registers these classes, each of which has a field `kind` with words of its own."""
        self._listed = list(listed)
        self._union: Any = None

    def __iter__(self) -> Iterator[type[AnyPart]]:
        """Yields the classes in the order in which they were registered."""
        return iter(self._listed)

    def register(self, kind: type[AnyPart]) -> None:
        """Adds a class whose field `kind` is a Literal of words that no other class has.

        Raises RuntimeError after `union` was asked for, because presets would not know the kind.
        """
        if self._union is not None:
            raise RuntimeError(f"{kind.__name__} is registered after engine.spec was imported")
        self._listed.append(kind)

    def union(self) -> Any:
        """Returns the annotation of a key that may hold any of the kinds."""
        self._union = (
            self._union or Annotated[reduce(or_, self._listed), Field(discriminator="kind")]
        )
        return self._union
