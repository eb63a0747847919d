"""Who imports whom, looked at in a clean interpreter."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCREENS = {"textual", "rich", "plotext"}


def imported_by(code: str) -> set[str]:
    """Top-level modules that a clean interpreter holds after running the code."""
    show = "import json, sys; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True
    )
    return set(json.loads(ran.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "module",
    ["spec", "events", "errors", "rundir", "runs", "signals", "data", "bead_string", "string_file"],
)
def test_what_a_viewer_needs_of_the_engine_is_free_of_torch(module: str) -> None:
    assert not imported_by(f"import engine.{module}") & ({"torch"} | SCREENS)


@pytest.mark.parametrize("module", ["runner", "verify", "__main__"])
def test_the_engine_knows_no_screen(module: str) -> None:
    assert not imported_by(f"import engine.{module}, presets") & (SCREENS | {"dss_tui"})


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


def test_the_packages_are_ours() -> None:
    """`engine` and `presets` are names that another project could bring along."""
    import dss_tui
    import engine
    import presets

    roots = {str(module.__path__[0]).rsplit("/", 1)[0] for module in (dss_tui, engine, presets)}
    assert len(roots) == 1
    assert engine.__doc__ is not None and "search engine" in engine.__doc__
