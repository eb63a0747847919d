"""Compiled code on the disk: found again, never trusted where damaged, kept within bounds."""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numba")

import numba
from numba.core.dispatcher import Dispatcher

from engine.backends import disk_cache
from engine.backends.disk_cache import KEPT, DiskCache, folder, keep
from engine.backends.fused.kernels import calls

#: The folder whose source is compiled here.
SOURCES = Path(__file__).parent


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("DSS_TUI_CACHE", str(tmp_path / "empty"))
    return tmp_path / "empty"


def twice(x: float) -> float:
    return x + x


def kept(function: Callable[[float], float] = twice) -> Any:
    """Returns a function that is compiled when first called, as in a process that just began."""
    made: Any = numba.njit(function)
    keep(made, SOURCES)
    return made


def hits(made: Any) -> int:
    """Returns how many signatures came from the disk."""
    return sum(made.stats.cache_hits.values())


def files() -> list[Path]:
    """Returns the files of compiled code, without those that are locked while it is made."""
    return sorted(folder(SOURCES).glob("[!.]*"))


def test_the_next_process_finds_what_one_has_compiled() -> None:
    assert not DiskCache("twice", SOURCES).is_filled()
    first, second = kept(), kept()
    assert (first(3), hits(first)) == (6, 0)
    assert DiskCache("twice", SOURCES).is_filled()
    assert not DiskCache("thrice", SOURCES).is_filled()
    assert (second(3), hits(second)) == (6, 1)
    assert len(files()) == 1


def test_every_signature_is_a_file_of_its_own() -> None:
    assert kept()(3) == 6
    assert kept()(0.25) == 0.5
    assert len(files()) == 2
    made = kept()
    assert [made(0.75), made(4), hits(made)] == [1.5, 8, 2]


def cut(content: bytes) -> bytes:
    return content[:-9]


def flipped(content: bytes) -> bytes:
    return content[:99] + bytes([content[99] ^ 1]) + content[100:]


def foreign(content: bytes) -> bytes:
    return b"\x80\x04N."  # a pickle, but none of ours


@pytest.mark.parametrize("damage", [cut, flipped, foreign, lambda _: b""])
def test_a_damaged_file_is_compiled_again(damage: Callable[[bytes], bytes]) -> None:
    kept()(3)
    (file,) = files()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    again, after = kept(), kept()
    assert (again(3), hits(again)) == (6, 0)
    assert (after(3), hits(after)) == (6, 1)
    assert files() == [file]


@pytest.mark.parametrize("place", ["a file", "a folder in its place"])
def test_without_a_place_to_keep_it_one_warning_says_so(
    place: str, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if place == "a file":
        cache.touch()
    else:
        kept()(3)
        (file,) = files()
        file.unlink()
        file.mkdir()
    # An earlier run in this process may have cut the engine's log off from the root's, where caplog
    # listens, so that pytest has attached caplog to it as well.
    monkeypatch.setattr(logging.getLogger("engine"), "handlers", [])
    monkeypatch.setattr(logging.getLogger("engine"), "propagate", True)
    disk_cache._warned.clear()
    for _ in range(2):
        made = kept()
        assert (made(3), hits(made)) == (6, 0)
    (said,) = dict.fromkeys(caplog.messages)
    assert said.startswith(f"compiled code cannot be kept in {folder(SOURCES)} (")
    assert "let DSS_TUI_CACHE name a folder" in said


MANY = """
import sys, numba
from pathlib import Path
from engine.backends.disk_cache import keep

def twice(x):
    return x + x

made = numba.njit(twice)
keep(made, Path(sys.argv[2]))
value = {"int": int, "float": float, "complex": complex}[sys.argv[1]](3)
print(made(value), sum(made.stats.cache_hits.values()), flush=True)
"""


def test_of_processes_that_compile_at_once_one_does_and_the_others_wait() -> None:
    kinds = ["int", "float", "complex"] * 2
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MANY, kind, str(SOURCES)], stdout=subprocess.PIPE, text=True
        )
        for kind in kinds
    ]
    answers = [process.communicate()[0].split() for process in processes]
    assert [value for value, _ in answers] == ["6", "6.0", "(6+0j)"] * 2
    assert sum(int(hits) for _, hits in answers) == 3
    assert len(files()) == 3


def test_who_waits_too_long_compiles_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that holds the lock may be suspended."""
    kept()(3)
    (file,) = files()
    file.unlink()
    monkeypatch.setattr(disk_cache, "WAIT_S", 0.2)
    with (file.parent / f".{file.name}.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = kept()
        assert (made(3), hits(made)) == (6, 0)
    assert files() == [file]


#: A process that has so many MiB more of addresses than it takes before it compiles a function.
LITTLE = """
import resource, sys
from pathlib import Path

import numba

from engine.backends.disk_cache import keep

def twice(x):
    return x + x

made = numba.njit(twice)
keep(made, Path(sys.argv[2]))
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
most = taken + int(sys.argv[1]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, most))
print(made(3))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the addresses taken are told by Linux alone")
@pytest.mark.parametrize(("spare", "said"), [(60, "load compiled code"), (200, "compile a func")])
def test_without_memory_to_compile_an_error_says_so(spare: int, said: str) -> None:
    """The libraries of numba and scipy would end the process, or never return."""
    command = [sys.executable, "-c", LITTLE, str(spare), str(SOURCES)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert f"CompilerMemoryError: to {said}" in told.stderr.splitlines()[-1]
    assert told.stdout == "" and not files()


def test_a_function_that_numba_must_not_compile_stays_pythons() -> None:
    keep(twice, SOURCES)
    assert twice(3) == 6


def test_other_sources_and_versions_have_folders_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept()(3)
    first = folder(SOURCES)
    versions = {"numba": "99", "llvmlite": "1", "numpy": "2"}
    monkeypatch.setattr(disk_cache, "version", versions.__getitem__)
    disk_cache._fingerprint.cache_clear()
    try:
        made = kept()
        assert folder(SOURCES) != first
        assert (made(3), hits(made)) == (6, 0)
        assert first.is_dir()
    finally:
        disk_cache._fingerprint.cache_clear()


def test_folders_not_used_lately_are_dropped(cache: Path) -> None:
    kept()(3)
    ours = folder(SOURCES)
    others = [ours.parent / f"0.0.{number}-0" for number in range(KEPT + 2)]
    for age, other in enumerate(others):
        other.mkdir()
        (other / "twice-0").touch()
        os.utime(other, (10**9 - age, 10**9 - age))
    os.utime(ours, (1, 1))  # the oldest, but it is used now
    made = kept()
    assert (made(3), hits(made)) == (6, 1)
    kept()(0.5)
    assert sorted(ours.parent.iterdir()) == sorted([ours, *others[: KEPT - 1]])


def test_numbas_own_cache_beside_the_source_is_not_used() -> None:
    caches = {
        name: type(vars(value)["_cache"]).__name__
        for name, value in vars(calls).items()
        if isinstance(value, Dispatcher)
    }
    assert set(caches.values()) == {"DiskCache", "NullCache"}
    assert caches["advance"] == caches["measure"] == "DiskCache"


def test_what_others_may_have_written_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files hold pickles, so that whoever writes one runs what they like."""
    file = tmp_path / "code"
    disk_cache._write(file, b"code")
    assert disk_cache._read(file) == b"code"
    file.chmod(0o666)
    assert disk_cache._read(file) is None
    file.chmod(0o644)
    os.chown(file, 4711, -1) if os.geteuid() == 0 else None
    ours = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: ours + 1)
    assert disk_cache._read(file) is None
