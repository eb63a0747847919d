"""A hostile text at every place of a folder that holds one: shown by all, obeyed by none."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import safetensors.numpy
import yaml
from rich.segment import Segment

from dss_tui.cli import main
from dss_tui.tui.app import DssApp, Opening
from dss_tui.viewing.console import shown_line
from dss_tui.viewing.shown import shown, shown_in_line
from engine.record.notes import Notes
from engine.record.rundir import RunDir
from tests.support.commands import status_of
from tests.support.hostile_texts import EVIL, OBEYED, drawn, loaded, spoiled
from tests.support.pilots import until

SMALL = ["--set", "problem.data.points=64", "--set", "search.level=1e-2", "--seed", "2"]


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "run"
    assert main(["run", "quadratic", "--out", str(folder), *SMALL, "--headless"]) == 0
    return folder


@pytest.fixture
def hostile(connected: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runs folder with a run all of whose texts are hostile, the name of its folder included."""
    runs = tmp_path / "runs"
    folder = runs / f"run{EVIL.replace('/', '|')}"
    shutil.copytree(connected, folder)
    run = RunDir(folder)
    for path in (run.progress, run.meta):
        path.write_text(json.dumps(spoiled(json.loads(path.read_text())), ensure_ascii=False))
    lines = [spoiled(json.loads(line)) for line in run.events.read_text().splitlines()]
    run.events.write_text("".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in lines))
    run.notes.write_text(json.dumps(asdict(Notes(note=EVIL, first_name=EVIL))))
    run.log.write_text(f"2026-01-01 00:00:00,000 WARNING {EVIL}\n{EVIL} INFO computing on {EVIL}\n")
    tree = yaml.safe_load(run.spec.read_text())
    run.spec.write_text(yaml.safe_dump(tree | {"description": EVIL}))
    run.string.write_bytes(_string(run.string))
    monkeypatch.setenv("DSS_TUI_RUNS", str(runs))
    monkeypatch.chdir(tmp_path)
    return folder


def _string(path: Path) -> bytes:
    """The string file with hostile texts in its header."""
    arrays = safetensors.numpy.load_file(path)
    with safetensors.safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["dss"])
    header["parameters"] = [each | {"name": EVIL} for each in header["parameters"]]
    return safetensors.numpy.save(arrays, {"dss": json.dumps(header)})


def test_what_is_shown() -> None:
    """Everything obeyed is written out, nothing is lost, and lines stay lines."""
    assert not OBEYED.search(shown(EVIL)) and shown("\t a\nb é漢") == "\t a\nb é漢"
    assert shown("\x1b[1m\x9b\u202e\udce9") == "\\x1b[1m\\u009b\\u202e\\udce9"
    assert shown_in_line("a\nHOLDS\t") == "a\\nHOLDS\\t"
    assert json.loads(shown('"\u202e\x85"')) == "\u202e\x85"  # what JSON holds stays JSON


def test_a_line_keeps_its_width() -> None:
    line = shown_line([Segment("ab\x1b[31mc"), Segment("defgh")])
    assert "".join(each.text for each in line) == "ab\\x1b[31mcd"[:12]
    plain = [Segment("ab")]
    assert shown_line(plain) is plain


COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "ls": lambda run: ["ls"],
    "diagnose": lambda run: ["diagnose", str(run)],
    "diagnose --json": lambda run: ["diagnose", str(run), "--json"],
    "stop": lambda run: ["stop", str(run)],
    "resume": lambda run: ["resume", str(run), "--headless"],
    "attach": lambda run: ["attach", str(run)],
    "export": lambda run: ["export", str(run), "--out", "out.npz"],
    "export there": lambda run: ["export", str(run), "--out", f"{EVIL}/out.npz"],
    "verify": lambda run: ["verify", str(run / "string.safetensors")],
    "measure": lambda run: ["measure", str(run), "--what", EVIL],
    "barrier": lambda run: ["barrier", f"{run}#first", f"{run}#{EVIL}"],
    "align": lambda run: ["align", f"{run}#first", f"{run}#last", "--out", f"{run}.pt"],
    "align there": lambda run: ["align", EVIL, f"{run}#{EVIL}", "--out", f"{EVIL}/out.pt"],
    "figure": lambda run: ["figure", str(run), "--out", "out.csv"],
    "figure there": lambda run: ["figure", str(run), "--out", f"{EVIL}/out.csv"],
    "figure --kind": lambda run: ["figure", str(run), "--kind", EVIL, "--out", "out.csv"],
    "figure --list": lambda run: ["figure", str(run), "--kind", "list"],
    "figure --plane": lambda run: ["figure", str(run), "--plane", EVIL, "--out", "out.csv"],
    "shorten": lambda run: ["shorten", str(run), "--set", f"search.{EVIL}=1", "--headless"],
    "run": lambda run: ["run", str(run / "run.yaml"), "--set", f"a={EVIL}", "--headless"],
    "presets": lambda run: ["presets"],
    "preset": lambda run: ["presets", f"{EVIL}.yaml"],
    "data": lambda run: ["data", EVIL],
    "unknown": lambda run: ["ls", EVIL],
    "sweep": lambda run: ["sweep", EVIL, "--levels", EVIL, "--pairs", "1", "--out", "s"],
    "compare": lambda run: ["compare", EVIL, "--methods", EVIL, "--pairs", "1", "--out", "c"],
    "compare preset": lambda run: [
        *("compare", EVIL, "--methods", "greedy", "--pairs", "1", "--out", "c"),
    ],
    "compare own": lambda run: [
        *("compare", "own.yaml", "--methods", "greedy", "--pairs", "1", "--out", "c"),
    ],
    "compare models": lambda run: [
        *("compare", f"{run}#first", f"{run}#{EVIL}", "--preset", "quadratic", *SMALL),
        *("--methods", "greedy", "--out", f"c{EVIL}"),
    ],
    "components": lambda run: [
        *("components", EVIL, "--levels", "1", "--models", "2", "--out", "c"),
    ],
    "components --levels": lambda run: [
        *("components", "quadratic", "--levels", EVIL, "--models", "2", "--out", "c"),
    ],
    "components own": lambda run: [
        *("components", "own.yaml", "--levels", "1", "--models", "2", "--out", "c"),
    ],
    "components --checkpoints": lambda run: [
        *("components", "quadratic", "--levels", "1", "--checkpoints", EVIL, f"{EVIL}*"),
        *("--out", "c"),
    ],
    "components of beads": lambda run: [
        *("components", "quadratic", "--levels", "1", "--out", f"c{EVIL}"),
        *("--checkpoints", f"{run}#first", f"{run}#{EVIL}"),
    ],
}


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command(name: str, hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("own.yaml").write_text(yaml.safe_dump({"problem": {EVIL: EVIL}, "description": EVIL}))
    status = status_of(COMMANDS[name](hostile))
    out, said = capsys.readouterr()
    assert status in (0, 2, 3)
    assert not OBEYED.search(out + said), repr(out + said)
    assert "Traceback" not in said


# ---------------------------------------------------------------- screens


@pytest.mark.parametrize("opened", ["menu", "run"])
def test_every_screen(opened: str, hostile: Path) -> None:
    """All views of a run, its dialogs, and both lists of the menu."""
    opening = Opening(RunDir(hostile) if opened == "run" else None, fps=20)
    keys = [*"1234567dn"] if opened == "run" else ["2", "r", "e", "escape", "m", "escape"]
    Path("own.yaml").write_text(yaml.safe_dump({"problem": {EVIL: EVIL}, "description": EVIL}))
    seen: list[str] = []

    async def look() -> None:
        app = DssApp(opening)
        async with app.run_test(size=(140, 40), notifications=True) as pilot:
            for key in ("", *keys):
                if key:
                    await pilot.press(key)
                if key or opened == "run":
                    await until(pilot, lambda: loaded(app))
                seen.extend(drawn(app))
            app.notify(EVIL, severity="error")
            await until(pilot, lambda: any("x1b[31m" in line for line in drawn(app)))
            seen.extend(drawn(app))

    asyncio.run(look())
    assert not [line for line in seen if OBEYED.search(line)]
    assert any("[bold" in line for line in seen)


def test_nothing_in_a_screen_is_a_link_or_an_action(hostile: Path) -> None:
    """Markup in a name is shown as it is: a click on it does nothing."""

    async def look() -> None:
        app = DssApp(Opening(RunDir(hostile), fps=20))
        async with app.run_test(size=(140, 40)) as pilot:
            await until(pilot, lambda: loaded(app))
            for strip in app.screen._compositor.render_strips():
                for segment in strip:
                    style = segment.style
                    assert style is None or style.link is None
                    meta = {} if style is None else style.meta
                    assert "app.quit" not in str(meta.get("@click", ""))

    asyncio.run(look())
