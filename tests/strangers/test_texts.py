"""A hostile text at every place of a folder that holds one: shown by all, obeyed by none."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import safetensors.numpy
import yaml
from rich.console import Console
from rich.segment import Segment

from dss_tui.cli import main
from dss_tui.tui.app import DssApp, Opening
from dss_tui.viewing.console import shown_line
from dss_tui.viewing.shown import shown, shown_in_line
from engine.record.notes import Notes
from engine.record.rundir import RunDir
from tests.support.pilots import until

#: Sequences that move the cursor, set title and clipboard, and turn the order of letters; and
#: markup of rich and of textual, with an action behind it.
EVIL = (
    "A\x1b[31mB\x1b]52;c;aGk=\x07C\x9b2JD\x90E\u202eF\u2066G\u2028H\rI\x7fJ[bold red]K[/bold red]"
    "[@click=app.quit]L[/][link=https://x.y]M[/link]:smile:\x08"
)
#: What may not come out of any command. Screens have sequences of their own.
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)

SMALL = ["--set", "problem.data.points=64", "--set", "search.level=1e-2", "--seed", "2"]


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "run"
    assert main(["run", "quadratic", "--out", str(folder), *SMALL, "--headless"]) == 0
    return folder


def spoiled(value: Any, depth: int = 0) -> Any:
    """A plain value of JSON with the hostile text in place of every text that names nothing."""
    if isinstance(value, dict):
        return {key: _spoiled(key, each) for key, each in value.items()}
    if isinstance(value, list):
        return [spoiled(each) for each in value]
    return value


def _spoiled(key: str, value: Any) -> Any:
    """The value of a key; those that the format knows only some words for stay."""
    if not isinstance(value, str):
        return spoiled(value)
    words = ("event", "state", "outcome", "kind", "precision", "status", "what", "aim", "metric")
    known = key in words or re.fullmatch(r"[a-z_]{1,20}", value)
    return value if known and key not in FREE else f"{EVIL}{value}"


#: Keys whose texts are free, though some look like words of the format.
FREE = ("host", "phase", "backend", "backend_why", "sentence", "reason", "note", "name", "version")


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
    "shorten": lambda run: ["shorten", str(run), "--set", f"search.{EVIL}=1", "--headless"],
    "run": lambda run: ["run", str(run / "run.yaml"), "--set", f"a={EVIL}", "--headless"],
    "presets": lambda run: ["presets"],
    "preset": lambda run: ["presets", f"{EVIL}.yaml"],
    "data": lambda run: ["data", EVIL],
    "unknown": lambda run: ["ls", EVIL],
    "sweep": lambda run: ["sweep", EVIL, "--levels", EVIL, "--pairs", "1", "--out", "s"],
}


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command(name: str, hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("own.yaml").write_text(yaml.safe_dump({"problem": {EVIL: EVIL}, "description": EVIL}))
    try:
        status = main(COMMANDS[name](hostile))
    except SystemExit as end:
        status = int(end.code or 0)
    out, said = capsys.readouterr()
    assert status in (0, 2, 3)
    assert not OBEYED.search(out + said), repr(out + said)
    assert "Traceback" not in said


# ---------------------------------------------------------------- screens


def drawn(app: DssApp) -> Iterator[str]:
    """What the terminal gets for each line of the screen, without sequences that set a style."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for strip in app.screen._compositor.render_strips():
        yield re.sub(r"\x1b\[[0-9;]*m", "", strip.render(console))


def loaded(app: DssApp) -> bool:
    """Whether the run's name, or another hostile text, is on the screen."""
    return any("x1b" in line for line in drawn(app))


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
