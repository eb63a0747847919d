"""The base of pickle readers that run nothing: objects of classes unknown to them do nothing.

A pickle names functions and classes, and its reader calls them. A reader here knows a few harmless
ones; each other becomes an `Inert` object that takes whatever the file gives it. No torch here.
"""

from __future__ import annotations

import pickle
from typing import Any


class Inert:
    """An object in place of one whose class is not known to be harmless."""

    def __new__(cls, *_: Any, **__: Any) -> Inert:
        """Returns an object, whatever the file passes to its class."""
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        """Keeps nothing."""

    def __call__(self, *_: Any, **__: Any) -> Inert:
        """Returns the object itself, where the file takes it for a function."""
        return self

    def __setstate__(self, _: Any) -> None:
        """Keeps nothing."""

    def __setitem__(self, _: Any, __: Any) -> None:
        """Keeps nothing."""

    def append(self, _: Any) -> None:
        """Keeps nothing."""

    def extend(self, _: Any) -> None:
        """Keeps nothing."""

    def add(self, _: Any) -> None:
        """Keeps nothing."""


class InertUnpickler(pickle._Unpickler):
    """The reader of one pickle. Subclasses say what is harmless.

    It is the one of Python's two readers that is written in Python. The other one makes a list as
    long as the largest number that a pickle gives an object, and so a few bytes fill the memory.
    """

    def harmless(self, module: str, name: str) -> Any:
        """Returns what the file names, or None where that is not known to be harmless."""
        return None

    def find_class(self, module: str, name: str) -> Any:
        """Returns a harmless function or class, or a class of inert objects of the same name."""
        found = self.harmless(module, name)
        if found is not None:
            return found
        return type(name.rpartition(".")[2], (Inert,), {"__module__": module})
