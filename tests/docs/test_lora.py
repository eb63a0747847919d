"""docs/lora.md, followed to the letter: its files are written, its commands are run."""

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

from dss_tui.cli import main
from engine.record.string_file import read

PAGE = Path(__file__).parents[2] / "docs" / "lora.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.M | re.S)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's folder, in which Python looks for modules first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    sys.modules.pop("tiny", None)


def test_the_page_does_what_it_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = []
    for kind, block in BLOCKS:
        if kind != "sh":
            (folder / block.splitlines()[0].removeprefix("# ")).write_text(block)
            continue
        for line in block.splitlines():
            command, *arguments = shlex.split(line)
            commands.append(line)
            if command == "python":
                runpy.run_path(arguments[0], run_name="__main__")
            else:
                assert command == "dss-tui" and main(arguments) == 0, line
    assert [line.split()[1] for line in commands] == ["run", "export", "verify", "use.py"]
    said = capsys.readouterr().out
    assert re.search(r"^Connected: \d+ beads, .*, moving 256 of 1570 weights", said, re.M)
    assert "HOLDS" in said and "and still the same model" in said

    held = read(folder / "path.npz")
    moved = [name for name, _ in held.header.parameters]
    assert moved == [
        f"{layer}.lora_{part}"
        for layer in ("query", "key", "value", "out")
        for part in ("down", "up")
    ]
    assert held.string.beads.shape[1] == 256
    assert sum(each.size for each in held.fixed.values()) == 1314
    ups = held.string.beads[[0, -1], 32:64]  # two adapters that both have learned something
    assert (abs(ups).max(1) > 0.01).all() and not np.allclose(*ups)


def test_the_factory_is_as_long_as_one_reads(folder: Path) -> None:
    (code,) = (block for kind, block in BLOCKS if block.startswith("# tiny.py"))
    assert len(code.splitlines()) <= 60
    (folder / "tiny.py").write_text(code)
    made = runpy.run_path("tiny.py")
    torch.manual_seed(1)
    one = made["classifier"](base=7, width=8, heads=2, rank=1)
    torch.manual_seed(2)
    other = made["classifier"](base=7, width=8, heads=2, rank=1)
    for (name, a), (_, b) in zip(one.named_parameters(), other.named_parameters(), strict=True):
        same = torch.equal(a, b)
        assert same == ("lora_down" not in name), name
    ids, label, *_ = made["sentences"](50)
    truth = [[*row, 0, 1].index(0) < [*row, 0, 1].index(1) for row in ids.tolist()]
    assert label.tolist() == list(map(int, truth)) and 10 < sum(truth) < 40
