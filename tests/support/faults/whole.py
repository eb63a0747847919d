"""Damages to whole files: what a disk, a crash, a careless copy or a stranger leaves of them."""

from __future__ import annotations

import gzip
import os
import random
import socket
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

Damage = Callable[[Path], object]

GIB = 2**30


@dataclass(frozen=True)
class Case:
    """One damage done to one file."""

    file: str
    """The file's path below the folder that is damaged."""
    name: str
    do: Damage
    kind: str
    """What is damaged, in a word or two."""
    unprivileged: bool = False
    """Whether the superuser, who may read everything, would not see it."""


Content = bytes | Callable[[], bytes]
"""What a file holds, or what makes it where that takes a while."""


def _written(content: Content) -> Damage:
    return lambda path: path.write_bytes(content() if callable(content) else content)


def _removed(path: Path) -> None:
    path.unlink() if not path.is_dir() else path.rmdir()


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _socket(path: Path) -> None:
    """A socket that nobody listens to any more."""
    path.unlink()
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


def _linked_to(target: str) -> Damage:
    def do(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return do


def _linked_out(path: Path) -> None:
    """The same content, in a file outside of the folder."""
    outside = path.parent.parent / f"outside-{path.name}"
    path.rename(outside)
    path.symlink_to(outside)


def _loop(path: Path) -> None:
    """Two links to each other."""
    other = path.with_name(f"{path.name}.loop")
    path.unlink()
    path.symlink_to(other.name)
    other.symlink_to(path.name)


def _cut(share: float, less: int = 0) -> Damage:
    return lambda path: os.truncate(path, max(0, int(path.stat().st_size * share) - less))


def _flipped(place: float) -> Damage:
    def do(path: Path) -> None:
        content = bytearray(path.read_bytes())
        if content:
            at = min(int(len(content) * place), len(content) - 1)
            content[at] ^= 1 << random.Random(place).randrange(8)
            path.write_bytes(content)

    return do


def _noise_within(path: Path) -> None:
    """Noise in a third of it."""
    content = bytearray(path.read_bytes())
    third = len(content) // 3
    content[third : 2 * third] = random.Random(9).randbytes(third)
    path.write_bytes(content)


def _appended(more: bytes) -> Damage:
    return lambda path: path.write_bytes(path.read_bytes() + more)


def _sparse(size: int) -> Damage:
    """A hole at its end."""
    return lambda path: os.truncate(path, size)


def _hole(path: Path) -> None:
    """Nothing but a hole, longer than it was."""
    path.write_bytes(b"")
    os.truncate(path, 6 * GIB)


ANY: dict[str, Damage] = {
    "missing": _removed,
    "empty": _written(b""),
    "one byte": _written(b"{"),
    "cut at a quarter": _cut(0.25),
    "cut in the middle": _cut(0.5),
    "cut by one byte": _cut(1.0, 1),
    "noise": _written(random.Random(5).randbytes(3000)),
    "noise within": _noise_within,
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    **{f"a bit at {place:g}": _flipped(place) for place in (0.0, 0.001, 0.05, 0.3, 0.5, 0.77, 1.0)},
    "more behind it": _appended(b'\x00\xff{"a": '),
    "directory": _directory,
    "pipe": _pipe,
    "socket": _socket,
    "link to a device": _linked_to("/dev/zero"),
    "link to itself": lambda path: _linked_to(path.name)(path),
    "links in a loop": _loop,
    "link to nothing": _linked_to("nowhere/at/all"),
    "link out": _linked_out,
    "nested lists": _written(b"[" * 10**6),
    "nested objects": _written(b'{"a":' * 10**5),
    "a huge number": _written(b"9" * 10**5),
    "6 GiB with a hole": _sparse(6 * GIB),
    "6 GiB of a hole": _hole,
}


# ---------------------------------------------------------------- by the kind of file


def _of_yaml() -> dict[str, Content]:
    laughs = b"a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + b"".join(
        b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 10)
    )
    return {
        "a billion laughs": laughs,
        "an object of Python": b"problem: !!python/object/apply:os.system [id]\n",
        "a list of itself": b"&a [*a]\n",
        "a map of itself": b"&a {problem: *a}\n",
        "nested flows": b"a: " + b"[" * 5000 + b"]" * 5000,
        "nested blocks": b"".join(b" " * n + b"a:\n" for n in range(1500)),
        "a long line": b"description: " + b"x" * 10**6,
        "keys that are lists": b"? [a, b]\n: 1\n",
        "two documents": b"a: 1\n---\nb: 2\n",
        "a tab": b"a:\n\tb: 1\n",
        "a date": b"2020-01-01: 2020-13-45\n",
        "zero bytes": b"a: \x00\n",
        "Latin-1": "description: été\n".encode("latin-1"),
    }


