"""A link in a run's folder, at every name that the engine writes: nothing outside changes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dss_tui.cli import main
from engine.errors import SaveError
from engine.record import string_file, writing
from engine.record.commands import send
from engine.record.loss_plane import NoPlane, write_answer
from engine.record.many import ManyRuns
from engine.record.notes import write_note
from engine.record.rundir import RunDir

SMALL = ["--set", "problem.data.points=64", "--seed", "2", "--headless"]
#: A folder of which each bead at rest has a file of its own.
BEADS = ["--set", "search.level=1e-4", "--set", "limits.beads=4"]

FILES = (
    *("meta.json", "events.jsonl", "progress.json", "commands.jsonl", "checkpoint.safetensors"),
    *("checkpoint.before.safetensors", "string.safetensors", "engine.log", "notes.json", ".lock"),
    "run.yaml",
)
FOLDERS = ("beads", "planes", "measures")


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that came to its limit and can go on."""
    folder = tmp_path_factory.mktemp("made") / "run"
    assert main(["run", "quadratic", "--out", str(folder), *SMALL, *BEADS]) == 3
    return folder


class Outside:
    """A folder with something in it, and whether that has changed."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()
        (place / "kept").write_text("kept\n")
        (place / "folder").mkdir()
        (place / "folder" / "1.1.safetensors").write_text("kept\n")
        self.before = self.now()

    def now(self) -> dict[str, tuple[bytes, int]]:
        files = [path for path in self.place.rglob("*") if path.is_file()]
        return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}

    def target(self, name: str, *, missing: bool) -> Path:
        """What a link points to: a file or a folder, or one that would be made by writing to it."""
        if missing:
            return self.place / "new"
        return self.place / ("folder" if name in FOLDERS else "kept")


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    return Outside(tmp_path / "outside")


def link(path: Path, target: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize("missing", [False, True], ids=["there", "missing"])
@pytest.mark.parametrize("name", [*FILES, *FOLDERS])
def test_going_on(
    name: str, missing: bool, limited: Path, tmp_path: Path, outside: Outside
) -> None:
    """Whatever becomes of the run, it ends in a sentence, or as it should."""
    folder = Path(shutil.copytree(limited, tmp_path / "run"))
    link(folder / name, outside.target(name, missing=missing))
    status = main(["resume", str(folder), "--set", "limits.beads=5", "--headless"])
    assert status in (1, 2, 3)
    assert outside.now() == outside.before


@pytest.mark.parametrize("name", [*FILES[:-1], *FOLDERS])
def test_a_whole_run(name: str, limited: Path, tmp_path: Path, outside: Outside) -> None:
    """A run that begins in a folder with its preset and a link."""
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(limited / "run.yaml", folder)
    link(folder / name, outside.target(name, missing=False))
    assert main(["resume", str(folder), "--headless"]) in (1, 2, 3)
    assert outside.now() == outside.before


def test_links_where_files_are_written_first(
    limited: Path, tmp_path: Path, outside: Outside
) -> None:
    """The content of a file is written beside it, under a name that others can foresee."""
    folder = Path(shutil.copytree(limited, tmp_path / "run"))
    for name in FILES:
        link(folder / f".{name}.{os.getpid()}.tmp", outside.target(name, missing=False))
    assert main(["resume", str(folder), "--set", "limits.beads=5", "--headless"]) == 3
    assert outside.now() == outside.before


def bead_files(folder: Path) -> None:
    """A checkpoint whose beads have files, in place of a folder's."""
    import torch

    from engine.run.bead_files import PREFIX, BeadFiles

    BeadFiles(RunDir(folder)).write({f"{PREFIX}1.1": torch.ones(3)})


#: What other parts write into a run's folder, by the name of what they write.
WRITERS: dict[str, Callable[[Path], object]] = {
    "notes.json": lambda folder: write_note(RunDir(folder), "a note"),
    "commands.jsonl": lambda folder: send(RunDir(folder), "stop"),
    "engine.log": lambda folder: writing.open_log(folder / "engine.log").close(),
    "planes": lambda folder: write_answer(
        RunDir(folder), NoPlane(beads=(1, 2, 3), time=0.0, reason="none")
    ),
    "beads": bead_files,
}


@pytest.mark.parametrize("name", list(WRITERS))
def test_what_else_is_written(name: str, tmp_path: Path, outside: Outside) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    link(folder / name, outside.target(name, missing=False))
    try:
        WRITERS[name](folder)
    except SaveError as error:
        assert "link" in str(error)
    assert outside.now() == outside.before


def test_a_string_in_place_of_a_link(limited: Path, tmp_path: Path, outside: Outside) -> None:
    link(tmp_path / "string.npz", outside.target("string.npz", missing=False))
    string_file.write(string_file.read(limited / "string.safetensors"), tmp_path / "string.npz")
    assert string_file.read(tmp_path / "string.npz")
    assert outside.now() == outside.before and not (tmp_path / "string.npz").is_symlink()


def test_a_folder_that_is_a_link(tmp_path: Path, outside: Outside) -> None:
    """Nothing is written into it or read from it, but a user may name one for a file."""
    link(tmp_path / "run", outside.place)
    with pytest.raises(SaveError, match="link, which is not followed"):
        writing.replace(tmp_path / "run" / "kept", b"changed")
    with pytest.raises(SaveError, match="link, which is not followed"):
        writing.open_to_append(tmp_path / "run" / "kept")
    assert outside.now() == outside.before
    writing.replace(writing.chosen(tmp_path / "run" / "new"), b"chosen")
    assert (outside.place / "new").read_bytes() == b"chosen"


def test_cells_behind_links(tmp_path: Path, outside: Outside) -> None:
    """Neither a cell nor the folder of its level is followed, in reading or in writing."""
    (outside.place / "pair-0000").mkdir()
    (outside.place / "pair-0000" / "events.jsonl").write_text("{}\n")
    link(tmp_path / "level-1", outside.place)
    (tmp_path / "level-2").mkdir()
    link(tmp_path / "level-2" / "pair-0000", outside.place / "pair-0000")
    runs = [RunDir(tmp_path / f"level-{n}" / "pair-0000") for n in (1, 2)]
    for brief in ManyRuns(runs).look():
        assert brief.damaged is not None and "link" in brief.damaged.why
    for run in runs:
        with pytest.raises(SaveError, match="link"):
            writing.made_folder(run.path, tmp_path)
