"""Strategies that change what is whole a little: values in a tree, bytes in a file."""

from __future__ import annotations

import copy
import json
import struct
from typing import Any

from hypothesis import strategies as st

from tests.support.faults.values import places

#: Numbers at which readers go wrong: signs, widths, sizes that no memory has.
NUMBERS: tuple[int, ...] = (0, 1, -1, 2, 5, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)
NUMBERS += (2**53, 2**63 - 1, 2**63, 2**64 - 1, 10**6, 10**10, 10**30, -(2**63))
FLOATS = (0.0, -0.0, 0.5, 1e-300, 1e308, float("inf"), float("-inf"), float("nan"))
WORDS = (
    "",
    "x",
    "null",
    "auto",
    "lowest",
    "1e-3",
    "../../etc",
    "a: b",
    "\x00",
    "\x1b[31m",
    "é",
    "𝔘",
)

#: What may stand in the place of any value.
JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from(NUMBERS)
    | st.sampled_from(FLOATS)
    | st.sampled_from(WORDS)
    | st.integers()
    | st.floats()
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def trees(draw: st.DrawFn, whole: Any) -> Any:
    """A tree in which some values are others, gone, of another name, or of other places."""
    tree = copy.deepcopy(whole)
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 4)))):
        found = list(places(tree))
        if not found:
            return draw(JUNK)
        place = draw(st.sampled_from(found))
        _change(draw, tree, place, found)
    return tree


def _change(draw: st.DrawFn, tree: Any, place: tuple[Any, ...], found: list[Any]) -> None:
    """Does one of the changes at a place."""
    at = tree
    for step in place[:-1]:
        at = at[step]
    last = place[-1]
    match draw(
        st.sampled_from(("junk", "junk", "gone", "renamed", "other place", "listed", "many"))
    ):
        case "junk":
            at[last] = draw(JUNK)
        case "gone":
            del at[last]
        case "renamed" if isinstance(at, dict):
            at[draw(st.sampled_from([*WORDS, f"{last}s", str(last)[:-1]]))] = at.pop(last)
        case "other place":
            other = tree
            for step in draw(st.sampled_from(found)):
                other = other[step]
            at[last] = copy.deepcopy(other)
        case "many":
            at[last] = [at[last]] * draw(st.sampled_from((0, 2, 1001)))
        case _:
            at[last] = [at[last]]


@st.composite
def contents(draw: st.DrawFn, whole: bytes) -> bytes:
    """The bytes of a file, most of the changes in its header or at its end."""
    content = bytearray(whole)
    for _ in range(draw(st.sampled_from((1, 1, 2, 5)))):
        size = len(content)
        offset = draw(st.integers(0, 159))
        where = draw(st.sampled_from(("head", "tail", "within")))
        at = {"head": offset, "tail": max(0, size - offset), "within": size * offset // 160}[where]
        match draw(
            st.sampled_from(("bit", "byte", "number", "number", "cut", "gone", "more", "again"))
        ):
            case "bit" if at < size:
                content[at] ^= 1 << draw(st.integers(0, 7))
            case "byte" if at < size:
                content[at] = draw(st.integers(0, 255))
            case "number":
                form = draw(st.sampled_from(("<I", ">I", "<Q", ">Q", "<H", "B")))
                width = struct.calcsize(form)
                number = draw(st.sampled_from(NUMBERS)) % 2 ** (8 * width)
                content[at : at + width] = struct.pack(form, number)
            case "cut":
                del content[at:]
            case "gone":
                del content[at : at + draw(st.integers(1, 64))]
            case "more":
                content[at:at] = draw(st.binary(max_size=40))
            case _:
                length = draw(st.integers(1, 64))
                content[at:at] = content[at : at + length]
    return bytes(content)


def text(tree: Any) -> str:
    """A tree as JSON, as Python writes it."""
    return json.dumps(tree, default=str)
