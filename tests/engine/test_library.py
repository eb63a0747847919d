"""The library as a program of somebody else's meets it: `import engine`, and what that offers."""

from __future__ import annotations

import ast
import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import engine
from dss_tui.cli import main
from tests.support.string_files import encode

ROOT = Path(__file__).parents[2]


# ---------------------------------------------------------------- the face


def test_what_it_offers_is_what_it_says() -> None:
    """The names for type checkers, those at run time, and those that `__all__` promises."""
    tree = ast.parse((ROOT / "engine" / "__init__.py").read_text(encoding="utf-8"))
    (typed,) = (node for node in tree.body if isinstance(node, ast.If) and len(node.body) > 1)
    checked = {
        alias.asname or alias.name: (f"{node.module}", alias.name)
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert engine.__all__ == sorted(engine.__all__)
    assert {*checked, "__version__"} == {*engine.__all__} <= {*dir(engine)}
    for name, (module, called) in checked.items():
        expected = getattr(importlib.import_module(module), called, None)
        if expected is None:
            expected = importlib.import_module(f"{module}.{called}")
        assert getattr(engine, name) is expected


def test_what_it_does_not_offer_is_missed_by_name() -> None:
    with pytest.raises(AttributeError, match="module 'engine' has no attribute 'serach'"):
        getattr(engine, "serach")  # noqa: B009 - a type checker would see it


def test_all_that_it_offers_is_documented() -> None:
    for name in set(engine.__all__) - {"__version__"}:
        assert getattr(engine, name).__doc__, name


# ---------------------------------------------------------------- a search, from preset to file


@pytest.fixture(scope="module")
def connected() -> engine.StringFile:
    overrides = {"search.level": 5e-3, "problem.data.points": 64}
    search = engine.search(engine.load_preset("quadratic", overrides, seed=3))
    assert search.run().outcome is engine.Outcome.CONNECTED
    return search.string()


def facts(lines: list[str]) -> list[dict[str, Any]]:
    """Events as JSON without what differs between two runs: times and the numbers of lines."""
    found = []
    for line in lines:
        tree = json.loads(line)
        for key in ("time", "seq"):
            tree.pop(key)
        tree.get("totals", {}).pop("elapsed_s", None)
        found.append(tree)
    return found


def test_it_finds_what_the_command_finds(
    connected: engine.StringFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same events, the same string to the last bit, and the same preset, resolved."""
    sets = ["search.level=5e-3", "problem.data.points=64"]
    options = [part for line in sets for part in ("--set", line)]
    run = ["run", "quadratic", *options, "--seed", "3", "--out", str(tmp_path / "run")]
    assert main([*run, "--headless", "--json"]) == 0
    told = capsys.readouterr().out.splitlines()
    search = engine.search(engine.load_preset("quadratic", sets, seed=3))
    lines = [engine.events.Record(7, 0.5, event).to_line() for event in search]
    assert facts(lines) == facts(told)
    assert search.spec == engine.load_preset(tmp_path / "run" / "run.yaml")
    ours, theirs = search.string(), engine.read_string(tmp_path / "run" / "string.safetensors")
    for name in ("beads", "losses", "t", "profiles"):
        bits = [getattr(each.string, name).tobytes() for each in (ours, theirs, connected)]
        assert bits[0] == bits[1] == bits[2]
    assert replace(ours.header, elapsed_s=0.5) == replace(theirs.header, elapsed_s=0.5)


@pytest.mark.parametrize("ending", [".safetensors", ".npz", ".pt"])
def test_a_string_comes_back_from_its_file(
    connected: engine.StringFile, ending: str, tmp_path: Path
) -> None:
    path = f"{tmp_path / 'path'}{ending}"
    engine.write_string(connected, path)
    back = engine.read_string(path)
    assert back.header == connected.header
    for name in ("beads", "losses", "t", "profiles"):
        ours, theirs = getattr(back.string, name), getattr(connected.string, name)
        assert ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes()


def test_it_verifies_as_the_command_does(
    connected: engine.StringFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A path that holds, and one that does not."""
    low = replace(connected, header=replace(connected.header, level=1e-3))
    for number, string in enumerate((connected, low)):
        path = tmp_path / f"{number}.npz"
        engine.write_string(string, path)
        check = engine.verify(engine.read_string(path), 101)
        status = main(["verify", str(path), "--grid", "101", "--json"])
        told = json.loads(capsys.readouterr().out)
        assert (check.holds, status) == ((True, 0), (False, 3))[number]
        assert told["holds"] == check.holds
        assert told["peaks"] == list(check.peaks)


# ---------------------------------------------------------------- bad input


def test_bad_presets_are_refused_with_file_key_value_and_remedy(tmp_path: Path) -> None:
    with pytest.raises(engine.InputError, match=r"^digit: no such preset; did you mean 'digits'\?"):
        engine.load_preset("digit")
    with pytest.raises(engine.InputError, match=r"^nowhere\.yaml: no such file"):
        engine.load_preset("nowhere.yaml")
    with pytest.raises(engine.InputError, match=r"digits\.yaml: search\.alpha: .*7"):
        engine.load_preset("digits", {"search.alpha": 7})
    with pytest.raises(engine.InputError, match=r"digits\.yaml: search\.levle.*'level'"):
        engine.load_preset("digits", ["search.levle=0.1"])
    with pytest.raises(engine.InputError, match=r"device: is 'gpu'; choose auto"):
        engine.load_preset("digits", device="gpu")


def test_bad_strings_are_refused(connected: engine.StringFile, tmp_path: Path) -> None:
    with pytest.raises(engine.InputError, match=r"nothing\.npz: no such file"):
        engine.read_string(tmp_path / "nothing.npz")
    with pytest.raises(engine.InputError, match=r"path\.h5: ends in '\.h5'; choose one of"):
        engine.write_string(connected, tmp_path / "path.h5")
    with pytest.raises(engine.SaveError, match=r"away/path\.npz: cannot be written: No such file"):
        engine.write_string(connected, tmp_path / "away" / "path.npz")
    (tmp_path / "half.npz").write_bytes(encode(connected, ".npz")[:1000])
    with pytest.raises(engine.InputError, match=r"half\.npz: is not a whole \.npz string file"):
        engine.read_string(tmp_path / "half.npz")