def _of_lines() -> dict[str, Content]:
    return {
        "a line of 100 MB": lambda: b'{"seq": 0, "x": "' + b"x" * 10**8,
        "200 000 empty lines": b"\n" * 200_000,
        "200 000 lists": b"[]\n" * 200_000,
        "lines of noise": b"\n".join(random.Random(1).randbytes(60) for _ in range(2000)),
        "Latin-1": '{"event": "é"}\n'.encode("latin-1"),
    }


def _header(head: bytes, length: int | None = None, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(head) if length is None else length) + head + body


def _tensor(shape: Any, offsets: Any, dtype: str = "F32") -> str:
    return f'{{"dtype": "{dtype}", "shape": {shape}, "data_offsets": {offsets}}}'


def _of_tensors() -> dict[str, Content]:
    beads = f'{{"beads": {_tensor([10**6, 10**6], [0, 4 * 10**12])}}}'.encode()
    overlap = (
        f'{{"beads": {_tensor([4], [0, 16])}, "losses": {_tensor([4], [8, 24])}}}'.encode(),
        bytes(24),
    )
    many = "{" + ", ".join(f'"t{n}": {_tensor([0], [0, 0])}' for n in range(300_000)) + "}"
    return {
        "a header of 2^63 bytes": _header(b"{}", 2**63),
        "a header of 10^9 bytes": _header(b"{}", 10**9),
        "a header without end": _header(b'{"a"' + b" " * 10**6),
        "a list that is none": _header(b"[1, 2]"),
        "10^6 × 10^6": _header(beads),
        "a shape that overflows": _header(
            f'{{"beads": {_tensor([2**32, 2**32], [0, 0])}}}'.encode()
        ),
        "tensors that overlap": _header(overlap[0], body=overlap[1]),
        "offsets backwards": _header(
            f'{{"beads": {_tensor([1], [8, 4])}}}'.encode(), body=bytes(8)
        ),
        "300 000 tensors": _header(many.encode()),
        "a type of its own": _header(
            f'{{"beads": {_tensor([1], [0, 4], "F4")}}}'.encode(), body=bytes(4)
        ),
        "metadata that are numbers": _header(b'{"__metadata__": {"dss": 3}}'),
        "a name twice": _header(
            f'{{"beads": {_tensor([1], [0, 4])}, "beads": {_tensor([2], [0, 8])}}}'.encode(),
            body=bytes(8),
        ),
    }


@cache
def bomb(size: int = 6 * GIB) -> bytes:
    """Zeros in gzip, about a thousandth of their size: many parts that are all the same."""
    part = 2**24
    return gzip.compress(bytes(part), 9, mtime=0) * (size // part)


@cache
def archive_bomb(name: str = "beads", size: int = GIB) -> bytes:
    """An .npz whose one array is zeros, packed."""
    held = BytesIO()
    with (
        zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open(f"{name}.npy", "w", force_zip64=True) as member,
    ):
        head = {"descr": "<f4", "fortran_order": False, "shape": (2, size // 8)}
        np.lib.format.write_array_header_1_0(member, head)
        for _ in range(size // 2**24):
            member.write(bytes(2**24))
    return held.getvalue()


def _of_archives() -> dict[str, Content]:
    def promising(shape: tuple[int, ...]) -> bytes:
        held = BytesIO()
        with zipfile.ZipFile(held, "w") as archive, archive.open("beads.npy", "w") as member:
            head = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(member, head)
        return held.getvalue()

    many = BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(20_000):
            archive.writestr(f"a{number}.npy", b"")
    pickled = BytesIO()
    np.savez(pickled, beads=np.array([{}], object))
    return {
        "an archive of 1 GiB of zeros": archive_bomb,
        "an array of 10^12": promising((10**6, 10**6)),
        "an array of −1": promising((-1, 4)),
        "20 000 entries": many.getvalue(),
        "an array of objects": pickled.getvalue(),
    }


def _of_gzip() -> dict[str, Content]:
    return {"6 GiB of zeros": bomb}


#: Further contents of files with an ending.
BY_ENDING: dict[str, Callable[[], dict[str, Content]]] = {
    ".yaml": _of_yaml,
    ".json": _of_lines,
    ".jsonl": _of_lines,
    ".safetensors": _of_tensors,
    ".npz": _of_archives,
    ".gz": _of_gzip,
}
_made: dict[str, dict[str, Damage]] = {}


def cases(file: str) -> Iterator[Case]:
    """Every damage to a whole file of that name."""
    ending = Path(file).suffix
    if ending not in _made:
        contents = BY_ENDING[ending]() if ending in BY_ENDING else {}
        _made[ending] = {name: _written(content) for name, content in contents.items()}
    for name, do in ANY.items():
        yield Case(file, name, do, "whole file")
    for name, do in _made[ending].items():
        yield Case(file, name, do, "made to hurt")
    yield Case(file, "no permission", lambda path: path.chmod(0), "whole file", unprivileged=True)
