"""`dss-tui data`: what it says of data sets that are there, absent, in part or damaged."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dss_tui.cli import main
from tests.support.image_files import (
    TEST,
    TRAIN,
    idx,
    labels,
    pixels,
    write,
    write_cifar10,
    write_idx,
)
from tests.support.imports import imported_by

SETS = ["digits", "mnist", "fashion_mnist", "cifar10", "cifar100", "tinyshakespeare", "ptb"]


@pytest.fixture(autouse=True)
def library(tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """$DSS_TUI_DATA, empty; the current folder is another."""
    folder, here = tmp_path / "library", tmp_path / "here"
    folder.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("DSS_TUI_DATA", str(folder))
    return folder


def listed(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    """What is printed, and nothing on stderr."""
    assert main(["data", *arguments]) == status
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def on_one_line(text: str) -> str:
    return " ".join(text.split())


def described(capsys: pytest.CaptureFixture[str], name: str, status: int = 0) -> dict[str, Any]:
    (only,) = json.loads(listed(capsys, name, "--json", status=status))
    assert only["name"] == name
    return dict(only)


# ---------------------------------------------------------------- absent


def test_every_data_set_is_listed_with_what_it_needs_and_where_it_is(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = listed(capsys)
    parts = shown.split("\n\n")
    assert [part.partition(":")[0] for part in parts] == SETS
    assert "shipped with dss-tui\n  samples 1 437 to train + 360 held out\n" in parts[0]
    for part, name, address in zip(
        parts[1:],
        (
            "mnist",
            "fashion-mnist",
            "cifar-10-batches-py",
            "cifar-100-binary",
            "tinyshakespeare/input.txt",
            "ptb",
        ),
        (
            "http://yann.lecun.com/exdb/mnist/",
            "https://github.com/zalandoresearch/fashion-mnist",
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/",
            "http://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz",
        ),
        strict=True,
    ):
        assert ", not here\n" in part
        assert f"  {library / name}\n" in f"{part}\n"
        assert f"  {address}" in part
        assert "  needs   " in part
    for name in (*TRAIN, *TEST):
        assert parts[1].count(name) == parts[2].count(name) == 1


def test_without_a_data_folder_the_list_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DSS_TUI_DATA")
    shown = listed(capsys)
    assert shown.count("looked  nowhere: $DSS_TUI_DATA is not set") == 4
    assert shown.splitlines()[-1].startswith("$DSS_TUI_DATA is not set: set it to the folder ")


def test_lines_fit_80_columns_but_for_paths_and_addresses(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_idx(library / "mnist")
    write_cifar10(library / "cifar10")
    for line in listed(capsys).splitlines():
        assert len(line) <= 80 or len(line.split()) <= 2, line
        assert "\N{NO-BREAK SPACE}" not in line


@pytest.mark.parametrize(
    ("name", "listed_names"),
    [("fashion_mnist", ["fashion_mnist"]), ("text", SETS[-2:]), ("digits", ["digits"])],
)
def test_a_name_or_a_kind_lists_its_own(
    name: str, listed_names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert [each["name"] for each in json.loads(listed(capsys, name, "--json"))] == listed_names


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "minst"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "dss-tui: minst: no such data set; did you mean 'mnist'?\n"


def test_the_list_needs_no_torch() -> None:
    code = "from dss_tui.cli import main\nassert main(['data']) == 0"
    assert "torch" not in imported_by(code)


# ---------------------------------------------------------------- there


def test_a_subset_of_images_is_counted_and_said_to_be_one(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_cifar10(library / "cifar-10-batches-bin")
    shown = on_one_line(listed(capsys, "cifar10"))
    assert shown.startswith(
        "cifar10: CIFAR-10, found, a subset samples 28 to train + 7 held out size "
    )
    assert "size 105.0 KiB on disk, 105.3 KiB in memory" in shown
    assert "data_batch_2.bin: 15 images, 3 × 32 × 32, checksum not known" in shown
    assert "note a subset of CIFAR-10, 28 of 50000 training and 7 of 10000 test images" in shown
    found = described(capsys, "cifar10")
    assert (found["state"], found["train"], found["held_out"]) == ("subset", 28, 7)
    assert found["problems"] == []
    content = (library / "cifar-10-batches-bin" / "data_batch_1.bin").read_bytes()
    assert found["files"][0] == {
        "name": "data_batch_1",
        "path": str(library / "cifar-10-batches-bin" / "data_batch_1.bin"),
        "holds": {"images": 13, "channels": 3, "rows": 32, "columns": 32},
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": 13 * 3073,
        "checksum": "not known",
    }


def test_checksums_are_of_uncompressed_bytes(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = idx(pixels(9, 28, 28))
    write_idx(library / "mnist", samples=9)
    (library / "mnist" / TRAIN[0]).unlink()
    write(library / "mnist" / f"{TRAIN[0]}.gz", content)
    found = described(capsys, "mnist")
    assert (found["state"], found["caveat"][:17]) == ("subset", "a subset of MNIST")
    assert found["files"][0]["sha256"] == hashlib.sha256(content).hexdigest()


def test_texts_are_found_in_the_current_folder_and_in_the_data_folder(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ptb.train.txt", "ptb.valid.txt"):
        write(library / "ptb" / name, b" to be or <unk> to be \n")
    shown = on_one_line(listed(capsys, "ptb"))
    assert shown.startswith("ptb: Penn Treebank, found size 46 B on disk preset problem.data: {")
    assert (
        "ptb.valid.txt: 23 characters, 12 different characters, 6 words, 4 different words, "
        "checksum not known"
    ) in shown
    write(tmp_path / "here" / "ptb" / "ptb.train.txt", b"mine")
    found = described(capsys, "ptb", status=2)
    assert found["problems"] == [
        f"{tmp_path / 'here' / 'ptb'}: has no ptb.valid.txt; download it again from "
        "http://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz"
    ]


# ---------------------------------------------------------------- damaged


def test_damaged_files_are_said_beside_the_others(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_idx(library / "mnist")
    write_cifar10(library / "cifar10")
    (folder / TRAIN[0]).write_bytes(gzip.compress(idx(pixels(23, 28, 28)))[:-100])
    (folder / TEST[1]).write_bytes(idx(labels(11))[:-1] + b"\x0a")
    shown = listed(capsys, status=2)
    assert "mnist: MNIST, damaged or incomplete\n" in shown
    assert "cifar10: CIFAR-10, found, a subset" in shown
    found = described(capsys, "mnist", status=2)
    assert [bool(file["holds"]) for file in found["files"]] == [False, True, True, False]
    assert (found["train"], found["held_out"]) == (None, None)
    again = "download it again from https://ossci-datasets.s3.amazonaws.com/mnist/"
    assert found["problems"] == [
        f"{folder / TRAIN[0]}: its gzip data end too early; {again}",
        f"{folder / TEST[1]}: the label of sample 10 is 10, but MNIST has labels from 0 to 9; "
        f"{again}",
    ]
    for problem in found["problems"]:
        assert problem in on_one_line(shown)


def test_missing_files_beside_others_are_a_problem(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (write_idx(library / "fashion-mnist") / TRAIN[1]).unlink()
    (write_cifar10(library / "cifar10") / "test_batch.bin").unlink()
    (idx_problem,) = described(capsys, "fashion_mnist", status=2)["problems"]
    assert idx_problem == (
        f"{library / 'fashion-mnist'}: has no {TRAIN[1]}, plain or .gz; download it from "
        "https://github.com/zalandoresearch/fashion-mnist"
    )
    (cifar10_problem,) = described(capsys, "cifar10", status=2)["problems"]
    assert cifar10_problem.startswith(f"{library / 'cifar10'}: has no test_batch*.bin, plain or ")


def test_images_without_a_label_each_are_a_problem(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_idx(library / "mnist")
    write(folder / TEST[1], idx(labels(12)))
    assert described(capsys, "mnist", status=2)["problems"] == [
        f"{folder / TEST[0]}: holds 11 images, but {TEST[1]} beside it holds 12 labels; take both "
        "from the same data set"
    ]


def test_parts_that_may_overlap_are_a_problem(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_cifar10(library / "cifar10")
    (folder / "test_batch.bin").rename(folder / "test_batch.a.bin")
    write(folder / "test_batch.b.bin", (folder / "test_batch.a.bin").read_bytes())
    found = described(capsys, "cifar10", status=2)
    assert found["state"] == "damaged"
    (problem,) = found["problems"]
    assert "holds test_batch.a.bin and test_batch.b.bin, which may share samples" in problem


def test_as_many_samples_as_published_must_be_the_published_ones(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for names, count in ((TRAIN, 60000), (TEST, 10000)):
        blank = np.zeros((count, 28, 28), np.uint8)
        write(library / "mnist" / f"{names[0]}.gz", idx(blank))
        write(library / "mnist" / f"{names[1]}.gz", idx(blank[:, 0, 0]))
    found = described(capsys, "mnist", status=2)
    assert {file["checksum"] for file in found["files"]} == {"differs"}
    assert found["caveat"] is None
    assert found["problems"][0] == (
        f"{library / 'mnist' / TRAIN[0]}.gz: its checksum is not that of the published file; "
        "download it again from https://ossci-datasets.s3.amazonaws.com/mnist/"
    )


def test_a_text_that_is_no_utf8_or_not_the_published_one_is_a_problem(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(library / "tinyshakespeare" / "input.txt", b"First Citizen:\n\xff")
    (problem,) = described(capsys, "tinyshakespeare", status=2)["problems"]
    assert problem.startswith(f"{path}: is not UTF-8 text (byte 15); ")
    write(path, b"First Citizen:\n")
    (problem,) = described(capsys, "tinyshakespeare", status=2)["problems"]
    assert problem.startswith(f"{path}: its checksum is not that of the published file; ")


# ---------------------------------------------------------------- sizes and conversion


def test_sizes_of_a_preset_s_data(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_cifar10(library / "cifar10")
    shown = on_one_line(listed(capsys, "cifar10-cnn"))
    assert shown == (
        "cifar10-cnn: data of kind cifar10 samples 28 to train + 7 held out x uint8, 3 × 32 × 32 "
        "y int64 size 105.0 KiB on disk, 105.3 KiB in memory"
    )
    found = json.loads(listed(capsys, "cifar10-cnn", "--json"))
    assert found["x"] == {"dtype": "uint8", "shape": [3, 32, 32]}
    assert (found["memory_bytes"], found["mapped_bytes"]) == (35 * 3080, 0)
    assert found["disk_bytes"] == 35 * 3073


def test_data_are_written_to_be_mapped(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_cifar10(library / "cifar10")
    to = tmp_path / "cifar.npz"
    shown = on_one_line(listed(capsys, "cifar10", "--to", str(to)))
    keys = f"kind: arrays, path: {to}, inputs: pixels, targets: classes"
    assert shown.endswith(f"preset problem.data: {{{keys}}}")
    told = json.loads(listed(capsys, "cifar10-cnn", "--to", str(to), "--json"))
    assert told["bytes"] == to.stat().st_size and told["data"]["kind"] == "arrays"
    preset = tmp_path / "mine.yaml"
    preset.write_text(
        f"problem: {{data: {{{keys}}}, network: {{kind: mlp, sizes: [3072, 10]}}, "
        "loss: cross_entropy}\nsearch: {level: 1.0}\n"
    )
    assert "x uint8, 3 × 32 × 32 y int64" in on_one_line(listed(capsys, str(preset)))


def test_what_cannot_be_converted_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, words in (
        (["--to", "a.npz"], "--to: names no data set; give one, or a preset"),
        (["digits", "--to", "a.pt"], "a.pt: ends in '.pt'; give a file that ends in .npz"),
        (["text", "--to", "a.npz"], "text: are several data sets; choose from tinyshakespeare, p"),
        (["minst", "--to", "a.npz"], "minst: no such data set; did you mean 'mnist'?"),
    ):
        assert main(["data", *arguments]) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.startswith(f"dss-tui: {words}")
