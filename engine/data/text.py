"""The texts for next-token prediction: cut into tokens, numbered, and cut into samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from engine.data.base import DataKeys, Dataset
from engine.data.files import candidates, data_folder, locate, looked_in
from engine.data.survey import Source, Survey, absent, compared, damaged, looked_at
from engine.errors import InputError
from engine.own_file import read_bytes
from engine.part import Fraction, PathName, PositiveInt, Size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KEY = "problem.data.path"
UNKNOWN, END = "<unk>", "<eos>"

PTB_FILES = PTB_TRAIN, PTB_VALID = "ptb.train.txt", "ptb.valid.txt"

#: The bytes of the largest text that is read.
LARGEST = 2**30
#: Published texts by their path under $DSS_TUI_DATA. Any other text will do as well.
TEXTS = {
    "tinyshakespeare/input.txt": Source(
        "Tiny Shakespeare",
        ("input.txt",),
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        checksums={"input.txt": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"},
    ),
    "ptb": Source(
        "Penn Treebank",
        PTB_FILES,
        "http://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz",
    ),
}


class TextData(DataKeys):
    """A text for next-token prediction: a sample is a stretch of tokens, its y the tokens after."""

    kind: Literal["text"]
    path: PathName
    """A UTF-8 file, or a folder with ptb.train.txt and ptb.valid.txt."""
    unit: Literal["word", "character"] = "word"
    """The kind of token: a word or a character."""
    vocabulary: Annotated[int, Field(ge=2)] | None = None
    """The number of the most frequent tokens that are told apart, with <unk> for all others; null
    tells all apart."""
    length: Size = 32
    """The number of tokens of a sample. Gradients reach no further back."""
    limit: PositiveInt | None = None
    """The number of training samples that are used, the first ones; null uses all."""
    held_out: Fraction = 0.1
    """The share of a single file, its end, that is held out."""
    held_out_limit: PositiveInt | None = None
    """The number of samples held out that are used, the first ones; null uses all."""

    fetched: ClassVar[bool] = True

    def read(self) -> Dataset:
        """Returns x (sample, time) and, as y, the tokens after each of them.

        Raises InputError for a text that is missing, is no UTF-8, or is too short.
        """
        text = number(self)
        x, y = _samples(text.train, self, self.limit, "training")
        x_held_out, y_held_out = _samples(text.held_out, self, self.held_out_limit, "held-out")
        return Dataset(x, y, x_held_out, y_held_out, len(text.tokens))

    def files(self) -> list[Path]:
        """Returns the text's file, or the two of the Penn Treebank.

        Raises InputError where neither is there.
        """
        return _files(self.path)

    @classmethod
    def surveys(cls) -> Mapping[str, Callable[[], Survey]]:
        """Returns, for each published text, a function that says what of it is on this machine."""
        return {_name(path): partial(_survey, path) for path in TEXTS}


@dataclass(frozen=True)
class Numbered:
    """A text as numbers of tokens."""

    train: NDArray[np.int32]
    """The part to train on, (token,)."""
    held_out: NDArray[np.int32]
    """The part held out, (token,)."""
    tokens: tuple[str, ...]
    """The tokens by their numbers: those of the training part, the most frequent first, and then
    <unk> if there is any."""


def number(spec: TextData) -> Numbered:
    """Returns a text's tokens as numbers, in order.

    Raises InputError for a text that is missing or is no UTF-8.
    """
    import numpy as np

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
    """Returns the tokens that are told apart, the most frequent first.

    `ranked` lists the tokens of the training part by frequency, and `seen` is the number of
    different tokens in the whole text. <unk> stands last, and only where a token of the text is not
    told apart or is itself <unk>.
    """
    if UNKNOWN not in ranked and seen == len(ranked) <= (limit or seen):
        return tuple(ranked)
    others = [word for word in ranked if word != UNKNOWN]
    return (*others[: None if limit is None else limit - 1], UNKNOWN)


def _tokens(spec: TextData) -> tuple[Sequence[str], Sequence[str]]:
    """Returns the tokens of the training part and those of the part held out."""
    first, *second = spec.files()
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
    """Returns the words of a text, and <eos> at the end of each line."""
    return text.replace("\n", f" {END} ").split()


def _files(path: str) -> list[Path]:
    """Returns the text's file, or the two of the Penn Treebank.

    Raises InputError where neither is there.
    """
    found = locate(path, folders=True)
    if found is None:
        looked = looked_in(path)
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
    """Returns a file's text. Raises InputError for one that cannot be read or is not UTF-8."""
    return decode(content(path), path)


def content(path: Path) -> bytes:
    """Returns a file's bytes. Raises InputError for one that cannot be read."""
    try:
        return read_bytes(path, LARGEST)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None


def decode(encoded: bytes, path: Path) -> str:
    """Returns a file's bytes as text. Raises InputError for bytes that are not UTF-8."""
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
    """Returns x and y (sample, length), of which sample k begins with token k · length.

    What is left at the end is left out. Raises InputError where there are too few tokens.
    """
    import numpy as np

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


# ---------------------------------------------------------------- surveys


def _name(path: str) -> str:
    """Returns the name by which a published text is known."""
    return path.partition("/")[0]


def _survey(path: str) -> Survey:
    """Returns what of a published text is on this machine. All its files are read."""
    source = TEXTS[path]
    found = absent(_name(path), "text", source, candidates(path), path)
    there = locate(path, folders=True)
    if there is None:
        return found
    folder = there if there.is_dir() else there.parent
    paths = {name: folder / name for name in source.files if (folder / name).is_file()}
    if not paths:
        return found
    found = looked_at(found, paths, source, _look)
    lacking = [name for name in source.files if name not in paths]
    problems = [f"{folder}: has no {name}; {source.again()}" for name in lacking]
    if problems or found.problems:
        return damaged(found, *problems)
    return compared(found, source)


def _look(name: str, path: Path) -> tuple[bytes, dict[str, int]]:
    """Returns a file's content and what it holds. Raises InputError where it is not UTF-8."""
    encoded = content(path)
    decoded = decode(encoded, path)
    words = decoded.split()
    return encoded, {
        "characters": len(decoded),
        "different characters": len(set(decoded)),
        "words": len(words),
        "different words": len(set(words)),
    }
