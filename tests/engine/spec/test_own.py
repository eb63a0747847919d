"""The user's own presets found, named and copied."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import InputError, SaveError
from engine.spec import own
from engine.spec.shipped import FOLDER, load_preset, path_of, source


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def mine(name: str, text: str = "search: {level: 1}\n") -> Path:
    own.folder().mkdir(parents=True, exist_ok=True)
    path = own.folder() / name
    path.write_text(text)
    return path


def test_the_folder_is_beside_the_user_s_other_settings() -> None:
    assert own.folder() == Path(os.environ["XDG_CONFIG_HOME"]) / "dss-tui" / "presets"
    assert own.files() == []


def test_files_of_the_folder_come_first_and_other_programs_files_never(here: Path) -> None:
    for name in ("b.yaml", "a.yml", "notes.txt"):
        mine(name, "no: preset\n")
    for name, text in (
        ("z.yaml", "description: x\nproblem: {}\n"),
        ("y.yaml", "search:\n  level: 1\n"),
        ("compose.yaml", "services:\n  search: x\n"),
        ("broken.yaml", "problem: [\n"),
    ):
        Path(name).write_text(text)
    Path("folder.yaml").mkdir()
    os.mkfifo("pipe.yaml")
    Path("lost.yaml").symlink_to("nowhere.yaml")
    Path("huge.yaml").write_bytes(b"problem:\n" + b"#" * own.LARGEST)
    assert own.files() == [
        own.folder() / "a.yml",
        own.folder() / "b.yaml",
        Path("broken.yaml"),
        Path("y.yaml"),
        Path("z.yaml"),
    ]


def test_in_the_folder_itself_no_file_is_listed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    path = mine("a.yaml")
    monkeypatch.chdir(own.folder())
    assert own.files() == [path]


def test_a_shipped_name_wins_over_the_folder_and_that_over_the_current_one() -> None:
    for text in ("digits", "quick"):
        mine(f"{text}.yaml", source("cubic"))
        Path(f"{text}.yaml").write_text(source("linear"))
    Path("third.yaml").write_text(source("linear"))
    assert path_of("digits") == FOLDER / "digits.yaml"
    assert path_of("digits.yaml") == Path("digits.yaml")
    assert path_of("quick") == own.folder() / "quick.yaml"
    assert path_of("third") == Path("third.yaml")
    assert load_preset("quick") == load_preset("cubic")
    assert load_preset("third", seed=4).seed == 4
    with pytest.raises(InputError, match=r"thirdd: no such preset; did you mean 'third'\?"):
        path_of("thirdd")


def test_copies_get_names_of_their_own() -> None:
    names = [own.copy(Path("x/digits.yaml"), f"n: {number}\n").name for number in range(3)]
    assert names == ["digits-own.yaml", "digits-own-2.yaml", "digits-own-3.yaml"]
    assert (own.folder() / "digits-own-2.yaml").read_text() == "n: 1\n"
    assert own.copy(own.folder() / "digits-own.yaml", "").name == "digits-own-4.yaml"


def test_a_folder_that_cannot_be_written_is_told() -> None:
    own.folder().parent.mkdir(parents=True, exist_ok=True)
    own.folder().write_text("a file")
    with pytest.raises(SaveError, match="cannot be written"):
        own.copy(Path("digits.yaml"), "")
