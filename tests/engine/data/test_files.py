"""Where files of data are looked up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.data.files import in_place_of, locate
from engine.errors import InputError
from tests.support.arrays import load, ours, stored, x_of


def test_data_are_looked_up_where_one_stands_and_then_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, library = tmp_path / "here", tmp_path / "library"
    for folder in (here, library / "sets"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("DSS_TUI_DATA", str(library))
    with pytest.raises(InputError) as caught:
        load("sets/own.npz")
    assert str(caught.value) == (
        f"sets/own.npz: no such file: {here / 'sets/own.npz'} nor "
        f"{library / 'sets/own.npz'}; correct problem.data.path"
    )
    stored(library / "sets", **ours(x=x_of() + 40))
    assert load("sets/own.npz").x.min() >= 40
    (here / "sets").mkdir()
    stored(here / "sets", **ours())
    assert load("sets/own.npz").x.min() < 40


@pytest.mark.parametrize("name", ["gone.npz", "~nobody-of-that-name/own.npz", "."])
def test_a_missing_file_names_where_it_was_looked_for(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        load(name)
    assert str(caught.value) == (
        f"{name}: no such file: {tmp_path / name}; correct problem.data.path"
    )


def test_where_one_cannot_look_a_full_path_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a current folder that is closed to this user, and without a data folder."""
    stored(tmp_path, **ours())
    monkeypatch.setattr("engine.data.files._here", list)
    assert len(load(str(tmp_path / "own.npz")).x)
    with pytest.raises(
        InputError, match=r"no such file: own\.npz, in the current folder, in which"
    ):
        load("own.npz")


def test_a_folder_in_the_place_of_another_machine_s_is_looked_in_first(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    (ours / "models").mkdir(parents=True)
    (ours / "models" / "a.pt").touch()
    named = str(theirs / "models" / "a.pt")
    with in_place_of(theirs, ours):
        assert locate(named) == (ours / "models" / "a.pt").resolve()
        assert locate(str(tmp_path / "other" / "models" / "a.pt")) is None
        with ThreadPoolExecutor(1) as others:
            assert others.submit(locate, named).result() is None
    assert locate(named) is None
