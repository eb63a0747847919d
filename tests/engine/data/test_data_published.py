"""The published data sets, where $DSS_TUI_DATA holds them: facts that are known of them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from dss_tui.cli import main
from engine.data import Dataset, counts, load_data
from engine.data.base import Scaling
from engine.data.cifar import Cifar10Data
from engine.data.idx import IdxData
from engine.data.text import TextData, number

#: Read here, because every test begins without it.
DATA = os.environ.get("DSS_TUI_DATA")
SHAKESPEARE = "tinyshakespeare/input.txt"


def holds(*names: str) -> bool:
    return DATA is not None and any((Path(DATA).expanduser() / name).exists() for name in names)


def needs(*names: str) -> pytest.MarkDecorator:
    where = "$DSS_TUI_DATA is not set" if DATA is None else f"$DSS_TUI_DATA has no {names[0]}"
    return pytest.mark.skipif(not holds(*names), reason=where)


@pytest.fixture(autouse=True)
def data_folder(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the fixture that takes it away."""
    if DATA is not None:
        monkeypatch.setenv("DSS_TUI_DATA", DATA)


def per_class(data: Dataset) -> tuple[list[int], list[int]]:
    train, held_out = (np.bincount(y, minlength=10).tolist() for y in (data.y, data.y_held_out))
    return train, held_out


# ---------------------------------------------------------------- MNIST


MNIST_TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
MNIST_TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@needs("mnist")
def test_mnist_is_the_published_one() -> None:
    spec = IdxData(kind="mnist", standardize=True)
    data = load_data(spec)
    assert (data.x.shape, data.x_held_out.shape) == ((60000, 1, 28, 28), (10000, 1, 28, 28))
    assert per_class(data) == (MNIST_TRAIN, MNIST_TEST)
    header = b"\0\0\x08\x03" + b"".join(size.to_bytes(4, "big") for size in (60000, 28, 28))
    assert hashlib.sha256(header + data.x.tobytes()).hexdigest() == (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    )
    assert isinstance(data.scaling, Scaling)
    assert data.scaling.mean == pytest.approx((0.13066,), abs=5e-6)
    assert data.scaling.std == pytest.approx((0.30811,), abs=5e-6)
    assert counts(spec) == (60000, 10000)
    assert spec.caveat() is None


@needs("mnist")
def test_a_split_of_mnist_is_its_end() -> None:
    whole = load_data(IdxData(kind="mnist"))
    spec = IdxData(kind="mnist", held_out=1 / 6, limit=5000, held_out_limit=1000)
    data = load_data(spec)
    assert counts(spec) == (len(data.x), len(data.x_held_out)) == (5000, 1000)
    np.testing.assert_array_equal(data.x, whole.x[:5000])
    np.testing.assert_array_equal(data.x_held_out, whole.x[50000:51000])
    np.testing.assert_array_equal(data.y_held_out, whole.y[50000:51000])


# ---------------------------------------------------------------- CIFAR-10


CIFAR10_TRAIN = [396, 366, 420, 384, 422, 393, 414, 385, 407, 413]
CIFAR10_TEST = [103, 89, 100, 103, 90, 86, 112, 102, 106, 109]


@needs("cifar10", "cifar-10-batches-bin")
def test_cifar10_begins_with_known_classes() -> None:
    """Of the whole set its first 4000 and 1000 records; of a subset of these that it is one."""
    spec = Cifar10Data(kind="cifar10")
    train, test = counts(spec)
    assert min(train - 4000, test - 1000) >= 0
    data = load_data(spec.model_copy(update={"limit": 4000, "held_out_limit": 1000}))
    assert (data.x.shape, data.x_held_out.shape) == ((4000, 3, 32, 32), (1000, 3, 32, 32))
    assert per_class(data) == (CIFAR10_TRAIN, CIFAR10_TEST)
    remark = spec.caveat()
    if (train, test) == (50000, 10000):
        assert remark is None
    else:
        assert remark is not None
        assert f"{train} of 50000 training and {test} of 10000 test images" in remark


# ---------------------------------------------------------------- Tiny Shakespeare


@needs(SHAKESPEARE)
def test_tiny_shakespeare_has_65_characters() -> None:
    spec = TextData(kind="text", path=SHAKESPEARE, unit="character", length=64)
    text, data = number(spec), load_data(spec)
    assert len(text.train) + len(text.held_out) == 1115394
    assert data.classes == len(text.tokens) == 65
    assert counts(spec) == ((1003855 - 1) // 64, (111539 - 1) // 64)
    begins = "".join(text.tokens[n] for n in data.x[0])
    assert begins.startswith("First Citizen:\nBefore we proceed any further, hear me speak.")
    np.testing.assert_array_equal(data.x.ravel()[1:], data.y.ravel()[:-1])


@needs(SHAKESPEARE)
def test_tiny_shakespeare_has_its_words() -> None:
    text = number(TextData(kind="text", path=SHAKESPEARE))
    assert len(text.train) + len(text.held_out) == 202651
    unknown = text.tokens.index("<unk>")
    trained = set(text.train.tolist())
    assert unknown not in trained
    assert len(trained) == len(text.tokens) - 1
    assert text.tokens[:3] == ("the", "I", "to")
    # All 25 670 words: those told apart, and the different ones among the unknown.
    assert DATA is not None
    words = (Path(DATA).expanduser() / SHAKESPEARE).read_text("utf-8").split()
    new = set(words[len(text.train) :]) - set(words[: len(text.train)])
    assert len(trained) + len(new) == 25670
    short = TextData(kind="text", path=SHAKESPEARE, vocabulary=2000)
    assert load_data(short).classes == 2000


# ---------------------------------------------------------------- the command


@needs("mnist")
def test_the_command_knows_the_published_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "mnist"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("mnist: MNIST, found\n  samples 60 000 to train + 10 000 held out\n")
    assert " ".join(shown.split()).count("checksum as published") == 4


@needs(SHAKESPEARE)
def test_the_command_counts_characters_and_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "tinyshakespeare"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    facts = "1 115 394 characters, 65 different characters, 202 651 words, 25 670 different words"
    assert f"input.txt: {facts}, checksum as published" in shown
