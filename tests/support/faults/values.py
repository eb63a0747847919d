"""Damages to single values: each in turn is another, of another type, missing or there twice.

Files of tensors lose their checksums, so that what is said of them is not that they were changed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.support.faults.whole import Case, Damage

#: What a value is replaced by, as JSON writes it.
VALUES = (
    "null",
    '"x"',
    "-1",
    "0",
    "0.5",
    "1e308",
    "1e999",
    "NaN",
    "1" + "0" * 30,
    "1000000",
    "[]",
    "{}",
    "[[[[]]]]",
    "true",
    '"\\u001b]0;x\\u0007[b]"',
)
#: What takes the place of a value and its key: nothing, or the key twice.
GONE, TWICE = "gone", "twice"
#: What all bytes of a tensor in a file are replaced by: zeros, NaN or −1, a tiny or huge number.
BYTES = (0x00, 0xFF, 0x11, 0x7F)

Place = tuple[Any, ...]
"""The keys and numbers that lead to a value."""
Text = Callable[[str], str]
"""Returns the JSON of a tree once a value in it is another."""
Content = Callable[[str], bytes]
"""Returns what a file holds then."""


def cases(file: str, path: Path) -> Iterator[Case]:
    """Every damage to a single value of a file whose content is as it was written."""
    for place, content in _contents(path):
        for value in (*VALUES, GONE, TWICE):
            yield Case(file, f"{place} = {value}", _writes(content, value), "one value")
    for name, fill in _tensors_of(path):
        yield Case(file, name, fill, "one tensor")


def _writes(content: Content, value: str) -> Damage:
    return lambda path: path.write_bytes(content(value))


def _contents(path: Path) -> Iterator[tuple[str, Content]]:
    """The values in a file by name, each with what the file holds once it is another."""
    content = path.read_bytes()
    match path.suffix:
        case ".json" | ".yaml":
            tree = yaml.safe_load(content)
            yield from _named(tree, lambda text: text.encode())
        case ".jsonl":
            yield from _of_lines(content.splitlines())
        case ".safetensors":
            yield from _of_tensors(content)
        case ".npz":
            yield from _of_archive(content)


def _named(tree: Any, wrapped: Callable[[str], bytes]) -> Iterator[tuple[str, Content]]:
    """The values of a tree by name, whose text becomes a file's content."""

    def written(place: Place, value: str) -> bytes:
        return wrapped(with_value(tree, place, value))

    for place in places(tree):
        yield ".".join(map(str, place)), partial(written, place)


def places(tree: Any, place: Place = ()) -> Iterator[Place]:
    """The places of all values in a tree; of a list only its first and its last item."""
    if place:
        yield place
    if isinstance(tree, dict):
        parts = list(tree.items())
    elif isinstance(tree, list):
        parts = list({n: tree[n] for n in (0, len(tree) - 1) if tree}.items())
    else:
        return
    for step, part in parts:
        yield from places(part, (*place, step))


def with_value(tree: Any, place: Place, value: str) -> str:
    """The JSON text of a tree in which the value at a place is another."""
    copy = json.loads(json.dumps(tree, default=str))
    at = copy
    for step in place[:-1]:
        at = at[step]
    last = place[-1]
    if value == GONE:
        del at[last]
        return json.dumps(copy)
    if value == TWICE and isinstance(at, dict):
        at["HERE IT IS"] = at.pop(last)
        twice = f"{json.dumps(last)}: 3, {json.dumps(last)}:"
        return json.dumps(copy).replace('"HERE IT IS":', twice)
    at[last] = "HERE IT IS"
    return json.dumps(copy).replace('"HERE IT IS"', "[1, 2]" if value == TWICE else value)


# ---------------------------------------------------------------- by the kind of file


def _of_lines(lines: list[bytes]) -> Iterator[tuple[str, Content]]:
    """The values of the first line of each kind of event."""
    known = set()
    for number, line in enumerate(lines):
        tree = json.loads(line)
        kind = tree.get("event", tree.get("command"))
        if kind in known:
            continue
        known.add(kind)
        wrapped = partial(_line_among, lines, number)
        yield from ((f"{kind}.{name}", content) for name, content in _named(tree, wrapped))


def _line_among(lines: list[bytes], number: int, text: str) -> bytes:
    return b"\n".join([*lines[:number], text.encode(), *lines[number + 1 :], b""])


def _of_tensors(content: bytes) -> Iterator[tuple[str, Content]]:
    """The values in the header of a safetensors file, and of the JSON in its metadata."""
    header, body = _without_checksums(content)
    yield from _named(header, partial(_headed, body=body))
    for key, text in header.get("__metadata__", {}).items():
        for tree in _trees(text):
            wrapped = partial(_in_metadata, header, body, key)
            yield from ((f"{key}.{name}", each) for name, each in _named(tree, wrapped))


def _without_checksums(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a safetensors file without its checksums, and what comes behind it."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header.get("__metadata__", {}).pop("checksums", None)
    return header, content[8 + size :]


def _trees(text: str) -> Iterator[Any]:
    """The JSON object in a text, if there is one."""
    with contextlib.suppress(ValueError):
        tree = json.loads(text)
        if isinstance(tree, dict):
            yield tree


def _in_metadata(header: Any, body: bytes, key: str, text: str) -> bytes:
    held = header["__metadata__"] | {key: text}
    return _headed(json.dumps(header | {"__metadata__": held}), body)


def _headed(header: str, body: bytes) -> bytes:
    text = header.encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + body


def _of_archive(content: bytes) -> Iterator[tuple[str, Content]]:
    """The values in the header of a string file that is an .npz."""
    with np.load(BytesIO(content)) as held:
        arrays = {name: held[name] for name in held.files}
    for tree in _trees(str(arrays.pop("dss", ""))):
        wrapped = partial(_in_archive, arrays)
        yield from ((f"dss.{name}", each) for name, each in _named(tree, wrapped))


def _in_archive(arrays: dict[str, Any], text: str) -> bytes:
    return _archive(arrays | {"dss": np.array(text)})


def _archive(arrays: dict[str, Any]) -> bytes:
    held = BytesIO()
    np.savez(held, **arrays)
    return held.getvalue()


# ---------------------------------------------------------------- tensors


def _tensors_of(path: Path) -> Iterator[tuple[str, Damage]]:
    """The tensors of a file by name, each with what makes all its bytes another."""
    match path.suffix:
        case ".safetensors":
            header, body = _without_checksums(path.read_bytes())
            for name, entry in header.items():
                for byte in BYTES if name != "__metadata__" else ():
                    start, end = entry["data_offsets"]
                    filled = body[:start] + bytes([byte]) * (end - start) + body[end:]
                    content = _headed(json.dumps(header), filled)
                    yield f"{name} of {byte:#04x}", partial(_write, content)
        case ".npz":
            with np.load(path) as held:
                arrays = {name: held[name] for name in held.files}
            for name, array in arrays.items():
                for byte in BYTES if name != "dss" else ():
                    other = np.frombuffer(bytes([byte]) * array.nbytes, array.dtype)
                    changed = arrays | {name: other.reshape(array.shape)}
                    yield f"{name} of {byte:#04x}", partial(_write, _archive(changed))


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)
