"""A user's files find their own neighbours first, and nobody else's."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import engine
from engine import user_code
from engine.user_code import load, load_file, plain

NAMES = ["engine", "presets", "dss_tui", "utils", "data", "models", "types", "numpy"]

Folder = Callable[[str, dict[str, str]], Path]


@pytest.fixture(autouse=True)
def paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is added to where modules are looked for is taken out again."""
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Makes a folder with these files."""

    def make(name: str, files: dict[str, str]) -> Path:
        for file, text in files.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        importlib.invalidate_caches()
        return tmp_path / name

    return make


def mine(folder: Path) -> ModuleType:
    return load_file(folder / "mine.py")


# ---------------------------------------------------------------- neighbours come first


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", ["{}.py", "{}/__init__.py"])
def test_a_neighbour_hides_whatever_else_has_its_name(
    name: str, shape: str, folder: Folder
) -> None:
    known = sys.modules.get(name)
    files = {
        shape.format(name): "WHERE = 'beside'\n",
        "mine.py": f"import {name}\nfrom {name} import WHERE\n",
    }
    module = mine(folder("a", files))
    assert module.WHERE == vars(module)[name].WHERE == "beside"
    assert sys.modules.get(name) is known
    assert importlib.import_module("engine") is engine


LATE = """
class Net:
    def forward(self):
        import engine
        from engine import scale

        return engine.scale(2) + scale(3)

def lazily():
    return (lambda: __import__("engine").scale(4))()
"""
SCALE = """
def scale(x):
    from helper import FACTOR

    return FACTOR * x
"""


def test_imports_within_functions_look_beside_their_file_whenever_they_run(folder: Folder) -> None:
    first = mine(folder("a", {"mine.py": LATE, "engine.py": SCALE, "helper.py": "FACTOR = 10"}))
    second = mine(folder("b", {"mine.py": LATE, "engine.py": SCALE, "helper.py": "FACTOR = 7"}))
    for _ in range(2):
        assert first.Net().forward() == 50
        assert second.Net().forward() == 35
    assert (first.lazily(), second.lazily()) == (40, 28)


def test_neighbours_import_each_other_and_are_run_once(folder: Folder) -> None:
    home = folder(
        "a",
        {
            "mine.py": "import other\nseen = []\ndef back(): return other.mine_again()\n",
            "other.py": "def mine_again():\n    import mine\n    return mine\n",
        },
    )
    module = mine(home)
    assert module.back() is module
    assert mine(home) is module
    assert "other" not in sys.modules


def test_packages_beside_a_file_work_as_packages(folder: Folder) -> None:
    module = mine(
        folder(
            "a",
            {
                "mine.py": (
                    "import models.nets.deep\n"
                    "import models.nets.deep as deep\n"
                    "from models import nets\n"
                    "from models.nets import *\n"
                    "from . import utils\n"
                ),
                "models/__init__.py": "",
                "models/nets/__init__.py": "__all__ = ['deep', 'WIDE']\nfrom ..wide import WIDE\n",
                "models/nets/deep.py": "import utils\nfrom ...utils import DEPTH\n",
                "models/wide.py": "from utils import DEPTH\nWIDE = DEPTH + 1\n",
                "utils.py": "DEPTH = 3\n",
            },
        )
    )
    assert module.models.nets.deep is module.deep is module.nets.deep
    assert (module.deep.DEPTH, module.WIDE) == (3, 4)
    assert module.deep.utils is module.utils


def test_a_folder_without_init_hides_ours_only_where_it_holds_code(folder: Folder) -> None:
    text = "import engine\nimport presets\nfrom models import NET\n"
    files = {
        "mine.py": text,
        "engine/parts.py": "",
        "presets/a.yaml": "",
        "models/__init__.py": "NET = 1",
    }
    module = mine(folder("a", files))
    assert list(module.engine.__path__) == [str(Path(module.__file__ or "").parent / "engine")]
    assert module.presets.load_preset("quadratic").seed == 0


def test_a_folder_without_init_does_not_hide_what_is_installed(folder: Folder) -> None:
    module = mine(folder("a", {"mine.py": "import json, nets\n", "json/x.py": "", "nets/x.py": ""}))
    assert module.json.loads("[1]") == [1]
    assert len(module.nets.__path__) == 1


def test_what_is_not_beside_a_file_is_imported_as_ever(folder: Folder) -> None:
    text = "import engine.errors, os.path, torch.nn as nn\nfrom collections import abc\n"
    module = mine(folder("a", {"mine.py": text}))
    assert module.engine is engine
    assert module.os is os
    assert module.nn is sys.modules["torch.nn"]


@pytest.mark.parametrize("name", ["my-net.py", "my.net.py", "both.py", "naïve net.py"])
def test_any_file_can_be_named(name: str, folder: Folder) -> None:
    files = {name: "import utils\nX = utils.X", "utils.py": "X = 1", "both/__init__.py": "X = 2"}
    home = folder("a", files)
    module = load_file(home / name)
    assert module.X == 1
    assert load_file(home / name) is module


# ---------------------------------------------------------------- what goes by plain names


def test_what_is_no_import_statement_looks_behind_all_that_is_installed(folder: Folder) -> None:
    text = "import importlib\ndef named(name):\n    return importlib.import_module(name)\n"
    module = mine(folder("a", {"mine.py": text, "only_here.py": "", "engine.py": ""}))
    try:
        assert module.named("only_here").__name__ == "only_here"
    finally:
        sys.modules.pop("only_here", None)
    assert module.named("engine") is engine


PICKLED = """
import pickle
import utils

