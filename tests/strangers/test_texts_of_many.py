"""Hostile texts in the folder of many runs: shown by every command and screen, obeyed by none."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest
import yaml

from dss_tui.cli import main
from dss_tui.tui.app import DssApp, Opening
from engine.record.finding import is_comparison
from engine.record.plans import plan_file
from engine.record.rundir import RunDir
from tests.support.commands import status_of
from tests.support.hostile_texts import EVIL, OBEYED, drawn, loaded, spoiled
from tests.support.pilots import until

SMALL = ["--set", "problem.data.points=64", "--headless"]
BEGUN = {
    "sweep": ["sweep", "quadratic", "--levels", "0.05", "--pairs", "2"],
    "compare": ["compare", "quadratic", "--methods", "greedy", "--pairs", "2"],
    "components": ["components", "quadratic", "--levels", "0.05", "--models", "3"],
}


@pytest.fixture(scope="module", params=list(BEGUN))
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param) / "many"
    level = ["--set", "search.level=0.05"] if request.param == "compare" else []
    assert main([*BEGUN[request.param], *SMALL, *level, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def hostile(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of many runs with hostile texts in its name, plan, session and cells."""
    folder = tmp_path / "runs" / f"many{EVIL.replace('/', '|')}"
    shutil.copytree(whole, folder)
    for path in folder.rglob("*.json"):
        path.write_text(json.dumps(spoiled(json.loads(path.read_text())), ensure_ascii=False))
    for path in folder.rglob("events.jsonl"):
        lines = [spoiled(json.loads(line)) for line in path.read_text().splitlines()]
        path.write_text("".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in lines))
    for path in folder.rglob("engine.log"):
        path.write_text(f"2026-01-01 00:00:00,000 WARNING {EVIL}\n{EVIL}\n")
    for path in (plan_file(folder), *folder.rglob("run.yaml")):
        tree = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump(tree | {"description": EVIL, "task": EVIL}))
    monkeypatch.setenv("DSS_TUI_RUNS", str(folder.parent))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "ls",
        "attach",
        "resume --headless",
        "resume --headless --json",
        "diagnose",
        "stop",
        "figure --kind list",
        "figure --out out.csv",
        "figure --out out.svg",
    ],
)
def test_every_command(command: str, hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, *options = command.split()
    status = status_of([name, *([] if name == "ls" else [str(hostile)]), *options])
    out, said = capsys.readouterr()
    assert status in (0, 2, 3)
    assert not OBEYED.search(out + said), repr(out + said)
    assert "Traceback" not in said


def test_a_method_with_such_a_name_is_refused(
    hostile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not is_comparison(hostile):
        return
    tree = yaml.safe_load(plan_file(hostile).read_text())
    methods = tree["compare"]["methods"]
    plan_file(hostile).write_text(
        yaml.safe_dump(tree | {"compare": tree["compare"] | {"methods": methods | {EVIL: ["a=1"]}}})
    )
    assert main(["resume", str(hostile), "--headless"]) == 2
    said = capsys.readouterr().err
    assert "compare.yaml" in said and not OBEYED.search(said)


@pytest.mark.parametrize("opened", ["menu", "many"])
def test_every_screen(opened: str, hostile: Path) -> None:
    """The screen of the runs, a cell of them, and the list of the menu."""
    keys = ["2"] if opened == "menu" else ["1", "2", "3", "enter", "1", "5", "7"]
    seen: list[str] = []

    async def look() -> None:
        app = DssApp(Opening(RunDir(hostile) if opened == "many" else None, fps=20))
        async with app.run_test(size=(140, 40), notifications=True) as pilot:
            for key in ("", *keys):
                if key:
                    await pilot.press(key)
                    await pilot.pause(0.3)
                if key or opened == "many":
                    await until(pilot, lambda: loaded(app))
                seen.extend(drawn(app))

    asyncio.run(look())
    assert not [line for line in seen if OBEYED.search(line)]
