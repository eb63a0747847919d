"""Finds, imports and calls the functions of a user's own that a preset names. No torch here."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from engine import user_code
from engine.errors import InputError


def call_factory(factory: str, args: dict[str, Any], key: str) -> Any:
    """Calls the named function with these keyword arguments and returns its result.

    Raises InputError, which names `key`, where the function cannot be found or fails.
    """
    function = find_factory(factory, key)
    try:
        with user_code.to_itself(factory):
            return function(**args)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # it is not our code
        raise InputError(
            f"{factory} failed with {type(error).__name__}: {user_code.plain(str(error))}; "
            f"correct it or {key}.args",
            key=f"{key}.factory",
        ) from error


def find_factory(factory: str, key: str) -> Callable[..., Any]:
    """Returns the function named `package.module:function` or `file.py:function`.

    Raises InputError, which names `key`, where there is no such function.
    """
    place, _, name = factory.rpartition(":")
    if not place or not name.isidentifier():
        raise InputError(
            f"is {factory!r}; name a function as package.module:function or file.py:function",
            key=f"{key}.factory",
        )
    module = _imported(place, key)
    function = getattr(module, name, None)
    if not callable(function):
        named = [each for each, value in vars(module).items() if callable(value)]
        known = ", ".join(sorted(each for each in named if not each.startswith("_"))[:8])
        raise InputError(
            f"{place} has no function {name!r}; it has {known or 'none'}", key=f"{key}.factory"
        )
    return function  # type: ignore[no-any-return]


def _imported(place: str, key: str) -> ModuleType:
    """Returns the module of a file or of a dotted name. Raises InputError, which names `key`."""
    try:
        with user_code.to_itself(place):
            return _from_file(Path(place)) if is_file(place) else _from_path(place)
    except (Exception, SystemExit) as error:  # it is not our code
        missing = isinstance(error, FileNotFoundError)
        reason = "no such file" if missing else user_code.plain(str(error))
        raise InputError(
            f"{place} cannot be imported ({type(error).__name__}: {reason}); install its package, "
            "or name the file: path/to/file.py:function",
            key=f"{key}.factory",
        ) from error


def is_file(place: str) -> bool:
    """Returns whether the part of a factory's name before the colon is a file, not a module."""
    return place.endswith(".py")


def _from_path(name: str) -> ModuleType:
    """Imports a module that is installed or under PYTHONPATH, else from the current folder.

    A module of the current folder that has one of our own names is preferred to ours.
    """
    here, top = Path.cwd(), name.partition(".")[0]
    if (top in user_code.OURS or not user_code.is_installed(top)) and user_code.has(here, top):
        return user_code.load(here, name)
    return importlib.import_module(name)


def _from_file(path: Path) -> ModuleType:
    """Imports the file at this path, once per process. Raises FileNotFoundError."""
    path = path.expanduser().resolve()
    if not path.is_file():
        raise FileNotFoundError(path)
    return user_code.load_file(path)
