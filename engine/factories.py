"""Functions of the user's own, named in a preset: found, imported and called. No torch here."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

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
            f"{factory} failed with {type(error).__name__}: {error}; correct it or {key}.args",
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
        reason = "no such file" if isinstance(error, FileNotFoundError) else error
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
    """Installed, under PYTHONPATH, or in the current folder."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    return importlib.import_module(name)


def _from_file(path: Path) -> ModuleType:
    """A file by its place, once a process; what lies beside it can be imported by it."""
    path = path.expanduser().resolve()
    name = f"dss_tui_user_{path.stem}_{abs(hash(str(path))):x}"
    if name in sys.modules:
        return sys.modules[name]
    if not path.is_file():
        raise FileNotFoundError(path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
