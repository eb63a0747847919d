"""Checks the plain value of a YAML file and makes a model of it. No torch here."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from engine.errors import InputError, nearest
from engine.part import words_of

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], tree: object, file: object = None) -> Model:
    """Returns a plain value as an instance of the model, by pydantic's strict rules for JSON.

    Raises InputError, which says in one sentence what is wrong with which key of `file`.
    """
    if not isinstance(tree, dict):
        raise _no_keys(file)
    try:
        return model.model_validate_json(json.dumps(tree, default=str))
    except ValidationError as error:
        # An unknown key goes first, because it may be the misspelt name of one that is missing.
        errors = error.errors()
        first = min(errors, key=lambda each: each["type"] != "extra_forbidden")
        raise _explained(model, first, errors, file) from None


def _no_keys(file: object) -> InputError:
    """Returns the error for a value that is no mapping."""
    return InputError("holds no keys; see `dss-tui presets digits` for an example", file=file)


def faults(model: type[Model], tree: object, file: object = None) -> list[InputError]:
    """Returns all that is wrong with a plain value, an error for each key; none if it is valid."""
    if not isinstance(tree, dict):
        return [_no_keys(file)]
    try:
        model.model_validate_json(json.dumps(tree, default=str))
    except ValidationError as error:
        errors = error.errors()
        by_key: dict[str, ErrorDetails] = {}
        for each in errors:
            by_key.setdefault(_locate(model, each["loc"])[0], each)
        return [_explained(model, each, errors, file) for each in by_key.values()]
    return []


def _explained(
    model: type[BaseModel], error: ErrorDetails, errors: list[ErrorDetails], file: object
) -> InputError:
    """Returns an error that explains one of pydantic's `errors` in a sentence.

    Errors at the same key, one for each branch of a union, are joined.
    """
    key, known = _locate(model, error["loc"])
    same_key = [e for e in errors if _locate(model, e["loc"])[0] == key]
    value = error.get("input")
    shown = json.dumps(value, ensure_ascii=False)
    match error["type"]:
        case "extra_forbidden":
            hint = nearest(key.split(".")[-1], known)
            return InputError(f"unknown key; {hint}", file=file, key=key)
        case "missing":
            return InputError("is missing; give it a value", file=file, key=key)
        case "union_tag_not_found":
            return InputError(f"needs a kind; {nearest('', known)}", file=file, key=key)
        case "union_tag_invalid":
            tags = [tag.strip(" '") for tag in error["ctx"]["expected_tags"].split(",")]
            kind = value.get("kind") if isinstance(value, Mapping) else value
            return InputError(
                f"unknown kind {kind!r}; {nearest(str(kind), tags)}", file=file, key=f"{key}.kind"
            )
        case "literal_error" if len(same_key) == 1 or _takes_words(same_key, value):
            words = re.findall(r"'([^']*)'", str(error["ctx"]["expected"]))
            return InputError(f"is {shown}; {nearest(str(value), words)}", file=file, key=key)
        case "value_error":
            return InputError(str(error["ctx"]["error"]), file=file, key=key or None)
    rule = " or ".join(e["msg"].removeprefix("Input should be ") for e in same_key)
    rule = rule.replace("an object", "a mapping of keys").replace("array", "list")
    rule = re.sub(r"Tuple should have (.*) after validation, not \d+", r"a list of \1", rule)
    return InputError(f"is {shown}, but must be {rule}", file=file, key=key or None)


def _locate(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[str, list[str]]:
    """Returns the dotted key of an error, without the names of union branches, and known names.

    The known names are the kinds where the key holds a union of kinds, else the keys of the part
    that holds the key.
    """
    at: Any = model
    keys: list[str] = []
    known: list[str] = []
    for step in loc:
        branch = _branch(at, step)
        if branch is not None:
            at = branch
            continue
        holders = _models(at)
        known = sorted({name for holder in holders for name in holder.model_fields})
        holder = next((h for h in holders if step in h.model_fields), None)
        if holder is not None:
            at = holder.model_fields[str(step)].annotation
        elif isinstance(step, int) or (holders and step.isidentifier()):
            at = None
        else:
            continue  # the name of a union's branch, such as constrained-int or literal[…]
        keys.append(str(step))
    kinds = [kind for branch in _branches(at) for kind in _kinds(branch)]
    return ".".join(keys), kinds or known


def _branch(at: Any, step: int | str) -> Any:
    """Returns the branch of a union that a step names by its kind or its class, or None."""
    tagged = [branch for branch in _branches(at) if step in _kinds(branch)]
    if tagged:
        return tagged[0]
    if len(_branches(at)) == 1:
        return None
    return next((model for model in _models(at) if model.__name__ == step), None)


def _models(at: Any) -> list[type[BaseModel]]:
    """Returns the models among the types that are allowed."""
    branches = _branches(at)
    return [each for each in branches if isinstance(each, type) and issubclass(each, BaseModel)]


def _takes_words(errors: list[ErrorDetails], value: object) -> bool:
    """Returns whether a word was given where only certain words, or a mapping, are allowed."""
    return isinstance(value, str) and {e["type"] for e in errors} == {"literal_error", "model_type"}


def _branches(annotation: Any) -> tuple[Any, ...]:
    """Returns the types that a union allows, or the one type that is no union."""
    if get_origin(annotation) is Annotated:
        return _branches(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(b for a in get_args(annotation) for b in _branches(a))
    return (annotation,)


def _kinds(model: Any) -> tuple[str, ...]:
    """Returns the words that a model allows for its key `kind`, none where it has no such key."""
    return words_of(model) if isinstance(model, type) and issubclass(model, BaseModel) else ()
