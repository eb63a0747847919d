"""The four commands of README and docs/your-own-model.md, as a user gives them, and their times.

They are taken out of the documents and run one after another by the program itself, each in a
process of its own. The times are printed (`pytest -s`) and recorded; nothing depends on them.
"""

from __future__ import annotations

import os
import re
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README, PAGE = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/your-own-model.md")
)
#: The most lines with code in the user's own file, a docstring and an import each being one.
TWENTY = 20


def four_commands(text: str) -> list[str]:
    """The lines of the one block that begins with a barrier without a preset."""
    blocks = re.findall(r"^```sh\n(dss-tui barrier [^\n]* --network .*?)^```$", text, re.M | re.S)
    assert len(blocks) == 1
    return str(blocks[0]).splitlines()


def python_file(name: str) -> str:
    """A Python file of the page."""
    (block,) = re.findall(rf"^```python\n(# {re.escape(name)}\n.*?)^```$", PAGE, re.M | re.S)
    return str(block)


@dataclass(frozen=True)
class Done:
    """What a command has printed, and what it took."""

    said: str
    seconds: float
    processor_s: float


def run(words: list[str], folder: Path) -> Done:
    """Runs a command in a folder, at the end of which it must have done what was asked."""
    surroundings = os.environ | {"DSS_TUI_RUNS": str(folder / "runs"), "COLUMNS": "80"}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ended = subprocess.run(words, cwd=folder, env=surroundings, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.returncode == 0, ended.stderr
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Done(ended.stdout, seconds, spent)


def test_readme_and_page_give_the_same_four_commands_for_twenty_lines_of_python() -> None:
    assert four_commands(README) == four_commands(PAGE)
    code = [line for line in python_file("mine.py").splitlines()[1:] if line.strip()]
    assert len(code) <= TWENTY


def test_four_commands_lead_from_two_files_to_barrier_path_and_picture(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    program = Path(sys.executable).with_name("dss-tui")
    for name in ("mine.py", "train.py"):
        (tmp_path / name).write_text(python_file(name))
    run([sys.executable, "train.py"], tmp_path)
    baseline = run([sys.executable, "-c", "import torch"], tmp_path)
    said = []
    for line in four_commands(README):
        command, *arguments = shlex.split(line)
        assert command == "dss-tui"
        done = run([str(program), *arguments], tmp_path)
        said.append(done.said)
        told = f"{done.seconds:.1f} s, {done.processor_s:.1f} s of processors"
        times = f"{done.processor_s / baseline.processor_s:.1f} × import torch"
        record_property(f"dss-tui {arguments[0]}", f"{told}, {times}")
        print(f"{told}, {times}: dss-tui {' '.join(arguments[:3])} …")
    plain, aligned, path, picture = said
    assert "loss along the straight line" in plain
    assert "second  b.pt, relabelled by weights" in aligned
    assert barrier_of(aligned) < 0.2 * barrier_of(plain)
    assert re.search(r"^Connected: \d+ beads, ", path, re.M)
    assert picture.startswith("plane 1, 2, 3: training loss") and "●1" in picture


def barrier_of(report: str) -> float:
    """The barrier of the training loss over the mean of the two models, in the table's row."""
    (row,) = re.findall(r"^training loss +(.*)$", report, re.M)
    return float(row.split()[5])
