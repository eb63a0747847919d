"""The pages name files, modules, commands, options and keys that exist."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from dss_tui.arguments import build_parser
from engine.spec.keys import Spec
from engine.spec.validation import _branches

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
] + sorted((ROOT / "docs").glob("*.md"))

TOPS = ("engine", "dss_tui", "presets", "tests", "benchmarks", "docs")
#: Folders in which pages name files and packages without the folder.
HOMES = ("", "engine", "dss_tui", "dss_tui/tui")
#: Keys of a preset's blocks, by which a word with points is told from other such words.
BLOCKS = ("problem", "endpoints", "search", "limits", "batch_norm")


def quoted(page: Path) -> Iterator[str]:
    """Yields what a page puts between backticks, its blocks of code left out."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    yield from (" ".join(words.split()) for words in re.findall(r"`([^`]+)`", text))


def paths(page: Path) -> set[str]:
    """The files and folders that a page names, by a link or between backticks."""
    named = re.compile(rf"(?:{'|'.join(TOPS)})/[\w./-]+")
    links = re.findall(r"\]\(([\w./-]+)\)", page.read_text(encoding="utf-8"))
    here = page.parent.relative_to(ROOT)
    found = {str(here / link) for link in links}
    for words in quoted(page):
        if "<" in words:  # a name to be chosen
            continue
        found |= set(named.findall(words))
        if re.fullmatch(r"[\w./-]+/|[\w/-]+\.md", words):
            found.add(words)
    return found


def modules(page: Path) -> set[str]:
    """The dotted names below one of our packages that a page names."""
    named = re.compile(rf"(?:{'|'.join(TOPS)})(?:\.\w+)+")
    found = {name for words in quoted(page) for name in named.findall(words) if "=" not in words}
    return found - {"engine.log"}  # a file of a run


def definitions(page: Path) -> set[tuple[str, str]]:
    """The names that a page says a file defines: `name` in `file`, or `name` and `other` in it."""
    text = page.read_text(encoding="utf-8")
    said = re.findall(r"((?:`\w+`(?:\s+and\s+)?)+)\s+in\s+`([\w/]+\.py)`", text)
    return {(name, file) for names, file in said for name in re.findall(r"`(\w+)`", names)}


def lines(page: Path) -> set[str]:
    """The command lines of dss-tui that a page names, in code or between backticks."""
    text = page.read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, flags=re.M | re.S))
    found = re.findall(r"^dss-tui [^#\n]*", code, flags=re.M)
    every = (line.strip() for line in [*found, *quoted(page)])
    return {line for line in every if line.startswith("dss-tui ")}


def keys(page: Path) -> set[str]:
    """The dotted keys of a preset that a page names."""
    named = re.compile(rf"(?<![\w./])(?:{'|'.join(BLOCKS)})(?:\.[a-z_0-9]+)+")
    text = page.read_text(encoding="utf-8")
    return {key for key in named.findall(text) if not key.endswith((".py", ".yaml", ".md"))}


def exists(path: str) -> bool:
    return any((ROOT / home / path).exists() for home in HOMES)


def is_module(name: str) -> bool:
    """Whether a dotted name is a module, or something that its parent module defines."""
    place = ROOT / name.replace(".", "/")
    if place.is_dir() or place.with_suffix(".py").is_file():
        return True
    module, last = place.parent.with_suffix(".py"), place.name
    module = module if module.is_file() else place.parent / "__init__.py"
    return module.is_file() and re.search(rf"\b{last}\b", module.read_text()) is not None


def has_key(part: type[BaseModel], steps: list[str]) -> bool:
    """Whether a part of a preset has a key, in any of the kinds that it may be."""
    first, *rest = steps
    field = part.model_fields.get(first)
    if field is None:
        return False
    below = [
        kind
        for kind in _branches(field.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel)
    ]
    return not rest or any(has_key(kind, rest) for kind in below) or first == "args"


def commands() -> dict[str, argparse.ArgumentParser]:
    """The subparsers of the command line, by name."""
    (action,) = (
        each for each in build_parser()._actions if isinstance(each, argparse._SubParsersAction)
    )
    return dict(action.choices)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page: Path) -> None:
    assert sorted(path for path in paths(page) if not exists(path)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_modules_exist(page: Path) -> None:
    assert sorted(name for name in modules(page) if not is_module(name)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_define_what_they_are_said_to(page: Path) -> None:
    defining = r"(?m)^\s*(?:(?:async )?def |class )?{}\b"
    wrong = [
        (name, file)
        for name, file in definitions(page)
        if not re.search(defining.format(name), (ROOT / file).read_text())
    ]
    assert sorted(wrong) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_keys_exist(page: Path) -> None:
    roots = {"batch_norm": "problem.batch_norm"}
    wrong = []
    for key in keys(page):
        first, *rest = key.split(".")
        if not has_key(Spec, [*roots.get(first, first).split("."), *rest]):
            wrong.append(key)
    assert sorted(wrong) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_commands_and_options_exist(page: Path) -> None:
    known, wrong = commands(), []
    for line in lines(page):
        command, *words = line.split()[1:]
        if command.startswith("-"):
            continue
        options = known[command]._option_string_actions if command in known else {}
        used = [word.split("=")[0] for word in words if re.match(r"--\w", word)]
        if command not in known or not set(used) <= set(options):
            wrong.append(line)
    assert sorted(wrong) == []


def test_the_pages_name_something() -> None:
    """What finds nothing proves nothing."""
    every = [{name for page in PAGES for name in find(page)} for find in (paths, lines, keys)]
    assert all(len(found) > 20 for found in every)
    assert len({name for page in PAGES for name in modules(page)}) > 2
    assert len({name for page in PAGES for name in definitions(page)}) > 5


def test_a_name_that_is_gone_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`engine/losses.py` and `engine.losses.loss` and `search.levels`, [there](gone.md), "
        "as `dss-tui fly --high` says\n"
    )
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    assert paths(page) == {"engine/losses.py", "gone.md"}
    assert not any(map(exists, paths(page)))
    assert modules(page) == {"engine.losses.loss"} and not is_module("engine.losses.loss")
    assert keys(page) == {"search.levels"} and not has_key(Spec, ["search", "levels"])
    assert lines(page) == {"dss-tui fly --high"}
