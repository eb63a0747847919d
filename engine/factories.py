"""Functions of the user's own, named in a preset: found, imported and called. No torch here."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from engine import user_code
from engine.errors import InputError


def call_factory(factory: str, args: dict[str, Any], key: str) -> Any:
    """What the function returns for these keyword arguments.

    Raises InputError, naming the key, where it cannot be found or fails.
    """
    function = find_factory(factory, key)
    try:
        return function(**args)
    except InputError:
        raise
    except Exception as error:  # it is not our code
        raise InputError(
            f"{factory} failed with {type(error).__name__}: {user_code.plain(str(error))}; "
            f"correct it or {key}.args",
            key=f"{key}.factory",
        ) from error


def find_factory(factory: str, key: str) -> Callable[..., Any]:
    """The function named `package.module:function` or `file.py:function`. Raises InputError."""
    place, _, name = factory.rpartition(":")
    if not place or not name.isidentifier():
        raise InputError(
            f"is {factory!r}; name a function as package.module:function or file.py:function",
            key=f"{key}.factory",
        )
    try:
        module = _from_file(Path(place)) if is_file(place) else _from_path(place)
    except Exception as error:  # it is not our code
        missing = isinstance(error, FileNotFoundError)
        reason = "no such file" if missing else user_code.plain(str(error))
        raise InputError(
            f"{place} cannot be imported ({type(error).__name__}: {reason}); install its package, "
            "or name the file: path/to/file.py:function",
            key=f"{key}.factory",
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        named = [each for each, value in vars(module).items() if callable(value)]
        known = ", ".join(sorted(each for each in named if not each.startswith("_"))[:8])
        raise InputError(
            f"{place} has no function {name!r}; it has {known or 'none'}", key=f"{key}.factory"
        )
    return function  # type: ignore[no-any-return]


def is_file(place: str) -> bool:
    """Whether a factory's place is a file and not a module's name."""
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
    """Imports a file by its place, once a process."""
    path = path.expanduser().resolve()
    if not path.is_file():
        raise FileNotFoundError(path)
    return user_code.load_file(path)
