"""Texts: tokens, vocabularies, and the samples cut from them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.data import Dataset, counts, load_data
from engine.data.text import END, TextData, number
from engine.errors import InputError

# Five b, four a, three d and c, and once each the rest; the last three words are held out.
TEXT = "b a  d c\tb b\na d c b a d c b a e g a f b\n"


def spec(path: object, **keys: Any) -> TextData:
    return TextData(kind="text", path=str(path), **({"length": 2, "held_out": 0.15} | keys))


def load(path: object, **keys: Any) -> Dataset:
    return load_data(spec(path, **keys))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def spelled(path: object, **keys: Any) -> tuple[list[str], list[str]]:
    """The tokens of the samples' x, back as text: training and held out."""
    tokens, data = number(spec(path, **keys)).tokens, load(path, **keys)
    train, held_out = ([tokens[n] for n in x.ravel()] for x in (data.x, data.x_held_out))
    return train, held_out


# ---------------------------------------------------------------- vocabulary


def test_words_are_numbered_by_frequency_then_alphabet(file: Path) -> None:
    assert number(spec(file)).tokens == ("b", "a", "c", "d", "e", "g", "<unk>")
    assert load(file).classes == load(file).outputs == 7


def test_words_that_are_only_held_out_are_unknown(file: Path) -> None:
    text = number(spec(file))
    assert text.held_out.tolist() == [1, 6, 0]  # a <unk> b
    assert len(text.train) == 17
    assert 6 not in text.train


@pytest.mark.parametrize(
    ("limit", "tokens"),
    [
        (2, ("b", "<unk>")),
        (4, ("b", "a", "c", "<unk>")),
        (6, ("b", "a", "c", "d", "e", "<unk>")),
        (7, ("b", "a", "c", "d", "e", "g", "<unk>")),
        (70, ("b", "a", "c", "d", "e", "g", "<unk>")),
    ],
)
def test_a_limit_counts_the_unknown_token(limit: int, tokens: tuple[str, ...], file: Path) -> None:
    assert number(spec(file, vocabulary=limit)).tokens == tokens
    assert load(file, vocabulary=limit).classes == len(tokens)
    train, _ = spelled(file, vocabulary=limit)
    expected = [word if word in tokens else "<unk>" for word in TEXT.split()[:16]]
    assert train == expected


