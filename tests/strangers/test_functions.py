"""Functions that a folder or a file names: which commands run them, and whom they ask."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from dss_tui.cli import main
from engine import data
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.record.sweep_desk import Desk
from engine.record.sweep_folder import Plan, create
from engine.run import session, sweep
from engine.run.crews import crew_of
from engine.run.folder_of_runs import run_planned
from engine.spec.keys import Spec
from engine.spec.trust import Asked, functions_of
from engine.spec.yaml_file import load, parse

#: A function of a user's own, which leaves a trace of every call.
MINE = """
import numpy as np
from pathlib import Path

def points():
    Path(__file__).with_name("called").touch()
    x = np.linspace(0, 1, 40, dtype=np.float32)[:, None]
    return x, 0.3 + 0.25 * x
"""
NETWORK = {"kind": "mlp", "sizes": [1, 2, 1]}
PRESET = {
    "problem": {
        "data": {"kind": "custom", "factory": "mine.py:points"},
        "network": NETWORK,
        "loss": "mse",
    },
    "search": {"level": 0.05},
    "seed": 3,
}


class Place:
    """A folder with a function, a preset that names it, and a run, a sweep and a string of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mine = folder / "mine.py"
        self.preset, self.run, self.sweep, self.string = (
            folder / name for name in ("own.yaml", "run", "sweep", "string.npz")
        )

    def make(self) -> None:
        self.mine.write_text(MINE)
        self.preset.write_text(yaml.safe_dump(PRESET))
        assert main(["run", str(self.preset), "--out", str(self.run), "--headless"]) == 0
        levels = ["--levels", "0.05", "--pairs", "1", "--headless"]
        assert main(["sweep", str(self.preset), "--out", str(self.sweep), *levels]) == 0
        assert main(["export", str(self.run), "--out", str(self.string)]) == 0

    @property
    def called(self) -> bool:
        return (self.folder / "called").exists()

    def forget(self) -> None:
        """Takes back what a test has made, data that stay loaded included."""
        data._loaded.clear()
        shutil.rmtree(self.run / "planes", ignore_errors=True)
        (self.folder / "called").unlink(missing_ok=True)
        for each in ("new", "out.npz", "out.npz.safetensors"):
            shutil.rmtree(self.folder / each, ignore_errors=True)
            if (self.folder / each).is_file():
                (self.folder / each).unlink()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    made = Place(tmp_path_factory.mktemp("stranger"))
    made.make()
    assert made.called
    return made


