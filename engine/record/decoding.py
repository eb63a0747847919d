"""Checks plain values of JSON and makes typed values of them. No torch here.

`decode(kind, value)` returns a plain value as an instance of `kind`, or raises `Unfit`. It
understands numbers, texts, `Literal`, enumerations, tuples, dicts, `X | None`, `Annotated` with a
`Range`, `Positive`, `Length` or `Formerly`, frozen dataclasses, unions of dataclasses that have a
`kind`, any dataclass below a `Kind`, pydantic models, and tensors and arrays that stand in their
places. Decoders are made once for each type and are plain closures, because a viewer reads tens of
thousands of events.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from engine.record.marks import Formerly, Kind, Length, Positive, Range
from engine.record.simple_values import SIMPLE, Decoder
from engine.record.unfit import Unfit, refused, short

T = TypeVar("T")


def parse_json(content: bytes | str) -> Any:
    """Returns the plain value of a JSON text.

    `NaN` and `Infinity` are understood, because Python's own writer makes them. Raises Unfit for
    what is no JSON, or is nested too deeply.
    """
    try:
        return from_json(content)
    except ValueError as error:
        raise Unfit(f"it is not whole JSON ({error})") from None


def decode(kind: type[T], value: Any) -> T:
    """Returns a plain value as an instance of a frozen dataclass or model. Raises Unfit."""
    hint: Any = kind
    made: T = decoder(hint)(value)
    return made


@cache
def decoder(hint: Any) -> Decoder:
    """Returns the decoder of a type. Raises TypeError for a type that has none."""
    if hint in SIMPLE:
        return SIMPLE[hint]
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _marked(decoder(parts[0]), parts[1:])
    if origin is Literal:
        return _one_of({word: word for word in parts})
    if origin in (Union, types.UnionType):
        return _union(parts)
    if origin is tuple:
        return _tuple(parts)
    if origin in (dict, Mapping):
        return _mapping(*map(decoder, parts))
    if getattr(origin, "__module__", None) == "numpy":
        (dtype,) = get_args(parts[1])
        return _array(dtype)
    if isinstance(hint, type):
        return _class(hint)
    raise TypeError(f"no decoder for {hint}")


def _class(kind: type) -> Decoder:
    """Returns the decoder of a class: an enumeration, a model, a dataclass, or any other."""
    if issubclass(kind, Enum):
        return _member(kind)
    if issubclass(kind, BaseModel):
        return _model(kind)
    if Kind in kind.__bases__:
        return _any_below(kind)
    return _object(kind) if is_dataclass(kind) else _instance(kind)


def _member(kind: type[Enum]) -> Decoder:
    """Returns a decoder of a member of an enumeration, which may have others than it lists."""
    listed = [member.value for member in kind]

    def decode(value: Any) -> Any:
        try:
            return kind(value)
        except ValueError:
            raise refused(value, f"one of {', '.join(map(str, listed))}") from None

    return decode


def _marked(decode: Decoder, marks: tuple[Any, ...]) -> Decoder:
    """Returns a decoder that also checks the marks of an `Annotated` type."""
    for mark in marks:
        match mark:
            case Range(low, high):
                decode = _within(decode, low, high)
            case Positive():
                decode = _above_zero(decode)
            case Length(least):
                decode = _at_least(decode, least)
    return decode


def _within(decode: Decoder, low: float, high: float) -> Decoder:
    """Returns a decoder of numbers that also checks their bounds."""

    def check(value: Any) -> Any:
        number = decode(value)
        if low <= number <= high:
            return number
        raise refused(value, f"from {low:g} to {high:g}")

    return check


def _above_zero(decode: Decoder) -> Decoder:
    """Returns a decoder of numbers that also checks that they are positive."""

    def check(value: Any) -> Any:
        number = decode(value)
        if number <= 0:
            raise refused(value, "above 0")
        return number

    return check


def _at_least(decode: Decoder, least: int) -> Decoder:
    """Returns a decoder of tuples that also checks their length."""

    def check(value: Any) -> Any:
        items = decode(value)
        if len(items) < least:
            raise Unfit(f"holds {len(items)} items, but must hold {least} at least")
        return items

    return check


def _one_of(known: Mapping[Any, Any]) -> Decoder:
    """Returns the decoder of a text that is one of the keys, to the value of that key."""
    words = ", ".join(map(str, known))

    def choose(value: Any) -> Any:
        if type(value) is str and value in known:
            return known[value]
        raise refused(value, f"one of {words}")

    return choose


def _union(parts: tuple[Any, ...]) -> Decoder:
    """Returns the decoder of one type or None, or of dataclasses told apart by their `kind`."""
    others = [part for part in parts if part is not types.NoneType]
    decode = decoder(others[0]) if len(others) == 1 else _kinds(others)
    if len(others) == len(parts):
        return decode

    def check(value: Any) -> Any:
        return None if value is None else decode(value)

    return check


def _any_below(base: type) -> Decoder:
    """Returns the decoder of the dataclasses below a `Kind`, those that are defined later too."""
    return lambda value: _kinds(base.__subclasses__())(value)


def _kinds(classes: list[Any]) -> Decoder:
    """Returns the decoder of dataclasses that have a field `kind: Literal["name"]` each."""
    known = {
        word: decoder(kind)
        for kind in classes
        for word in get_args(get_type_hints(kind).get("kind"))
    }
    if len(known) < len(classes):
        raise TypeError(f"{classes} do not all have a `kind` of their own")
    choose = _one_of({word: word for word in known})

    def check(value: Any) -> Any:
        if type(value) is not dict:
            raise refused(value, "an object")
        return known[_at("kind", choose, value.get("kind"))](value)

    return check


def _instance(kind: type) -> Decoder:
    """Returns the decoder of a value that JSON cannot hold, such as a tensor, and is there already.

    A type of jaxtyping checks the tensor's dtype and its number of axes too.
    """

    def check(value: Any) -> Any:
        if not isinstance(value, kind):
            raise refused(value, f"a {getattr(kind, '__name__', kind)}")
        return value

    return check


def _array(dtype: Any) -> Decoder:
    """Returns the decoder of a tensor that stands for an array of numpy with numbers of a type."""
    name = dtype.__name__

    def check(value: Any) -> Any:
        if str(getattr(value, "dtype", "")) != f"torch.{name}":
            raise refused(value, f"an array of {name}")
        return value.numpy()

    return check


def _tuple(parts: tuple[Any, ...]) -> Decoder:
    """Returns the decoder of a tuple with these types of items, the last of which may be `...`."""
    if len(parts) == 2 and parts[1] is Ellipsis:
        return _tuple_of_any_length(decoder(parts[0]))
    return _tuple_of([decoder(part) for part in parts])


def _tuple_of(items: list[Decoder]) -> Decoder:
    """Returns the decoder of a tuple with a decoder for each item."""

    def check(value: Any) -> tuple[Any, ...]:
        if type(value) is not list or len(value) != len(items):
            raise refused(value, f"a list of {len(items)}")
        return tuple(
            _at(number, decode, item)
            for number, (decode, item) in enumerate(zip(items, value, strict=True))
        )

    return check


def _tuple_of_any_length(decode: Decoder) -> Decoder:
    """Returns the decoder of a tuple with one decoder for all items."""

    def check(value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise refused(value, "a list")
        try:
            return tuple(map(decode, value))
        except Unfit:  # read again for the place: lists are long, and faults are rare
            return tuple(_at(number, decode, item) for number, item in enumerate(value))

    return check


def _at(step: object, decode: Decoder, value: Any) -> Any:
    """Decodes a part of a value, and names its place where it does not fit."""
    try:
        return decode(value)
    except Unfit as unfit:
        raise unfit.below(step) from None


def _mapping(key: Decoder, decode: Decoder) -> Decoder:
    """Returns the decoder of a dict, which JSON holds as an object or as [key, value] pairs."""
    pairs = _tuple_of_any_length(_tuple_of([key, decode]))

    def check(value: Any) -> dict[Any, Any]:
        if type(value) is list:
            return dict(pairs(value))
        if type(value) is not dict:
            raise refused(value, "an object")
        return {
            _at(short(name), key, name): _at(short(name), decode, item)
            for name, item in value.items()
        }

    return check


def _model(kind: type[BaseModel]) -> Decoder:
    """Returns the decoder of a pydantic model, by its strict rules."""

    def check(value: Any) -> BaseModel:
        try:
            return kind.model_validate(value, strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            wanted = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            unfit = refused(first["input"], wanted)
            for step in reversed(first["loc"]):
                unfit.below(step)
            raise unfit from None

    return check


_ABSENT = object()


def _object(kind: type) -> Decoder:
    """Returns the decoder of a dataclass.

    Unknown keys are passed over, because they belong to later versions.
    """
    hints = get_type_hints(kind, include_extras=True)
    parts = [
        (field.name, _former(hints[field.name]), decoder(hints[field.name]), _is_required(field))
        for field in fields(kind)
    ]

    def check(value: Any) -> Any:
        if type(value) is not dict:
            raise refused(value, "an object")
        values = {}
        name = ""
        try:
            for name, former, decode, required in parts:
                item = value.get(name, value.get(former, _ABSENT))
                if item is not _ABSENT:
                    values[name] = decode(item)
                elif required:
                    raise Unfit("is missing")
        except Unfit as unfit:
            raise unfit.below(name) from None
        try:
            return kind(**values)
        except ValueError as error:  # raised by its own __post_init__
            raise Unfit(str(error)) from None

    return check


def _former(hint: Any) -> str | None:
    """Returns the key that a field has in older files, or None where it is the same."""
    marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((mark.key for mark in marks if isinstance(mark, Formerly)), None)


def _is_required(field: Any) -> bool:
    """Returns whether a field of a dataclass has no default."""
    return field.default is MISSING and field.default_factory is MISSING
