"""docs/your-own-model.md, followed to the letter: its files are written, its commands are run."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import presets
from dss_tui.cli import main
from engine.spec.yaml_file import load

PAGE = Path(__file__).parents[2] / "docs" / "your-own-model.md"
TEXT = PAGE.read_text(encoding="utf-8")
#: The page without the section that does without a preset: `test_four_commands` follows that.
WITH_A_PRESET = re.sub(r"^## Four commands$.*?(?=^## )", "", TEXT, flags=re.M | re.S)
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.M | re.S)
NAMES = {"python": r"\w+\.py", "yaml": r"\w+\.yaml"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's folder, in which Python looks for modules first."""
    modules = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    for name in {"mine", "focal"} - modules:
        sys.modules.pop(name, None)


def run_line(line: str) -> None:
    command, *arguments = shlex.split(line)
    if command == "python":
        runpy.run_path(arguments[0], run_name="__main__")
    else:
        assert command == "dss-tui"
        assert main(arguments) == 0, line


#: The page's own module, one whose normalization is run three times, and fewer samples than all.
ONCE = "self.head(self.body(x))"
THRICE = "self.head(sum(self.body((1 + 0.1 * k) * x) for k in range(3)))"
CHANGES = {
    "as it stands": {},
    "in a loop": {ONCE: THRICE},
    "some samples": {"  loss: cross_entropy": "  batch_norm: {samples: 64}\n  loss: cross_entropy"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_page_does_what_it_says(
    change: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = []
    blocks, shown = WITH_A_PRESET, ""
    for old, new in CHANGES[change].items():
        assert old in blocks
        blocks = blocks.replace(old, new)
    for kind, block in re.findall(r"^```(\w+)\n(.*?)^```$", blocks, re.M | re.S):
        if kind == "text":
            shown = block
        elif kind == "sh":
            for line in block.splitlines():
                run_line(line)
                commands.append(line)
        else:
            first = block.splitlines()[0]
            assert re.fullmatch("# " + NAMES[kind], first)
            (folder / first.removeprefix("# ")).write_text(block)
    assert [line.split()[:2] for line in commands] == [
        ["python", "train.py"],
        ["dss-tui", "barrier"],
        ["dss-tui", "barrier"],
        ["dss-tui", "run"],
        ["dss-tui", "export"],
        ["dss-tui", "verify"],
        ["python", "use.py"],
        ["dss-tui", "run"],
    ]
    said = capsys.readouterr().out
    assert re.search(r"^Connected: \d+ beads, ", said, re.M)
    assert "HOLDS" in said
    assert "loss along the straight line" in said and "⠒⠒ training" in said
    assert "second  b.pt, relabelled by weights" in said
    heads, *rows = shown.splitlines()
    assert heads in said
    for row in rows:
        measured, _ = re.findall(f"^{row[:15]}.*$", said, re.M)
        if change == "as it stands":
            assert _numbers(measured) == pytest.approx(_numbers(row), rel=0.5, abs=0.2)

    with np.load(folder / "path.npz") as file:
        for name, bead in (("a.pt", file["beads"][0]), ("b.pt", file["beads"][-1])):
            state = torch.load(folder / name, weights_only=True)
            weights = [part.flatten() for key, part in state.items() if _is_weight(key)]
            assert torch.cat(weights).numpy().tobytes() == bead.tobytes()

    capsys.readouterr()
    assert main(["verify", "path.npz"]) == 2
    told = capsys.readouterr().err
    for function in ("mine.py:moons", "mine.py:Classifier"):
        assert f"{folder.resolve() / function}" in told
    assert "give --run-factories" in told


def _numbers(row: str) -> list[float]:
    """The numbers in a row of the table, shares of samples in per cent."""
    return [float(number) for number in re.findall(r"[\d.]+(?:e-\d+)?", row[15:])]


def _is_weight(name: str) -> bool:
    return not re.search(r"running_|num_batches", name)


def test_a_checkpoint_above_the_level_ends_the_run_as_the_page_says(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {block.splitlines()[0][2:]: block for kind, block in BLOCKS if kind in NAMES}
    for name in ("mine.py", "mine.yaml", "train.py"):
        (folder / name).write_text(files[name].replace("range(300)", "range(3)"))
    run_line("python train.py")
    assert main(["run", "mine.yaml"]) == 3
    assert "endpoint 1 (" in capsys.readouterr().out


def test_every_key_that_the_page_names_is_one() -> None:
    """In its text; those in its blocks are read above."""
    prose = re.sub(r"^```.*?^```$", "", TEXT, flags=re.M | re.S)
    quoted = re.findall(r"`([^`]+)`", prose)
    names = {match for text in quoted for match in re.findall(r"^(?:problem|search)[.\w]*", text)}
    assert names == {
        "problem.batch_norm",
        "problem.batch_norm.seed",
        "problem.data",
        "problem.data.inputs",
        "problem.data.targets",
        "problem.network",
        "search.batching",
        "search.compile",
        "search.greedy",
    }
    options = {word for text in quoted for word in re.findall(r"--[\w-]+", text)}
    assert options == {
        *("--run-factories", "--to", "--network", "--data", "--loss"),
        *("--repair", "--json", "--csv", "--set"),
    }
    overrides = [
        "problem.batch_norm={statistics: batch, samples: 256}",
        "problem.network.recompute=[layer1, layer2]",
        "endpoints.micro_batch=16",
        "endpoints.dropout=true",
    ]
    for shown in ("recompute: [layer1, layer2]", "micro_batch: 16", "dropout: true"):
        assert f"`{shown}`" in TEXT
    assert "`problem.batch_norm: {statistics: batch, samples: 256}`" in TEXT
    spec = load(presets.path_of("custom-example"), overrides)
    assert spec.problem.batch_norm.samples == 256
    means = load(presets.path_of("custom-example"), ["problem.data.targets=values"]).problem.data
    assert means.model_dump()["targets"] == "values" and means.model_dump()["inputs"] is None
    assert presets.load_preset("custom-example").problem.batch_norm.samples == 1024