@pytest.fixture
def stranger(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The place, as another user sees it."""
    place.forget()
    ours = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: ours + 1)
    return place


PLANE = ("--plane", "1,2,3")

COMMANDS: dict[str, Callable[[Place], list[str]]] = {
    "run": lambda at: ["run", str(at.preset), "--out", f"{at.folder}/new", "--headless"],
    "run run.yaml": lambda at: ["run", f"{at.run}/run.yaml", "--out", f"{at.folder}/new"],
    "resume": lambda at: ["resume", str(at.folder / "stopped"), "--headless"],
    "shorten": lambda at: ["shorten", str(at.run), "--out", f"{at.folder}/new", "--headless"],
    "export": lambda at: ["export", str(at.run), "--with-data", "--out", f"{at.folder}/out.npz"],
    "verify": lambda at: ["verify", str(at.string)],
    "verify --certify": lambda at: ["verify", str(at.string), "--certify"],
    "measure a run": lambda at: ["measure", str(at.run), "--what", "gradient", "--json"],
    "measure a file": lambda at: ["measure", str(at.string), "--what", "gradient", "--json"],
    "measure a plane": lambda at: ["measure", str(at.string), "--plane", "1,2,3", "--json"],
    "figure of a run": lambda at: ["figure", str(at.run), *PLANE, "--out", f"{at.folder}/new.csv"],
    "figure": lambda at: ["figure", str(at.string), *PLANE, "--out", f"{at.folder}/new.csv"],
    "barrier": lambda at: ["barrier", str(at.string), "--no-certify"],
    "barrier with a preset": lambda at: ["barrier", str(at.string), "--preset", str(at.preset)],
    "align": lambda at: ["align", str(at.string), "--out", f"{at.folder}/new.safetensors"],
    "data": lambda at: ["data", str(at.preset)],
    "bench": lambda at: ["bench", str(at.preset), "--quick"],
    "sweep": lambda at: [
        *("sweep", str(at.preset), "--levels", "0.05", "--pairs", "1", "--headless"),
        *("--out", f"{at.folder}/new"),
    ],
    "compare": lambda at: [
        *("compare", str(at.preset), "--methods", "greedy", "--pairs", "1", "--headless"),
        *("--out", f"{at.folder}/new"),
    ],
    "components": lambda at: [
        *("components", str(at.preset), "--levels", "0.05", "--models", "2", "--headless"),
        *("--out", f"{at.folder}/new"),
    ],
}


@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_stranger_is_asked(
    name: str, stranger: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence names the function, the file and the option, and nothing is run or written."""
    stopped(stranger)
    assert main(COMMANDS[name](stranger)) == 2
    out, said = capsys.readouterr()
    assert out == ""
    (line,) = said.splitlines()
    assert line.endswith("give --run-factories") and "mine.py:points would be imported" in line
    assert not stranger.called and not (stranger.folder / "new").exists()


def stopped(place: Place) -> None:
    """A run that has begun and not ended."""
    folder = place.folder / "stopped"
    if not folder.exists():
        folder.mkdir()
        shutil.copy(place.run / "run.yaml", folder)


@pytest.mark.parametrize(
    "name",
    ["run", "export", "verify", "measure a run", "figure", "barrier", "data", "components"],
)
def test_who_agrees_runs_them(name: str, stranger: Place) -> None:
    assert main([*COMMANDS[name](stranger), "--run-factories"]) == 0
    assert stranger.called


@pytest.mark.parametrize("name", ["run", "export", "measure a run", "figure of a run", "data"])
def test_ones_own_are_run_without_a_question(name: str, place: Place) -> None:
    place.forget()
    assert main(COMMANDS[name](place)) == 0
    assert place.called


@pytest.mark.parametrize(
    "command", [["ls"], ["diagnose", "RUN"], ["export", "RUN", "--out", "OUT"]]
)
def test_reading_runs_nothing(command: list[str], stranger: Place) -> None:
    """Nor does it ask."""
    words = {"RUN": str(stranger.run), "OUT": f"{stranger.folder}/out.npz"}
    assert main([words.get(word, word) for word in command]) == 0
    assert not stranger.called


def test_what_the_command_line_names_is_asked_for(stranger: Place) -> None:
    """A stranger's preset with one's own function in place of theirs."""
    override = f"problem.data.factory={stranger.mine}:points"
    command = [*COMMANDS["run"](stranger), "--set", override]
    assert main(command) == 0
    spec = load(stranger.preset)
    assert functions_of(spec) and not functions_of(spec, ["problem.data={}"])
    assert functions_of(spec, ["problem.dat=1", "seed=1"])


def test_the_engine_asks_by_itself(stranger: Place) -> None:
    """Whoever launches it on a folder, and whatever was said before."""
    stopped(stranger)
    with Signals() as signals:
        with pytest.raises(Asked, match=r"mine\.py:points would be imported and run, and"):
            session.run(RunDir(stranger.folder / "stopped"), signals)
        with pytest.raises(Asked, match="sweep belongs to"):
            run_planned(Desk(stranger.sweep), signals, crew_of(None), sweep.prepared)
    assert not stranger.called


def spec(factory: str | None) -> Spec:
    """The preset with another function, or with data of a kind that needs none."""
    own: dict[str, object] = {"kind": "custom", "factory": factory}
    if factory is None:
        own = {"kind": "polynomial", "coefficients": [0.3], "points": 9}
    return parse({**PRESET, "problem": {"data": own, "network": NETWORK, "loss": "mse"}})


# ---------------------------------------------------------------- whose a file is


def test_going_on_with_anothers_run(
    stranger: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is written to, so it is asked about even where no function is named."""
    folder = stranger.folder / "plain"
    folder.mkdir()
    (folder / "run.yaml").write_text(yaml.safe_dump(spec(None).model_dump(mode="json")))
    assert main(["resume", str(folder), "--headless"]) == 2
    assert "give --not-mine" in capsys.readouterr().err
    assert sorted(os.listdir(folder)) == ["run.yaml"]
    assert main(["resume", str(folder), "--headless", "--not-mine"]) in (0, 3)


def test_going_on_with_anothers_sweep(stranger: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """With functions and without them."""
    assert main(["resume", str(stranger.sweep), "--headless"]) == 2
    assert "--run-factories" in capsys.readouterr().err and not stranger.called
    folder = stranger.folder / "many"
    create(Plan(spec(None), (0.5,), 1), folder)
    assert main(["resume", str(folder), "--headless"]) == 2
    assert "give --not-mine" in capsys.readouterr().err
    assert sorted(os.listdir(folder)) == ["sweep.yaml"]
    assert main(["resume", str(folder), "--headless", "--not-mine"]) in (0, 3)