def test_without_unknown_words_there_is_no_unknown_token(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("x y z x y x y z")
    for limit in (None, 3):
        assert number(spec(path, held_out=0.4, vocabulary=limit)).tokens == ("x", "y", "z")
    assert number(spec(path, held_out=0.4, vocabulary=2)).tokens == ("x", "<unk>")


def test_a_texts_own_unknown_token_is_the_unknown_token(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("<unk> <unk> <unk> x x y <unk> x new")
    assert number(spec(path, held_out=0.3)).tokens == ("x", "y", "<unk>")
    text = number(spec(path, held_out=0.3, vocabulary=2))
    assert text.tokens == ("x", "<unk>")
    assert text.train.tolist() == [1, 1, 1, 0, 0, 1]
    assert text.held_out.tolist() == [1, 0, 1]


def test_the_vocabulary_does_not_depend_on_how_many_samples_are_used(file: Path) -> None:
    one, other = load(file), load(file, limit=2, held_out_limit=1)
    assert other.classes == one.classes
    np.testing.assert_array_equal(other.x, one.x[:2])


def test_characters_are_tokens_too(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("äbä\nä b∀b ä", encoding="utf-8")
    text = number(spec(path, unit="character", held_out=0.25))
    assert text.tokens == ("ä", "b", "\n", " ", "∀")
    assert [text.tokens[n] for n in text.train] == list("äbä\nä b∀")
    assert [text.tokens[n] for n in text.held_out] == list("b ä")
    assert load(path, unit="character", held_out=0.3, vocabulary=3).classes == 3


def test_frequencies_are_those_of_the_training_part(tmp_path: Path) -> None:
    """On a text whose end is unlike its beginning."""
    draw = np.random.default_rng(9)
    drawn = [*draw.geometric(0.1, 900), *(40 - draw.geometric(0.1, 300))]
    words = [f"w{number}" for number in drawn]
    path = tmp_path / "own.txt"
    path.write_text(" ".join(words))
    counted = Counter(words[:900])
    ranked = sorted(counted, key=lambda word: (-counted[word], word))
    assert number(spec(path, held_out=0.25, vocabulary=12)).tokens == (*ranked[:11], "<unk>")
    unknown = sum(word not in ranked[:11] for word in words[900:])
    assert (number(spec(path, held_out=0.25, vocabulary=12)).held_out == 11).sum() == unknown


def test_a_mark_of_byte_order_is_no_token(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_bytes(b"\xef\xbb\xbfx y x y x y x y")
    assert number(spec(path, held_out=0.4)).tokens == ("x", "y")


# ---------------------------------------------------------------- samples


@pytest.mark.parametrize("length", [1, 2, 3, 5, 16])
def test_samples_lie_end_to_end_and_y_is_one_further(length: int, tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    words = [f"w{number % 17}" for number in range(100)]
    path.write_text(" ".join(words))
    keys = {"length": length, "held_out": 0.2}
    text, data = number(spec(path, **keys)), load(path, **keys)
    for tokens, x, y in (
        (text.train, data.x, data.y),
        (text.held_out, data.x_held_out, data.y_held_out),
    ):
        assert len(x) == len(y) == (len(tokens) - 1) // length
        for k, (inputs, targets) in enumerate(zip(x, y, strict=True)):
            at = k * length
            assert inputs.tolist() == tokens[at : at + length].tolist()
            assert targets.tolist() == tokens[at + 1 : at + length + 1].tolist()
        assert (x.dtype.name, y.dtype.name) == ("int32", "int64")
    assert [text.tokens[n] for n in (*text.train, *text.held_out)] == words
    assert (len(text.train), len(text.held_out)) == (80, 20)
    assert counts(spec(path, **keys)) == (79 // length, 19 // length)


def test_limits_take_the_first_samples(file: Path) -> None:
    whole = load(file)
    data = load(file, limit=3, held_out_limit=50)
    np.testing.assert_array_equal(data.x, whole.x[:3])
    np.testing.assert_array_equal(data.y, whole.y[:3])
    np.testing.assert_array_equal(data.x_held_out, whole.x_held_out)
    assert data.checksum() != whole.checksum()


# ---------------------------------------------------------------- Penn Treebank


@pytest.fixture
def treebank(tmp_path: Path) -> Path:
    folder = tmp_path / "ptb"
    folder.mkdir()
    (folder / "ptb.train.txt").write_text(" no it was <unk> \n it was n't black monday \n")
    (folder / "ptb.valid.txt").write_text(" it was black \n new it was <unk> \n")
    return folder


def test_each_part_of_the_treebank_has_its_file(treebank: Path) -> None:
    """held_out is of a single file, so here it does not count."""
    train, held_out = spelled(treebank, length=1, held_out=0.9)
    assert train == ["no", "it", "was", "<unk>", END, "it", "was", "n't", "black", "monday"]
    assert held_out == ["it", "was", "black", END, "<unk>", "it", "was", "<unk>"]
    tokens = number(spec(treebank)).tokens
    assert tokens == ("<eos>", "it", "was", "black", "monday", "n't", "no", "<unk>")


def test_characters_of_the_treebank_have_their_newlines(treebank: Path) -> None:
    train, held_out = spelled(treebank, length=1, unit="character")
    assert "".join(train) == " no it was <unk> \n it was n't black monday "
    assert "".join(held_out)[:16] == " it was black \n "
    assert number(spec(treebank, unit="character")).tokens[-1] == "<unk>"  # of the e of new


@pytest.mark.parametrize("name", ["ptb.train.txt", "ptb.valid.txt"])
def test_a_folder_without_a_part_of_the_treebank_is_refused(name: str, treebank: Path) -> None:
    (treebank / name).unlink()
    assert refusal(treebank) == (
        f"{treebank}: has no {name}; name a text file, or a folder with ptb.train.txt and "
        "ptb.valid.txt"
    )


# ---------------------------------------------------------------- where, and what is refused


def refusal(path: object, **keys: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(path, **keys)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_a_text_is_looked_up_here_and_then_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, library = tmp_path / "here", tmp_path / "library"
    for folder in (here, library / "tinyshakespeare"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(here)
    name = "tinyshakespeare/input.txt"
    source = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/"
    assert refusal(name) == (
        f"{name}: no such file or folder: {here / name}; download input.txt from {source}input.txt "
        "to there, or set DSS_TUI_DATA, or correct problem.data.path"
    )
    monkeypatch.setenv("DSS_TUI_DATA", str(library))
    assert refusal("own.txt") == (
        f"own.txt: no such file or folder: {here / 'own.txt'} nor {library / 'own.txt'}; correct "
        "problem.data.path"
    )
    (library / name).write_text(TEXT)
    assert load(name).classes == 7
    (here / "tinyshakespeare").mkdir()
    (here / name).write_text(TEXT.replace("g", "e"))
    assert load(name).classes == 6


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_bytes("one two für three".encode("latin-1"))
    assert refusal(path) == (
        f"{path}: is not UTF-8 text (byte 9); convert it, for example with iconv -t UTF-8"
    )


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"length": 17}, "its training part has 17 words, but a sample needs 17 and the one after"),
        ({"length": 3}, "its held-out part has 3 words, but a sample needs 3 and the one after"),
        ({"held_out": 0.01}, "its held-out part has 0 words, but a sample needs 2 and the one "),
        ({"held_out": 0.99}, "its training part has 0 words, but a sample needs 2 and the one "),
        ({"length": 60, "unit": "character"}, "its training part has 35 characters, but a sample"),
    ],
    ids=str,
)
def test_texts_that_are_too_short_are_refused(keys: dict[str, Any], what: str, file: Path) -> None:
    sentence = refusal(file, **keys)
    assert sentence.startswith(f"{file}: {what}")
    assert "lower problem.data.length, change problem.data.held_out, or take a longer" in sentence


def test_an_empty_file_is_too_short(tmp_path: Path) -> None:
    (tmp_path / "own.txt").touch()
    assert "its training part has 0 words" in refusal(tmp_path / "own.txt")
