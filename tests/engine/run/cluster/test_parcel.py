"""A run directory that goes to another machine and comes back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.run.cluster.parcel import packed, unpacked


def filled(folder: Path) -> Path:
    for name, content in {"run.yaml": b"a", "events.jsonl": b"b\n", "beads/1.0.st": b"\0c"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_all_files_arrive_as_they_were(tmp_path: Path) -> None:
    filled(tmp_path / "here" / "run")
    (tmp_path / "here" / "a.pt").write_bytes(b"d")
    places = ("a.pt", "run", "none")
    parcel = packed(tmp_path / "here", places)
    (tmp_path / "there").mkdir()
    unpacked(parcel, tmp_path / "there", places)
    assert packed(tmp_path / "there", places) == parcel
    assert set(parcel) == {"a.pt", "run/run.yaml", "run/events.jsonl", "run/beads/1.0.st"}


def test_locks_links_pipes_and_half_written_files_stay(tmp_path: Path) -> None:
    run = filled(tmp_path / "run")
    (run / ".lock").touch()
    (run / ".progress.json.1234.tmp").touch()
    os.mkfifo(run / "pipe")
    (run / "link").symlink_to(tmp_path)
    assert set(packed(run, ("",))) == {"run.yaml", "events.jsonl", "beads/1.0.st"}
    assert not packed(run, ("link", "pipe", ".lock"))


def test_what_tells_of_an_end_is_written_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    monkeypatch.setattr(
        "engine.run.cluster.parcel.replace", lambda path, content: written.append(path.name)
    )
    names = ("run/events.jsonl", "run/string.safetensors", "run/run.yaml", "told.json", "a.pt")
    unpacked(dict.fromkeys(names, b""), tmp_path, ("run", "a.pt", "told.json"))
    assert written[2:] == ["events.jsonl", "a.pt", "told.json"]


@pytest.mark.parametrize(
    "name",
    ["../out", "/etc/x", "run/../../b", "run/../a.pt", "", ".", "run/a\0b", "runs/x", "run//x"],
)
def test_nothing_is_written_that_was_not_asked_for(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a worker sent a file named"):
        unpacked({"run/run.yaml": b"", name: b"x"}, tmp_path, ("run",))
    assert list(tmp_path.iterdir()) == []
