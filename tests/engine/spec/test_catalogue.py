"""All presets in one list, valid or not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.spec import own
from engine.spec.catalogue import Listed, catalogue, copied
from engine.spec.shipped import FOLDER, load_preset, names, source


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder, which holds a preset and the data beside it."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def entry(name: str) -> Listed:
    return next(each for each in catalogue() if each.name == name)


def test_shipped_presets_come_first_and_own_ones_are_marked() -> None:
    Path("beside.yaml").write_text(source("cubic"))
    listed = catalogue()
    assert [each.name for each in listed] == [*names(), "beside"]
    assert [each.own for each in listed] == [False] * len(names()) + [True]
    assert all(each.spec == load_preset(each.reference) for each in listed)


def test_the_shipped_folder_itself_has_no_own_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    assert [each.name for each in catalogue()] == names()


def test_a_broken_preset_is_listed_with_its_fault() -> None:
    path = Path("odd.yaml")
    path.write_text("problem: {data: {kind: digitz}}\n")
    found = entry("odd")
    assert found.spec is None and found.own
    assert found.fault == "problem.data.kind: unknown kind 'digitz'; did you mean 'digits'?"
    path.write_bytes(b"problem: \xff\n")
    assert not any(each.name == "odd" for each in catalogue())  # no text, so no preset


def test_a_changed_file_is_read_again() -> None:
    path = Path("mine.yaml")
    path.write_text("problem: [\n")
    assert entry("mine").fault.startswith("YAML: ")
    path.write_text(source("cubic"))
    assert entry("mine").spec == load_preset("cubic")


def test_a_copy_means_the_same_preset_in_its_other_folder() -> None:
    path = copied(FOLDER / "custom-example.yaml")
    assert path == own.folder() / "custom-example-own.yaml"
    assert load_preset(str(path)) == load_preset("custom-example")
    assert "# returns an nn.Module" in path.read_text()
    assert entry("custom-example-own").spec == load_preset("custom-example")


def test_a_broken_preset_is_copied_as_it_is() -> None:
    Path("odd.yaml").write_text("problem: [\n")
    assert copied(Path("odd.yaml")).read_text() == "problem: [\n"
    assert os.listdir(own.folder()) == ["odd-own.yaml"]
