"""Low-loss paths between trained neural networks: the search, and how a path is checked.

The library in a few lines; `docs/library.md` says more:

    import engine

    spec = engine.load_preset("digits", {"search.level": 0.1}, seed=3)
    with engine.search(spec) as found:
        for event in found:
            print(event)
    engine.write_string(found.string(), "path.npz")

What `__all__` names is what other programs may rely on. Each name is imported when it is first
asked for, so that `import engine` alone loads neither torch nor numpy. The engine knows no screen;
what leaves it are events (`engine.events`), strings and the files of a run directory.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from engine.platforms import check_platform
from engine.version import __version__

if TYPE_CHECKING:
    from engine.errors import InputError, SaveError
    from engine.path.segments import Measured
    from engine.record import events
    from engine.record.components_tables import Components
    from engine.record.events import Event, Outcome, RunFinished
    from engine.record.geometry import BeadString
    from engine.record.loss_plane import LossPlane
    from engine.record.quantity import Quantity
    from engine.record.string_file import Header, StringFile
    from engine.record.string_file import read as read_string
    from engine.record.string_file import write as write_string
    from engine.run.align import Relabelled, align
    from engine.run.along import Along, measure_along
    from engine.run.barrier import Barrier, barrier
    from engine.run.certify import Certificate, certify
    from engine.run.components.library import components
    from engine.run.grid import Found, search_pairs
    from engine.run.loss_plane import measure_plane
    from engine.run.measure import measure
    from engine.run.search import Search, search
    from engine.run.verify import Check, verify
    from engine.spec.keys import Spec
    from engine.spec.shipped import load_preset

check_platform()

__all__ = [
    "Along",
    "Barrier",
    "BeadString",
    "Certificate",
    "Check",
    "Components",
    "Event",
    "Found",
    "Header",
    "InputError",
    "LossPlane",
    "Measured",
    "Outcome",
    "Quantity",
    "Relabelled",
    "RunFinished",
    "SaveError",
    "Search",
    "Spec",
    "StringFile",
    "__version__",
    "align",
    "barrier",
    "certify",
    "components",
    "events",
    "load_preset",
    "measure",
    "measure_along",
    "measure_plane",
    "read_string",
    "search",
    "search_pairs",
    "verify",
    "write_string",
]

#: Where each name stands: a module, and after a colon what it is called there where that is another
#: name, or nothing where it is the module itself.
_HOMES = {
    "Along": "engine.run.along",
    "Barrier": "engine.run.barrier",
    "BeadString": "engine.record.geometry",
    "Certificate": "engine.run.certify",
    "Check": "engine.run.verify",
    "Components": "engine.record.components_tables",
    "Event": "engine.record.events",
    "Found": "engine.run.grid",
    "Header": "engine.record.string_file",
    "InputError": "engine.errors",
    "LossPlane": "engine.record.loss_plane",
    "Measured": "engine.path.segments",
    "Outcome": "engine.record.events",
    "Quantity": "engine.record.quantity",
    "Relabelled": "engine.run.align",
    "RunFinished": "engine.record.events",
    "SaveError": "engine.errors",
    "Search": "engine.run.search",
    "Spec": "engine.spec.keys",
    "StringFile": "engine.record.string_file",
    "align": "engine.run.align",
    "barrier": "engine.run.barrier",
    "certify": "engine.run.certify",
    "components": "engine.run.components.library",
    "events": "engine.record.events:",
    "load_preset": "engine.spec.shipped",
    "measure": "engine.run.measure",
    "measure_along": "engine.run.along",
    "measure_plane": "engine.run.loss_plane",
    "read_string": "engine.record.string_file:read",
    "search": "engine.run.search",
    "search_pairs": "engine.run.grid",
    "verify": "engine.run.verify",
    "write_string": "engine.record.string_file:write",
}


def _imported(name: str) -> object:
    """Returns what a name of the library stands for, imported now."""
    home, colon, called = _HOMES[name].partition(":")
    module = importlib.import_module(home)
    return module if colon and not called else getattr(module, called or name)


if not TYPE_CHECKING:  # a type checker would take any misspelt name for one that is found here

    def __getattr__(name: str) -> object:
        """Imports a name of the library when it is first asked for (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals().setdefault(name, _imported(name))


def __dir__() -> list[str]:
    """Returns the names that are there, those not imported yet among them."""
    return sorted({*globals(), *__all__})
