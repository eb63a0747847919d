"""The `dss-tui` command, in a module of its own because `engine` and the like are common names.

Another project's package of that name may be found first. This module checks where the packages
would come from before it imports any of them, and then whether they run on this platform.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("dss_tui", "engine", "presets")


def main() -> None:
    """Runs the command line and ends the process with its exit status; 2 where it cannot start."""
    try:
        mistake = hidden_package() or wrong_platform()
        if mistake is not None:
            print(f"dss-tui: {mistake}", file=sys.stderr)
            sys.exit(2)
        from dss_tui.cli import main as run
        from engine.idle_threads import sleep_soon

        sleep_soon()
        status = run(sys.argv[1:])
    except KeyboardInterrupt:  # SIGINT during the imports
        status = 130
    sys.exit(status)


def hidden_package() -> str | None:
    """Returns a sentence about a package of dss-tui that another one hides, or None."""
    home = Path(__file__).resolve().parent
    for name in PACKAGES:
        spec = find_spec(name)
        places = spec.submodule_search_locations if spec is not None else None
        if spec is None or home / name in map(_resolved, places or ()):
            continue
        other = _resolved(next(iter(places or ()), spec.origin or name))
        return (
            f"{other} hides {home / name}, a part of dss-tui; rename it, take {other.parent} off "
            "PYTHONPATH, or start in another folder"
        )
    return None


def wrong_platform() -> str | None:
    """Returns a sentence about a platform on which the engine cannot be imported, or None."""
    try:
        import_module("engine")
    except ImportError as error:
        return str(error)
    return None


def _resolved(place: str) -> Path:
    """Returns a path with its links resolved."""
    return Path(place).resolve()
