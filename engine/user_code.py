"""Imports the Python files of a user, so that their imports find their own neighbours first.

A file `engine.py` or `utils.py` beside a user's model must win over packages of that name that are
installed, ours included, and two users' folders must not see each other's. So a file is not
imported under its plain name: the folder that holds it becomes a package of its own below this
module, `engine.user_code.f2f686f6d65.mine` for `/home/mine.py`, with the folder's path in
hexadecimal digits. A name says where its file lies, so that objects pickled in one process can be
read in another which knows nothing but this package.

A module below it has its own `__import__` among its `__builtins__`, which Python asks for each
`import` statement of that module and of its functions, whenever they run, and of no other module.
It looks in the module's folder first. Modules found there are imported in the same manner.

Whatever is not an import statement (`importlib.import_module`, names within pickles) goes by plain
names: for these alone a folder is appended to `sys.path`, behind everything that is installed.
No torch here.
"""

from __future__ import annotations

import builtins
import importlib
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

#: Makes this module a package, whose parts only `_Finder` finds.
__path__: list[str] = []

#: Names of our own, which a folder of a user may have as well, with an __init__.py or without.
OURS = ("dss_tui", "engine", "presets")


def load(folder: Path, name: str) -> ModuleType:
    """Imports the module with this dotted name in a folder, once per process.

    Raises whatever the module raises, and ModuleNotFoundError where there is none.
    """
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return importlib.import_module(f"{package_of(folder)}.{name}")


def load_file(path: Path) -> ModuleType:
    """Imports the file at this absolute path, once per process. Raises whatever the file raises."""
    spec = _finder(str(path.parent)).find_spec(path.stem)
    is_found = spec is not None and spec.origin == str(path)
    return load(path.parent, path.stem if is_found else f"file_{os.fsencode(path.name).hex()}")


@contextmanager
def to_itself(name: str) -> Iterator[None]:
    """Makes a context in which a user's code sees none of our arguments and none of our output.

    The command line that it finds is `name` without arguments. What it prints goes to standard
    error, so that programs that read our standard output do not meet it there. It may draw there,
    as progress bars do, even where what we print is guarded.
    """
    before = sys.argv
    sys.argv = [name]
    errors = getattr(sys.stderr, "rich_proxied_file", sys.stderr)  # what is below such a guard
    try:
        with redirect_stdout(errors), redirect_stderr(errors):
            yield
    finally:
        sys.argv = before


#: The name of a package that stands for a folder.
_OF_FOLDER = re.compile(rf"{re.escape(__name__)}\.f(?:[0-9a-f]{{2}})+")
#: The packages that stand for folders and were imported, among thousands of other modules.
_FOLDERS: set[str] = set()


def package_of(folder: Path) -> str:
    """Returns the name of the package that stands for an absolute folder."""
    return f"{__name__}.f{os.fsencode(folder).hex()}"


def has(folder: Path, name: str) -> bool:
    """Returns whether a folder holds a top-level module that hides all others of this name.

    A folder without `__init__.py` does so only where nothing else has the name, or where the name
    is ours and the folder holds Python files; that is how Python ranks it too.
    """
    if f"{package_of(folder)}.{name}" in sys.modules:
        return True
    spec = _finder(str(folder)).find_spec(name)
    if spec is None:
        return False
    if spec.loader is not None:
        return True
    if name in OURS:
        return any((folder / name).glob("**/*.py"))
    return not is_installed(name)


def is_installed(name: str) -> bool:
    """Returns whether a top-level module of this name is found without the folders of users."""
    users = {str(_folder_of(each)) for each in _FOLDERS & sys.modules.keys()}
    elsewhere = [path for path in sys.path if path not in users]
    built_in = name in sys.builtin_module_names
    return built_in or PathFinder.find_spec(name, elsewhere) is not None


def plain(text: str) -> str:
    """Returns a text, such as an error's, with the names of modules as the user wrote them."""
    return re.sub(rf"{re.escape(__name__)}\.f[0-9a-f]+\.", "", text)


class _Finder:
    """Finds the packages that stand for folders, and the modules within them."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns how to load a module below this one, or None for any other or a missing one."""
        if not name.startswith(f"{__name__}."):
            return None
        if _is_folder(name):
            _FOLDERS.add(name)
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [str(_folder_of(name))]
            return spec
        for folder in path or ():
            found = _file_in(folder, name) or _finder(folder).find_spec(name)
            if found is not None:
                return found
        return None

    @staticmethod
    def invalidate_caches() -> None:
        """Forgets what the folders held."""
        _finder.cache_clear()


class _Loader(SourceFileLoader):
    """Loads a Python file whose import statements look in its own folder first."""

    def exec_module(self, module: ModuleType) -> None:
        """Runs the file."""
        own = {**vars(builtins), "__import__": _import_for(module.__name__)}
        vars(module)["__builtins__"] = own
        super().exec_module(module)


def _import_for(module: str) -> Any:
    """Returns the `__import__` of one module."""
    package = ".".join(module.split(".")[: __name__.count(".") + 2])
    folder = _folder_of(package)

    def own_import(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> ModuleType:
        """Imports as Python does, but looks for absolute names in the user's folder first.

        C code, such as pickle's, passes a list for `fromlist` and then means the plain name.
        """
        if level:
            parent = str((globals or {}).get("__package__") or package)
            if level > parent.count(".") - package.count(".") + 1:
                raise ImportError("attempted relative import beyond top-level package")
        elif not isinstance(fromlist, list) and _is_neighbour(folder, name):
            private = f"{package}.{name}"
            found = importlib.import_module(private)
            if fromlist:
                return builtins.__import__(private, globals, locals, fromlist)
            return sys.modules[f"{package}.{name.partition('.')[0]}"] if "." in name else found
        return builtins.__import__(name, globals, locals, fromlist, level)

    return own_import


def _is_neighbour(folder: Path, name: str) -> bool:
    """Returns whether a dotted name means a module of this folder, and none of this package."""
    return not name.startswith(f"{__name__}.") and has(folder, name.partition(".")[0])


@cache
def _finder(folder: str) -> FileFinder:
    """Returns the object that finds modules in one folder."""
    return FileFinder(
        folder,
        (ExtensionFileLoader, EXTENSION_SUFFIXES),
        (_Loader, SOURCE_SUFFIXES),
        (SourcelessFileLoader, BYTECODE_SUFFIXES),
    )


def _file_in(folder: str, name: str) -> ModuleSpec | None:
    """Returns how to load a file that no import statement could name, or None for other names."""
    digits = re.fullmatch(r".+\.file_((?:[0-9a-f]{2})+)", name)
    if digits is None:
        return None
    path = os.path.join(folder, os.fsdecode(bytes.fromhex(digits[1])))
    return spec_from_file_location(name, path, loader=_Loader(name, path))


def _is_folder(module: str) -> bool:
    """Returns whether a module's name is that of a package that stands for a folder."""
    return _OF_FOLDER.fullmatch(module) is not None


def _folder_of(package: str) -> Path:
    """Returns the folder that a package stands for."""
    return Path(os.fsdecode(bytes.fromhex(package.removeprefix(f"{__name__}.f"))))


sys.meta_path.insert(0, _Finder)
