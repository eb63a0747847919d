"""Commands on damaged folders: an answer or one sentence, never a traceback and never a hang."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from dss_tui.cli import main
from tests.support.damage import (
    FILES,
    WHOLE,
    Case,
    answer,
    cases,
    commands,
    damaged,
    go_on,
    goes_on,
    judged,
)

#: Damages to single values that are tried here; `benchmarks/damaged.py` tries them all.
DRAWN = 80
#: Damages to a checkpoint that is gone on with.
CHECKPOINTS = 60

QUICK = ("--set", "problem.data.points=64", "--headless", "--seed", "2")
#: How the run that has connected is made, and the one that came to its limit.
MADE = {
    "connected": ("--set", "search.level=1e-2"),
    "limited": ("--set", "search.level=1e-4", "--set", "limits.beads=4"),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A run that has connected and one that came to its limit, each alone in a runs folder."""
    made = {name: tmp_path_factory.mktemp(name) / "run" for name in MADE}
    for name, folder in made.items():
        assert main(["run", "quadratic", "--out", str(folder), *QUICK, *MADE[name]]) in (0, 3)
        (folder / "commands.jsonl").write_text('{"command": "checkpoint"}\n')
    yield made


def tried(folder: Path, drawn: list[Case], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is wrong with the answers on a folder that is damaged in each way."""
    monkeypatch.setenv("DSS_TUI_RUNS", str(folder.parent))
    wrong = []
    for case in drawn:
        with damaged(folder, case):
            for name, command in commands(folder).items():
                fault = None if _searches(folder, name, case) else judged(answer(command))
                if fault is not None:
                    wrong.append(f"{name} with {case.file} {case.name}: {fault}")
    return wrong


def _searches(folder: Path, command: str, case: Case) -> bool:
    """Whether a command might begin a search: where nobody can see that the run has connected."""
    if not goes_on(folder.parent.name.rstrip("0123456789"), command, case):
        return True
    beginning = command == "shorten" or (command, case.file) == ("resume", "events.jsonl")
    return beginning and folder.parent.name.startswith("connected")


@pytest.mark.parametrize("name", MADE)
def test_whole_files_damaged(
    name: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [case for case in cases(folders[name]) if case.name in WHOLE]
    assert len(found) > 6 * len(WHOLE)
    assert tried(folders[name], found, monkeypatch) == []


@pytest.mark.parametrize("name", MADE)
def test_single_values_damaged(
    name: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [case for case in cases(folders[name]) if case.name not in WHOLE]
    assert len(found) > 10 * DRAWN
    assert {case.file for case in found} >= set(FILES[:4])
    drawn = random.Random(3).sample(found, DRAWN)
    assert tried(folders[name], drawn, monkeypatch) == []


def test_changed_checkpoints_are_gone_on_with_or_refused(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the values that a checkpoint holds, and of its tensors, some are tried here."""
    monkeypatch.setenv("DSS_TUI_RUNS", str(folders["limited"].parent))
    found = [case for case in cases(folders["limited"]) if case.file == "checkpoint.safetensors"]
    wrong, refused = [], 0
    for case in random.Random(4).sample(found, CHECKPOINTS):
        with damaged(folders["limited"], case):
            asked = answer(partial(go_on, folders["limited"]))
        refused += "damaged: " in asked.said
        if fault := judged(asked):
            wrong.append(f"{case.name}: {fault}")
    assert wrong == []
    assert 0 < refused < CHECKPOINTS
