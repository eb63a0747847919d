"""Keeps compiled code on the disk, so that only the first run on a machine waits for the compiler.

numba's own cache lies beside the source, where an uninstallation leaves it behind, and two
processes that compile at once can exchange their entries. Here every compiled signature is a file
of its own, in the platform's cache folder. A folder belongs to one version of the source, of
dss-tui and of all that compiles it; a file's name depends on the signature and on the processor.
Of several processes that want the same code, one compiles it while the others wait for its file.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import mmap
import os
import pickle
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from numba.core import compiler, serialize
from numba.core.caching import _Cache
from numba.core.compiler_lock import global_compiler_lock

from engine.cache import cache_folder
from engine.errors import CompilerMemoryError, SaveError
from engine.owners import kept_by_another
from engine.record.writing import chosen, replace
from engine.version import __version__

log = logging.getLogger("engine")

#: numba's types tell little of its inner parts.
_compiler: Any = compiler
_serialize: Any = serialize

#: The number of folders that are kept, those used last. Several installations share the cache, and
#: each of them has a folder for training and one for proofs.
KEPT = 16
DIGEST_BYTES = hashlib.sha256().digest_size
#: The seconds for which a process waits for another that compiles the same, which may be suspended,
#: and the seconds between two looks.
WAIT_S, LOOK_S = 120.0, 0.05
#: The bytes of memory that have to be free to load the code of a function and the libraries it
#: calls, and to compile one. A search takes up to 121 and 243 MiB for one function.
TO_LOAD, TO_COMPILE = 128 * 2**20, 256 * 2**20


def keep(function: Any, sources: Path) -> None:
    """Lets a function that numba compiles keep its code on the disk, and compile it there but once.

    `sources` is the folder of the function's source, on whose text the place on the disk depends. A
    function that numba was told not to compile (NUMBA_DISABLE_JIT) stays as it is.
    """
    if not hasattr(function, "compile"):
        return
    kept = DiskCache(function.__name__, sources)
    compile_here = function.compile

    def compile_or_wait(signature: Any) -> Any:
        # The threads of a process line up before processes do, as a thread that compiles one
        # function may have to compile another.
        check_room(TO_LOAD, "load compiled code")
        with global_compiler_lock, kept.alone(signature, function.targetctx):
            return compile_here(signature)

    function._cache, function.compile = kept, compile_or_wait  # numba lets nobody choose


def check_room(size: int, what: str) -> None:
    """Raises CompilerMemoryError where the process cannot have `size` more bytes of memory.

    The error's message tells `what` they are for. Without this check, numba's compiler would end
    the process where it is given no memory, and OpenBLAS, which it loads, would ask for ever.
    """
    try:
        mmap.mmap(-1, size).close()
    except OSError:
        raise CompilerMemoryError(
            f"to {what} takes {size // 2**20} MiB, and there is less; raise `ulimit -v`, or close "
            "what else needs memory"
        ) from None


class DiskCache(_Cache):
    """The files of one compiled function, in the form in which numba's dispatcher uses a cache."""

    def __init__(self, name: str, sources: Path) -> None:
        """Makes the cache of a function by its name, and by the folder of the source it is in."""
        self._name, self._sources = name, sources

    @property
    def cache_path(self) -> str:
        """The folder that holds the files."""
        return str(folder(self._sources))

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Returns the code compiled for a signature, or None where no intact file holds it."""
        target_context.refresh()
        payload = _read(self._file(signature, target_context.codegen()))
        if payload is None:
            return None
        return _compiler.CompileResult._rebuild(target_context, *pickle.loads(payload))

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keeps the code compiled for a signature. Warns once where it cannot be written."""
        if compiled.library.has_dynamic_globals:  # addresses of this process
            return
        _write(self._file(signature, compiled.codegen), _serialize.dumps(compiled._reduce()))

    @contextmanager
    def alone(self, signature: Any, target_context: Any) -> Iterator[None]:
        """Holds a lock while a signature is compiled, for which other processes wait.

        Whoever waits too long, or has no place for the lock, compiles it as well. Raises
        CompilerMemoryError where it has to be compiled and there is too little memory for that.
        """
        target_context.refresh()
        file = self._file(signature, target_context.codegen())
        if file.exists():
            yield
            return
        check_room(TO_COMPILE, "compile a function")
        with ExitStack() as stack:
            with suppress(OSError):
                file.parent.mkdir(parents=True, exist_ok=True)
                lock = stack.enter_context((file.parent / f".{file.name}.lock").open("ab"))
                _wait_for(lock, WAIT_S)
            yield

    def is_filled(self) -> bool:
        """Returns whether code of this function is kept for any signature."""
        return any(folder(self._sources).glob(f"{self._name}-*"))

    def _file(self, signature: Any, codegen: Any) -> Path:
        """Returns the path of the file for a signature on this processor."""
        what = repr((signature, codegen.magic_tuple()))  # the latter describes the processor
        return (
            folder(self._sources) / f"{self._name}-{hashlib.sha256(what.encode()).hexdigest()[:32]}"
        )

    def enable(self) -> None:
        """Does nothing, because the cache is always enabled."""

    def disable(self) -> None:
        """Does nothing, because the cache is always enabled."""

    def flush(self) -> None:
        """Does nothing, because files of other sources lie in other folders."""


def folder(sources: Path) -> Path:
    """Returns the folder for the code that these versions compile from the source in a folder.

    It need not exist.
    """
    return cache_folder() / "compiled" / f"{__version__}-{_fingerprint(sources)}"


@cache
def _fingerprint(sources: Path) -> str:
    """Returns a hash of the source in a folder and of the versions of what compiles it."""
    digest = hashlib.sha256()
    for source in sorted(sources.glob("*.py")):
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    versions = [version(package) for package in ("numba", "llvmlite", "numpy")]
    digest.update(repr((sys.implementation.cache_tag, versions)).encode())
    return digest.hexdigest()[:16]


def _wait_for(lock: IO[bytes], seconds: float) -> None:
    """Locks a file until it is closed, or gives up. Raises OSError where nothing can be locked."""
    last = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > last:
                return
            time.sleep(LOOK_S)


def _read(file: Path) -> bytes | None:
    """Returns what `_write` wrote, or None where the file is missing, cut or otherwise damaged.

    It is a pickle, which could run anything: what others than this user or root may have written is
    not read either.
    """
    try:
        if kept_by_another(file):
            return None
        content = file.read_bytes()
    except OSError:
        return None
    digest, payload = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if digest != hashlib.sha256(payload).digest():
        return None
    with suppress(OSError):  # may be read only
        os.utime(file.parent)
    return payload


#: The folders of which this process has said that they cannot be written to.
_warned: set[Path] = set()


def _write(file: Path, payload: bytes) -> None:
    """Writes a file whole or not at all, and drops the folders of versions not used lately."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        content = hashlib.sha256(payload).digest() + payload
        replace(chosen(file), content, durable=False, mode=0o644)  # read back only if ours alone
    except (OSError, SaveError) as error:
        if file.parent not in _warned:
            _warned.add(file.parent)
            _warn(file.parent, str(error))
        return
    with suppress(OSError):  # another process may be dropping the same
        folders = sorted(file.parents[1].iterdir(), key=lambda each: each.stat().st_mtime)
        for unused in folders[:-KEPT]:
            shutil.rmtree(unused, ignore_errors=True)


def _warn(where: Path, reason: str) -> None:
    """Warns that each run will compile anew."""
    log.warning(
        "compiled code cannot be kept in %s (%s), so each run compiles anew; "
        "let DSS_TUI_CACHE name a folder that can be written to",
        where,
        reason,
    )