class Points:
    def __init__(self, values):
        self.values = values

    def total(self):
        import utils
        return utils.add(self.values)

def again(points):
    return pickle.loads(pickle.dumps(points))
"""


@pytest.fixture
def pickled(folder: Folder) -> ModuleType:
    """A file whose class is pickled; beside it an `engine.py` that is none of ours."""
    files = {"mine.py": PICKLED, "utils.py": "add = sum", "engine.py": "raise RuntimeError"}
    return mine(folder("a", files))


def test_pickles_are_read_in_the_users_own_code(pickled: ModuleType) -> None:
    again = pickled.again(pickled.Points([1, 2, 3]))
    assert type(again) is pickled.Points
    assert again.total() == 6


def test_pickles_are_read_in_a_process_that_knows_nothing(
    pickled: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "points").write_bytes(pickle.dumps(pickled.Points([4, 5])))
    code = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb')).total())"
    ran = subprocess.run(
        [sys.executable, "-P", "-c", code, str(tmp_path / "points")],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(engine.__file__).parents[1])},
    )
    assert ran.stdout.strip() == "9", ran.stderr


def test_child_processes_run_the_users_code(pickled: ModuleType) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(pickled.Points.total, [pickled.Points([6, 7])]) == [13]


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("import engine.parts", ModuleNotFoundError, "No module named 'engine.parts'"),
        ("from engine import nothing", ImportError, "import name 'nothing' from 'engine'"),
        ("from .. import utils", ImportError, "relative import beyond top-level package"),
        ("import no_such_module", ModuleNotFoundError, "No module named 'no_such_module'"),
        ("import broken", RuntimeError, "not today"),
    ],
)
def test_mistakes_are_told_in_the_users_names(
    text: str, error: type[Exception], words: str, folder: Folder
) -> None:
    home = folder(
        "a", {"mine.py": text, "engine.py": "", "broken.py": "raise RuntimeError('not today')"}
    )
    with pytest.raises(error) as raised:
        mine(home)
    assert words in plain(str(raised.value))
    assert user_code.package_of(home) + ".mine" not in sys.modules


def test_a_module_that_is_not_there_is_not_found(folder: Folder) -> None:
    home = folder("a", {"mine.py": ""})
    with pytest.raises(ModuleNotFoundError):
        load(home, "yours")
    for name in ("f", "f0", "other", "f2f.mine"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(f"engine.user_code.{name}")
