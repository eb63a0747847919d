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
    parcel = packed(filled(tmp_path / "run"))
    unpacked(parcel, tmp_path / "other", tmp_path)
    assert packed(tmp_path / "other") == parcel
    assert set(parcel) == {"run.yaml", "events.jsonl", "beads/1.0.st"}


def test_locks_links_pipes_and_half_written_files_stay(tmp_path: Path) -> None:
    run = filled(tmp_path / "run")
    (run / ".lock").touch()
    (run / ".progress.json.1234.tmp").touch()
    os.mkfifo(run / "pipe")
    (run / "link").symlink_to(tmp_path)
    assert set(packed(run)) == {"run.yaml", "events.jsonl", "beads/1.0.st"}


def test_what_tells_of_an_end_is_written_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    monkeypatch.setattr(
        "engine.run.cluster.parcel.replace", lambda path, content: written.append(path.name)
    )
    unpacked({"events.jsonl": b"", "string.safetensors": b"", "run.yaml": b""}, tmp_path, tmp_path)
    assert written[-1] == "events.jsonl"
    assert len(written) == 3


@pytest.mark.parametrize("name", ["../out", "/etc/x", "a/../../b", "", "a\0b"])
def test_nothing_is_written_outside_the_run(name: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(InputError, match="a worker sent a file named"):
        unpacked({"run.yaml": b"", name: b"x"}, run, tmp_path)
    assert list(tmp_path.iterdir()) == []
