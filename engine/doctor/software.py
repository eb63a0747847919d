"""The versions of what dss-tui runs on, and its compiled code."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from engine.doctor.findings import Finding, State, plainly

#: The packages that are told, those without which nothing works first.
NEEDED, MORE = ("torch", "numpy", "rich", "textual"), ("numba", "nvidia-ml-py", "triton")

MIB = 2**20


def versions() -> Iterator[Finding]:
    """Yields the versions of the system, of Python and of the packages."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    python = platform.python_version()
    yield Finding(
        "system",
        State.OK,
        f"{system}, Python {python}",
        brief=f"{system}, Python {python}",
        measured={"system": system, "python": python},
    )
    found = {name: _version(name) for name in (*NEEDED, *MORE)}
    words = ", ".join(f"{name} {told}" for name, told in found.items() if told)
    absent = [name for name in NEEDED if not found[name]]
    if absent:
        gone = ", ".join(absent)
        remedy = "pip install -e . in the folder of dss-tui installs what it needs"
        yield Finding("packages", State.WRONG, f"{gone} not installed", remedy, words, found)
        return
    yield Finding("packages", State.OK, words, brief=words, measured=found)


def compiled_code() -> Iterator[Finding]:
    """Yields whether compiled code can be had and kept. Compiles it where that was not done."""
    what = "compiled code"
    try:
        import numba  # noqa: F401

        from engine.backends.disk_cache import folder
        from engine.backends.fused.compilation import compiled, warm_up
        from engine.backends.fused.kernels import SOURCES
    except Exception as error:  # an installation may be broken in any way
        yield Finding(
            what,
            State.WRONG,
            f"numba cannot be imported ({plainly(error)}): small fully connected networks train "
            "many times slower",
            "pip install numba",
            brief="no numba",
        )
        return
    took = 0.0
    if not compiled():
        began = time.monotonic()
        warm_up()
        took = time.monotonic() - began
    place = folder(SOURCES)
    if not compiled():
        yield Finding(
            what,
            State.WRONG,
            f"it cannot be kept in {place}: each run waits {took:.0f} s for the compiler",
            "let DSS_TUI_CACHE name a folder that can be written to",
            brief="compiled code not kept",
            measured={"folder": str(place), "seconds": took},
        )
        return
    files, size = _size(place)
    done = f"compiled in {took:.0f} s just now" if took else "compiled before"
    yield Finding(
        what,
        State.OK,
        f"{done}, {files} files of {size / MIB:.1f} MiB in {place}",
        measured={"folder": str(place), "files": files, "bytes": size, "seconds": took},
    )


def _version(package: str) -> str | None:
    """Returns the version of an installed package, or None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _size(place: Path) -> tuple[int, int]:
    """Returns the number of files in a folder, and their bytes."""
    files = [each for each in place.iterdir() if each.is_file()]
    return len(files), sum(each.stat().st_size for each in files)
