"""Functions of a user's own: where they are looked for, and what is said where one is missing."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.data.custom import CustomData
from engine.errors import InputError
from engine.factories import call_factory, find_factory
from engine.networks.custom import CustomNetwork
from engine.spec import yaml_file as preset_file
from engine.spec.problem import CustomLoss
from tests.support.commands import refused

KEY = "problem.network"
MINE = """
import torch
from torch import nn
from beside_it import SCALE

calls = []

def network(hidden=3):
    return nn.Sequential(nn.Linear(1, hidden), nn.Tanh(), nn.Linear(hidden, 1))

def data(points):
    x = torch.linspace(0, 1, points)[:, None]
    return x, SCALE * x

def loss():
    return lambda output, target: (output - target).square().sum(1)

def note(**values):
    calls.append(values)
    return calls

def fails(reason):
    raise RuntimeError(reason)

def number():
    return 17

def mean_loss():
    return lambda output, target: (output - target).square().mean()

constant = 3

def talks():
    print("as usual")
    import argparse
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int, default=4)
    return parser.parse_args().width
"""


@pytest.fixture(autouse=True)
def paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """What factories add to where modules are looked for is taken out again."""
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Path]:
    """A user's folder, with a file and one beside it."""
    folder = tmp_path / "user"
    folder.mkdir()
    (folder / "mine.py").write_text(MINE)
    (folder / "beside_it.py").write_text("SCALE = 0.5\n")
    importlib.invalidate_caches()
    yield folder / "mine.py"
    for module in ("mine", "beside_it"):
        sys.modules.pop(module, None)


def write(folder: Path, **parts: Any) -> Path:
    """A preset that fits `mine.py`, with other parts of its problem; JSON is YAML."""
    problem: dict[str, Any] = {
        "data": {"kind": "custom", "factory": "mine.py:data", "args": {"points": 9}},
        "network": {"kind": "custom", "factory": "mine.py:network"},
        "loss": "mse",
    }
    preset = folder / "preset.yaml"
    preset.write_text(json.dumps({"problem": problem | parts, "search": {"level": 0.01}}))
    return preset


# ---------------------------------------------------------------- found


def test_a_file_is_run_once_and_sees_what_lies_beside_it(mine: Path) -> None:
    first = call_factory(f"{mine}:note", {"a": 1, "b": [2, 3]}, KEY)
    second = call_factory(f"{mine}:note", {}, KEY)
    assert first is second
    assert first == [{"a": 1, "b": [2, 3]}, {}]
    assert find_factory(f"{mine}:data", KEY)(3)[1].flatten().tolist() == [0, 0.25, 0.5]


