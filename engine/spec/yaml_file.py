"""Reads presets from YAML with overrides, and writes specs as YAML. No torch here."""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Hashable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from engine.data.files import locate
from engine.errors import InputError
from engine.factories import is_file
from engine.own_file import read_text
from engine.part import Names, renamed
from engine.spec.keys import Spec
from engine.spec.validation import faults, validated


class _Loader(yaml.SafeLoader):
    """Reads YAML with the numbers and booleans of YAML 1.2, and refuses keys that stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Returns a mapping. Raises ConstructorError where a key stands twice."""
        seen: set[object] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                break  # said by super
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Writes YAML, with quotes where YAML 1.1 or 1.2 would take a text for something else."""


_REPLACED = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "timestamp")}
_Loader.yaml_implicit_resolvers = {
    first: [rule for rule in rules if rule[0] not in _REPLACED]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
# 1e-3, 1.0e-3, .5 and 3. are numbers; 7 is left to the integers, 1.2.3 to the strings.
_FLOAT = re.compile(r"^[-+]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][-+]?\d+)?$|^[-+]?\.inf$|^\.nan$")
for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9]\d*)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool",
    re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"),
    list("tTfF"),
)


#: The size in bytes of the largest preset that is read, and the largest number of values that a
#: YAML text may stand for, with its aliases written out.
LARGEST_FILE, LARGEST = 2**20, 10**6

#: The most characters of a text whose value is kept for when it is read again.
KEPT_FILE = 2**14


def _expanded(value: Any, known: dict[int, int]) -> int:
    """Returns the number of values in a plain value, with its aliases written out.

    `known` holds the numbers found so far, by the id of the list or dict.
    """
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        parts = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_expanded(part, known) for part in parts)
    return known[id(value)]


def _json(text: str) -> str:
    """Returns the value of a YAML text as JSON. Raises what YAML and JSON raise, and ValueError."""
    value = yaml.load(text, _Loader)
    if _expanded(value, {}) > LARGEST:
        raise ValueError(f"its aliases stand for more than {LARGEST} values")
    # By way of JSON: tags of YAML become plain values, and a cycle is refused.
    return json.dumps(value, default=str)


_kept_json = functools.lru_cache(maxsize=256)(_json)


def read_yaml(text: str, file: object) -> Any:
    """Returns the plain value of a YAML text. Raises InputError with the line of a syntax error."""
    try:
        # The menu reads each preset again and again; larger texts are not worth their memory.
        return json.loads(_kept_json(text) if len(text) <= KEPT_FILE else _json(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "not readable as YAML"
        if mark is None:
            raise InputError(f"YAML: {what}", file=file) from None
        lines = text.splitlines()
        shown = lines[mark.line].strip() if mark.line < len(lines) else "end of the file"
        raise InputError(f"YAML: {what} in line {mark.line + 1}: {shown!r}", file=file) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"YAML: a value is not readable ({error})", file=file) from None


def load(path: Path, overrides: Iterable[str] = ()) -> Spec:
    """Returns the spec in a YAML file with `a.b=value` overrides. Raises InputError."""
    return spec_of(read_tree(path), path, overrides)


def faults_in(path: Path, overrides: Iterable[str] = ()) -> list[InputError]:
    """Returns all that is wrong with a YAML file and with `a.b=value` overrides of it.

    Each error knows its key. There are none where `load` returns a spec.
    """
    try:
        tree = read_tree(path)
    except InputError as error:
        return [error]
    found = []
    for line in overrides:
        try:
            tree = with_overrides(tree, [line])
        except InputError as error:
            key = error.key or line.partition("=")[0].strip()
            found.append(InputError(error.what, key=key))
    return found + faults(Spec, tree)


def spec_of(tree: Any, path: Path, overrides: Iterable[str] = ()) -> Spec:
    """Returns the spec of a YAML file's plain value, with `a.b=value` overrides.

    Files that the value names are looked for beside the file `path` first. Raises InputError, which
    names `path`.
    """
    spec = parse(with_overrides(tree, overrides, file=path), file=path)
    return _anchor_paths(spec, path.parent)


def read_tree(path: Path) -> Any:
    """Returns the plain value of a YAML file. Raises InputError where it cannot be read."""
    try:
        text = read_text(path, LARGEST_FILE)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    return read_yaml(text, path)


def dump(spec: Spec) -> str:
    """Returns a YAML text from which `load` makes the same spec."""
    return _text(spec.model_dump(mode="json"))


def revised(tree: Any, path: Path, overrides: Iterable[str]) -> str:
    """Returns the text of a spec's file with `a.b=value` overrides, its other keys untouched.

    `tree` is the plain value of the file at `path`, which errors name. Keys that the file leaves
    out are not added. Raises InputError where the result is no spec.
    """
    tree = with_overrides(tree, overrides, file=path)
    parse(tree, file=path)
    return _text(tree)


def _text(tree: object) -> str:
    """Returns a plain value as YAML, with its keys in their order."""
    return str(yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True))


def parse(tree: object, file: object = None) -> Spec:
    """Returns the spec of a plain value. Raises InputError with file, key, value and remedy."""
    return validated(Spec, tree, file)


def with_overrides(tree: Any, overrides: Iterable[str], file: object = None) -> Any:
    """Returns a copy of a plain value in which each `a.b=value` is set.

    A value that is no mapping is returned as it is. Raises InputError for an override that is not
    of that form, or that names a key below a plain value.
    """
    if not isinstance(tree, dict):
        return tree
    tree = json.loads(json.dumps(tree, default=str))
    for line in overrides:
        key, equals, value = line.partition("=")
        steps = key.strip().split(".")
        if not equals or not all(steps):
            raise InputError(f"--set {line!r} is not of the form a.b=value", file=file)
        at = tree
        for depth, step in enumerate(steps[:-1], 1):
            at = at.setdefault(step, {}) if at.get(step) is not None else _fresh(at, step)
            if not isinstance(at, dict):
                raise InputError(
                    f"is {json.dumps(at)} and has no keys below it, but --set gives {line!r}",
                    file=file,
                    key=".".join(steps[:depth]),
                )
        at[steps[-1]] = read_yaml(value, f"--set {' '.join(line.split())}")
    return tree


def _fresh(at: dict[str, Any], step: str) -> dict[str, Any]:
    """Puts an empty mapping at a key and returns it."""
    at[step] = {}
    return at[step]  # type: ignore[no-any-return]


def _anchor_paths(spec: Spec, folder: Path) -> Spec:
    """Returns the spec with full paths in place of the paths of files that exist.

    They are looked for in `folder` first. The files are then found again from any current folder.
    """
    return renamed(spec, partial(anchored, folder=folder))


def anchored(names: Names, text: str, folder: Path) -> str:
    """Returns the text of a key with the full path in place of a file's, if it names a file."""
    if names is Names.PATH:
        return _full(text, folder)
    place, colon, function = text.rpartition(":")
    return _full(place, folder) + colon + function if is_file(place) else text


def _full(path: str, folder: Path) -> str:
    """Returns a path in full, or as it is where it is that, or there is no such file or folder."""
    if os.path.isabs(path):
        return path
    found = locate(path, folder, folders=True)
    return path if found is None else str(found)
