"""Who imports whom, looked at in a clean interpreter."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.import_graph import (
    ORDER,
    Graph,
    circles,
    loaded_with,
    module_graph,
    modules,
    outsiders,
    room_graph,
    upward,
)
from tests.support.imports import SCREENS, imported_by

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def graph() -> Graph:
    return room_graph(ROOT)


def test_every_room_has_its_place(graph: Graph) -> None:
    assert set(graph) <= set(ORDER)


def test_rooms_import_downwards_only(graph: Graph) -> None:
    assert upward(graph) == []


def test_rooms_form_no_circle(graph: Graph) -> None:
    assert circles(graph) == []


def test_modules_form_no_circle() -> None:
    assert circles(module_graph(ROOT)) == []


def test_the_viewers_half_loads_no_torch() -> None:
    found = modules(ROOT)
    starts = [name for name in found if name.startswith(("dss_tui.viewing", "dss_tui.tui"))]
    loaded = loaded_with(ROOT, starts)
    assert "dss_tui.tui.app" in loaded and "engine.record.events" in loaded
    assert "torch" not in outsiders(found[name] for name in loaded)


def test_dss_tui_does_no_mathematics() -> None:
    """It plots and tells numbers, and counts; arrays are the engine's."""
    ours = [path for name, path in modules(ROOT).items() if name.startswith("dss_tui")]
    named = outsiders(ours, everywhere=True)
    assert "textual" in named and "plotext" in named  # what is imported in functions is seen
    assert not named & {"numpy", "scipy", "torch", "numba"}


def test_figures_alone_import_matplotlib() -> None:
    """Everything else works without the extra that brings it."""
    found = modules(ROOT)
    drawing = {name: path for name, path in found.items() if name.startswith("dss_tui.figures")}
    others = [path for name, path in found.items() if name not in drawing]
    assert "matplotlib" in outsiders(drawing.values())
    assert "matplotlib" not in outsiders(others, everywhere=True)


def test_the_numbers_of_a_figure_need_neither_matplotlib_nor_torch(tmp_path: Path) -> None:
    run = ROOT / "tests/fixtures/6706f4a/runs/finished-greedy-quadratic"
    arguments = ["figure", str(run), "--out", str(tmp_path / "path.csv")]
    code = f"from dss_tui.cli import main\nassert main({arguments!r}) == 0"
    assert not imported_by(code) & {"torch", "matplotlib"}
    assert (tmp_path / "path.csv").exists()


def test_what_runs_when_a_module_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "some.py"
    path.write_text(
        "import a\nif TYPE_CHECKING:\n import b\nelse:\n import c\n"
        "def f():\n import d\nclass C:\n import e.f\n def g(self):\n  import h\n"
    )
    assert outsiders([path]) == {"a", "c", "e"}
    assert outsiders([path], everywhere=True) == set("abcdeh")


def test_circles_and_arrows_upward_are_found() -> None:
    graph: Graph = {
        "engine.errors": set(),
        "engine.data": {"engine.errors", "engine.run"},
        "engine.run": {"engine.data"},
    }
    assert upward(graph) == [("engine.data", "engine.run")]
    assert circles(graph) == [["engine.data", "engine.run"]]


VIEWED = [
    *("errors", "part", "seeds", "factories", "devices"),
    *("data", "networks", "spec", "record"),
]


@pytest.mark.parametrize("room", VIEWED)
def test_what_a_viewer_needs_of_the_engine_is_free_of_torch(room: str) -> None:
    """All of these rooms but the modules of networks, which are imported where one is built."""
    names = [name for name in modules(ROOT) if f"{name}.".startswith(f"engine.{room}.")]
    names = [name for name in names if not name.startswith("engine.networks.modules")]
    code = "\n".join(f"import {name}" for name in names)
    assert not imported_by(code) & ({"torch"} | SCREENS)


def test_the_engine_knows_no_screen() -> None:
    triton = None if find_spec("triton") else "engine.backends.triton_rounds.kernels"
    names = [name for name in modules(ROOT) if name.startswith("engine")]
    names = [name for name in names if triton is None or not name.startswith(triton)]
    code = "\n".join(f"import {name}" for name in names)
    assert not imported_by(f"{code}\nimport presets") & (SCREENS | {"dss_tui"})


def test_the_library_loads_nothing_before_it_is_asked_for() -> None:
    heavy = {"torch", "numpy", "pydantic", "yaml", "numba", "scipy", "safetensors", "presets"}
    assert not imported_by("import engine; dir(engine); engine.__version__") & heavy
    assert not imported_by("from engine import InputError, SaveError") & heavy
    of_files = "from engine import load_preset, read_string, write_string, events, Spec, StringFile"
    assert "torch" not in imported_by(f"{of_files}\nload_preset('digits')")
    assert "torch" in imported_by("from engine import search")


def test_a_search_loads_no_scipy_before_it_matches_units() -> None:
    assert "scipy" not in imported_by("import engine.run.session")


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["run", "--help"], ["presets"], ["presets", "digits"], ["ls"]],
)
def test_quick_answers_need_no_torch(arguments: list[str]) -> None:
    code = (
        "from dss_tui.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as end: assert not end.code"
    )
    assert "torch" not in imported_by(code)


def test_help_loads_nothing_that_is_not_needed() -> None:
    code = "from dss_tui.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert not imported_by(code) & {"torch", "numpy", "pydantic", "yaml", *SCREENS}


FIRST_FRAME = """
from pathlib import Path
from textual.message_pump import MessagePump
from dss_tui.tui.app import DssApp, Opening
from engine.record.rundir import RunDir

def ready(app):
    assert app.screen.query("{shown}")
    app.call_after_refresh(app.exit)

DssApp.on_ready = ready
MessagePump.set_timer = lambda *_, **__: None  # what timers draw comes after the first frame
DssApp(Opening({run})).run(headless=True, size=(140, 40))
"""


@pytest.mark.parametrize(("screen", "shown"), [("menu", "PresetTable"), ("run", "ArcView")])
def test_a_first_frame_waits_for_nothing_heavy(screen: str, shown: str) -> None:
    """The library of plots and numpy come after it, where they are needed."""
    held = ROOT / "tests/fixtures/6706f4a/runs/finished-auto-quadratic"
    run = f"RunDir(Path({str(held)!r}))" if screen == "run" else None
    loaded = imported_by(FIRST_FRAME.format(run=run, shown=shown))
    assert "textual" in loaded
    assert not loaded & {"torch", "numpy", "numba", "scipy", "safetensors", "plotext"}