def test_what_a_function_prints_and_parses_is_its_own(
    mine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sees no arguments of ours, and standard output is left to us."""
    given = ["dss-tui", "run", "--headless", "--json"]
    monkeypatch.setattr(sys, "argv", given)
    assert call_factory(f"{mine}:talks", {}, KEY) == 4
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == "as usual\n"
    assert sys.argv is given


def test_two_files_of_one_name_are_two_modules(mine: Path, tmp_path: Path) -> None:
    other = tmp_path / "mine.py"
    other.write_text("def number():\n    return 4\n")
    assert call_factory(f"{mine}:number", {}, KEY) == 17
    assert call_factory(f"{other}:number", {}, KEY) == 4


def test_a_file_that_failed_is_run_again(tmp_path: Path) -> None:
    file = tmp_path / "again.py"
    file.write_text("import no_such_package_at_all\n")
    with pytest.raises(InputError, match="ModuleNotFoundError"):
        find_factory(f"{file}:number", KEY)
    file.write_text("def number(): return 5\n")
    assert call_factory(f"{file}:number", {}, KEY) == 5


def test_modules_are_installed_or_in_the_current_folder(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call_factory("fractions:Fraction", {"numerator": 3, "denominator": 6}, KEY) == 0.5
    with pytest.raises(InputError, match="mine cannot be imported"):
        find_factory("mine:number", KEY)
    monkeypatch.chdir(mine.parent)
    assert call_factory("mine:number", {}, KEY) == 17


def test_the_current_folder_hides_no_installed_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wave.py").write_text("raise RuntimeError('not this one')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    assert callable(find_factory("wave:open", KEY))


@pytest.mark.parametrize("name", ["engine", "presets", "dss_tui"])
def test_a_module_of_the_current_folder_may_have_a_name_of_ours(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "nets.py").write_text(f"from {name}.sizes import number\n")
    (tmp_path / name / "sizes.py").write_text("def number():\n    return 6\n")
    monkeypatch.chdir(tmp_path)
    assert call_factory(f"{name}.nets:number", {}, KEY) == 6


def test_modules_of_the_current_folder_find_their_neighbours_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "its_net.py").write_text("def number():\n    from engine import N\n    return N\n")
    (tmp_path / "engine.py").write_text("N = 8\n")
    monkeypatch.chdir(tmp_path)
    assert call_factory("its_net:number", {}, KEY) == 8
    assert call_factory(f"{tmp_path / 'its_net.py'}:number", {}, KEY) == 8
    assert "its_net" not in sys.modules


COLLIDING = """
from engine import layers

def network():
    return layers.Net()
"""
LAYERS = """
from torch import nn
from utils import STEPS

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(1, 1)

    def forward(self, x):
        from presets import SCALE
        for _ in range(STEPS):
            x = SCALE * self.body(x)
        return x
"""


def test_an_engine_of_its_own_runs_files_with_neighbours_of_our_names(
    mine: Path, tmp_path: Path
) -> None:
    """The data lie in another folder, with another `utils`."""
    home, data = mine.parent, tmp_path / "data"
    for path, text in {
        home / "net.py": COLLIDING,
        home / "engine" / "__init__.py": "",
        home / "engine" / "layers.py": LAYERS,
        home / "presets.py": "SCALE = 1.0\n",
        home / "utils.py": "STEPS = 2\n",
        data / "points.py": "def data():\n    from utils import xy\n    return xy()\n",
        data / "utils.py": (
            "import torch\ndef xy():\n    x = torch.linspace(0, 1, 9)[:, None]\n    return x, x\n"
        ),
    }.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    preset = write(
        home,
        network={"kind": "custom", "factory": "net.py:network"},
        data={"kind": "custom", "factory": f"{data / 'points.py'}:data"},
    )
    commands = ["run", str(preset), "--headless", "--out", str(tmp_path / "out")]
    ran = subprocess.run(
        [sys.executable, "-m", "dss_tui", *commands], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert "Connected" in ran.stdout


def test_a_presets_files_lie_beside_it(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is read from; from then on they are named in full."""
    preset = write(mine.parent, loss={"factory": "mine.py:loss"})
    monkeypatch.chdir(tmp_path)
    problem = preset_file.load(preset).problem
    assert isinstance(problem.data, CustomData) and isinstance(problem.network, CustomNetwork)
    assert isinstance(problem.loss, CustomLoss)
    assert problem.data.factory == f"{mine}:data"
    assert problem.network.factory == f"{mine}:network"
    assert problem.loss.factory == f"{mine}:loss"
    again = preset_file.parse(preset_file.read_yaml(preset_file.dump(preset_file.load(preset)), ""))
    assert again.problem == problem


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("factory", "args", "words"),
    [
        ("mine.py", {}, "name a function as package.module:function or file.py:funct"),
        (":network", {}, "is ':network'; name a function"),
        ("mine.py:not a name", {}, "name a function"),
        ("yours.py:network", {}, "yours.py cannot be imported (FileNotFoundError: no"),
        ("no_such_package.at_all:f", {}, "No module named 'no_such_package'); install"),
        ("mine.py:netwrok", {}, "has no function 'netwrok'; it has data, fails, loss"),
        ("mine.py:constant", {}, "has no function 'constant'"),
        ("mine.py:network", {"hiden": 2}, "unexpected keyword argument 'hiden'"),
        ("mine.py:fails", {"reason": "no luck"}, "RuntimeError: no luck; correct it or"),
        ("mine.py:number", {}, "returned int; return an nn.Module"),
    ],
)
def test_a_network_that_cannot_be_made_is_refused(
    factory: str,
    args: dict[str, Any],
    words: str,
    mine: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In one line, before anything is written."""
    network = {"kind": "custom", "factory": factory, "args": args}
    preset = write(mine.parent, network=network)
    out = tmp_path / "out"
    line = refused(capsys, ["run", str(preset), "--headless", "--out", str(out)], words)
    assert line.startswith(f"dss-tui: {preset}: problem.network.factory: ")
    assert not out.exists()
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("part", "value", "start", "words"),
    [
        (
            "data",
            {"kind": "custom", "factory": "mine.py:data"},
            "problem.data.factory: ",
            "missing 1 required positional argument: 'points'",
        ),
        (
            "data",
            {"kind": "custom", "factory": "mine.py:number"},
            "problem.data.factory: ",
            "returned int; it must return (x, y) or (x, y, x_test, y_test)",
        ),
        (
            "loss",
            {"factory": "mine.py:nowhere"},
            "problem.loss.factory: ",
            "has no function 'nowhere'",
        ),
        (
            "loss",
            {"factory": "mine.py:number"},
            "problem.loss.factory: ",
            "returned int; return a function of (output, target)",
        ),
        (
            "loss",
            {"factory": "mine.py:mean_loss"},
            "problem.loss.factory: ",
            "returned () for 3 samples; return one value for each, (sample,), not their mean",
        ),
    ],
)
def test_data_and_losses_that_cannot_be_made_are_refused(
    part: str,
    value: dict[str, Any],
    start: str,
    words: str,
    mine: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    preset = write(mine.parent, **{part: value})
    line = refused(capsys, ["run", str(preset), "--headless"], words)
    assert line.startswith(f"dss-tui: {preset}: {start}")
    assert not (tmp_path / "runs").exists()


def test_a_file_with_a_mistake_is_refused(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (mine.parent / "typo.py").write_text("def network(:\n    pass\n")
    preset = write(mine.parent, network={"kind": "custom", "factory": "typo.py:network"})
    refused(
        capsys,
        ["run", str(preset), "--headless"],
        "problem.network.factory: ",
        f"{mine.parent / 'typo.py'} cannot be imported (SyntaxError: ",
    )
    assert not (tmp_path / "runs").exists()
