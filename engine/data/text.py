"""Next-token prediction: a text cut into words or characters, numbered, and cut into samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.data.base import Dataset
from engine.data.catalogue import PTB_FILES, TEXTS
from engine.data.files import candidates, data_folder, locate
from engine.errors import InputError
from engine.spec.keys import TextData

KEY = "problem.data.path"
UNKNOWN, END = "<unk>", "<eos>"


@dataclass(frozen=True)
class Numbered:
    """A text as numbers of tokens."""

    train: NDArray[np.int32]
    held_out: NDArray[np.int32]
    tokens: tuple[str, ...]
    """By their numbers: those of the training part, the most frequent first, then <unk> if any."""


def load_text(spec: TextData) -> Dataset:
    """x (sample, time) and the tokens after each of them.

    Raises InputError for a text that is missing, is no UTF-8, or is too short.
    """
    text = number(spec)
    x, y = _samples(text.train, spec, spec.limit, "training")
    x_held_out, y_held_out = _samples(text.held_out, spec, spec.held_out_limit, "held-out")
    return Dataset(x, y, x_held_out, y_held_out, len(text.tokens))


def number(spec: TextData) -> Numbered:
    """Tokens in order. Raises InputError for a text that is missing or is no UTF-8."""
    train, held_out = _tokens(spec)
    seen: dict[str, int] = {}
    numbers = np.fromiter(
        (seen.setdefault(token, len(seen)) for token in chain(train, held_out)),
        np.int64,
        len(train) + len(held_out),
    )
    counts = np.bincount(numbers[: len(train)], minlength=len(seen)).tolist()
    words = list(seen)
    ranked = sorted((-count, word) for word, count in zip(words, counts, strict=True) if count)
    tokens = _vocabulary([word for _, word in ranked], len(seen), spec.vocabulary)
    places = {token: place for place, token in enumerate(tokens)}
    unknown = places.get(UNKNOWN, 0)  # 0 is never used: without <unk>, every word has a place
    renumbered = np.array([places.get(word, unknown) for word in words], np.int32)[numbers]
    return Numbered(renumbered[: len(train)], renumbered[len(train) :], tokens)


def _vocabulary(ranked: list[str], seen: int, limit: int | None) -> tuple[str, ...]:
    """The tokens told apart, of those that the training part has and `seen` in the whole text.

    <unk> stands last, and only where a token of the text is not told apart or is itself <unk>.
    """
    if UNKNOWN not in ranked and seen == len(ranked) <= (limit or seen):
        return tuple(ranked)
    others = [word for word in ranked if word != UNKNOWN]
    return (*others[: None if limit is None else limit - 1], UNKNOWN)


def _tokens(spec: TextData) -> tuple[Sequence[str], Sequence[str]]:
    """Of the training part and of the part held out."""
    first, *second = files(spec)
    if second:
        train, held_out = read(first), read(second[0])
        if spec.unit == "character":
            return train, held_out
        return with_ends(train), with_ends(held_out)
    text = read(first)
    tokens = text if spec.unit == "character" else text.split()
    start = len(tokens) - round(len(tokens) * spec.held_out)
    return tokens[:start], tokens[start:]


def with_ends(text: str) -> list[str]:
    """Words, and <eos> at the end of each line."""
    return text.replace("\n", f" {END} ").split()


def files(spec: TextData) -> list[Path]:
    """The text's file, or the two of the Penn Treebank. Raises InputError where neither is."""
    path = spec.path
    found = locate(path, folders=True)
    if found is None:
        looked = " nor ".join(map(str, candidates(path)))
        known = TEXTS.get(path.rstrip("/"))
        remedies = [known.where() + " to there"] if known else []
        remedies += [] if data_folder() else ["set DSS_TUI_DATA"]
        remedy = ", or ".join([*remedies, f"correct {KEY}"])
        raise InputError(f"no such file or folder: {looked}; {remedy}", file=path)
    if found.is_file():
        return [found]
    parts = [found / name for name in PTB_FILES]
    if lacking := [part.name for part in parts if not part.is_file()]:
        raise InputError(
            f"has no {' and no '.join(lacking)}; name a text file, or a folder with "
            f"{' and '.join(PTB_FILES)}",
            file=found,
        )
    return parts


def read(path: Path) -> str:
    """Raises InputError for a file that cannot be read or is no UTF-8."""
    return decode(content(path), path)


def content(path: Path) -> bytes:
    """Raises InputError for a file that cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None


def decode(encoded: bytes, path: Path) -> str:
    """Raises InputError for what is no UTF-8."""
    try:
        return encoded.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"is not UTF-8 text (byte {error.start}); convert it, for example with iconv -t UTF-8",
            file=path,
        ) from None


def _samples(
    tokens: NDArray[np.int32], spec: TextData, limit: int | None, part: str
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Sample k: tokens k·length to (k + 1)·length, and those one further. The rest is left out."""
    count = (len(tokens) - 1) // spec.length
    if count < 1:
        raise InputError(
            f"its {part} part has {len(tokens)} {spec.unit}s, but a sample needs {spec.length} and "
            "the one after; lower problem.data.length, change problem.data.held_out, or take a "
            "longer text",
            file=spec.path,
        )
    size = min(count, limit or count) * spec.length
    x, y = tokens[:size], tokens[1 : size + 1]
    return x.reshape(-1, spec.length).copy(), y.reshape(-1, spec.length).astype(np.int64)
