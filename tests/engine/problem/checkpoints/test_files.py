"""Folders from the Hub, and models in several files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from engine.errors import InputError
from engine.problem.checkpoints.files import read

TENSORS = {"first.weight": torch.arange(6.0).reshape(2, 3), "last.bias": torch.tensor([0.5])}


def index(folder: Path, where: dict[str, str], name: str = "model.safetensors.index.json") -> Path:
    path = folder / name
    path.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return path


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "run `git lfs pull`"),
        (b"\n<!DOCTYPE html><html>", "is a web page in place of the file"),
        (b"", "is not a whole"),
    ],
)
def test_what_stands_in_place_of_a_model_is_named(
    ending: str, content: bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / f"model.{ending}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        read(path)


def test_of_a_reason_the_first_sentence_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(TENSORS, path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match=r"is not a whole \.pt file \([^.]+\); save it again$"):
        read(path)
    path.write_bytes(b"vv")
    with pytest.raises(InputError, match=r"\(KeyError 118\)"):
        read(path)


def same(held: dict[str, torch.Tensor]) -> bool:
    return held.keys() == TENSORS.keys() and all(held[n].equal(t) for n, t in TENSORS.items())


def test_a_folder_holds_one_file(tmp_path: Path) -> None:
    safetensors.torch.save_file(TENSORS, tmp_path / "model.safetensors")
    torch.save({"first.weight": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    assert same(read(tmp_path))


def test_a_folder_holds_a_file_of_torch(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "pytorch_model.bin")
    assert same(read(tmp_path))


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_a_folder_holds_several_files(ending: str, tmp_path: Path) -> None:
    where = {}
    for number, (name, tensor) in enumerate(TENSORS.items()):
        file = f"model-{number}.{ending}"
        if ending == "bin":
            torch.save({name: tensor}, tmp_path / file)
        else:
            safetensors.torch.save_file({name: tensor}, tmp_path / file)
        where[name] = file
    names = {"safetensors": "model.safetensors.index.json", "bin": "pytorch_model.bin.index.json"}
    listed = index(tmp_path, where, names[ending])
    assert same(read(tmp_path))
    assert same(read(listed))


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"a": "../secret.bin"}, "names '../secret.bin', which is no file beside it"),
        ({"a": "gone.bin"}, "names 'gone.bin', which is no file beside it"),
        ({"a": "one.bin", "b": "one.bin"}, "names 'b', which is not in its file"),
    ],
    ids=["elsewhere", "gone", "not in it"],
)
def test_a_list_that_is_not_whole_is_refused(
    where: dict[str, str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    torch.save({"a": torch.zeros(1)}, tmp_path / "secret.bin")
    torch.save({"a": torch.zeros(1)}, tmp_path / "folder" / "one.bin")
    with pytest.raises(InputError, match=said):
        read(index(tmp_path / "folder", where))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": 3}', "[" * 100_000])
def test_what_is_no_list_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(text)
    with pytest.raises(InputError, match="is no list of a model's files"):
        read(tmp_path)


def test_a_folder_without_a_model_says_what_it_looks_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a folder without model.safetensors or "):
        read(tmp_path)
