"""`dss-tui figure`: figures with their numbers beside them, and what is refused in one line."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from dss_tui.cli import main
from engine.record.loss_plane import LossPlane, read_plane_file
from tests.support.commands import refused
from tests.support.sheets import by_hand
from tests.support.sweep_folders import sweep_of

FIXTURES = Path(__file__).parents[2] / "fixtures/6706f4a"
STRING = str(FIXTURES / "strings/quadratic.safetensors")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that connected, of which a test may write to the folder."""
    return Path(shutil.copytree(FIXTURES / "runs/finished-greedy-quadratic", tmp_path / "run"))


@pytest.fixture
def without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without the extra."""
    for name in list(sys.modules):
        if name.startswith(("dss_tui.figures", "matplotlib")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)


@pytest.mark.parametrize("ending", [".svg", ".pdf", ".png"])
def test_a_figure_has_its_numbers_beside_it_and_is_drawn_from_them_alone(
    ending: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / f"first{ending}", tmp_path / f"second{ending}"
    assert main(["figure", str(run), "--out", str(first)]) == 0
    numbers = first.with_suffix(".csv")
    assert capsys.readouterr().out == f"written to {numbers}\nwritten to {first}\n"
    shutil.rmtree(run)
    assert main(["figure", str(numbers), "--out", str(second)]) == 0
    assert second.read_bytes() == first.read_bytes()
    assert second.with_suffix(".csv").read_bytes() == numbers.read_bytes()
    assert first.read_bytes().startswith(
        {".svg": b"<?xml", ".pdf": b"%PDF", ".png": b"\x89PNG"}[ending]
    )


def test_a_width_is_that_of_columns_or_a_number(run: Path, tmp_path: Path) -> None:
    for width, points in (("one", 240.9), ("two", 504.5), ("100", 283.4)):
        out = tmp_path / f"{width}.svg"
        assert main(["figure", str(run), "--width", width, "--out", str(out)]) == 0
        assert f'width="{points}' in out.read_text()


def test_a_plane_that_is_not_there_yet_is_measured_and_kept(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "plane.svg"
    assert main(["figure", str(run), "--plane", "1,6,2", "--out", str(out)]) == 0
    kept = run / "planes/1-6-2.json"
    assert isinstance(read_plane_file(kept), LossPlane)
    kept.write_text(kept.read_text().replace('"level":0.001', '"level":0.002'))
    assert main(["figure", str(run), "--kind", "plane", "--out", str(tmp_path / "again.csv")]) == 0
    assert "# level: 0.002" in (tmp_path / "again.csv").read_text()  # the kept one is taken


def test_a_plane_of_a_string_file_is_measured(tmp_path: Path) -> None:
    out = tmp_path / "plane.csv"
    assert main(["figure", STRING, "--kind", "plane", "--plane", "1,6,2", "--out", str(out)]) == 0
    lines = out.read_text().splitlines()
    assert lines[0] == "# dss-tui figure: plane"
    assert sum(line.startswith("grid,") for line in lines) == 21 * 21


def test_what_a_source_allows_is_listed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figure", str(run), "--kind", "list"]) == 0
    said = capsys.readouterr().out
    names = [line.split()[0] for line in said.splitlines() if not line.startswith(" ")]
    assert names == ["path", "string", "plane", "depths", "quantities"]
    assert "its proof, drawn without --kind\n" in said
    assert "not now: it holds no quantities yet" in said
    assert main(["figure", STRING, "--kind", "list"]) == 0
    assert "quantities" not in capsys.readouterr().out


@pytest.mark.usefixtures("without_matplotlib")
def test_without_the_extra_one_sentence_says_what_to_install_and_numbers_are_written(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["figure", str(run), "--out", str(tmp_path / "path.svg")]
    refused(capsys, command, "figure: needs the package matplotlib", "extra `figures`")
    assert not (tmp_path / "path.csv").exists()
    assert main(["figure", str(run), "--out", str(tmp_path / "path.csv")]) == 0
    assert (tmp_path / "path.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "x.svg", "--kind", "levels"], ["--kind: is levels", "is a run", "path, string"]),
        (["--out", "x.svg", "--kind", "paht"], ["--kind: is paht; did you mean 'path'?"]),
        (["--out", "x.svg", "--kind", "quantities"], ["holds no quantities yet", "--what all"]),
        (["--out", "x.svg", "--kind", "plane"], ["holds no loss plane yet; --plane A,B,C"]),
        (["--out", "x.svg", "--plane", "1,2"], ["--plane: is 1,2"]),
        (["--out", "x.svg", "--plane", "1,2,999"], ["999"]),
        (["--out", "x.svg", "--plane", "1,2,3", "--kind", "path"], ["--plane: belongs to --kind"]),
        (["--out", "x.gif"], ["--out: ends in '.gif'", ".svg"]),
        (["--out", "no/x.svg"], ["its folder does not exist"]),
        (["--out", "x.svg", "--width", "broad"], ["--width: is 'broad'; give one, two"]),
        (["--out", "x.svg", "--width", "20"], ["--width: is 20 mm, but must be from 40 to 400"]),
        ([], ["--out: says where to write"]),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(
    arguments: list[str],
    words: list[str],
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(capsys, ["figure", str(run), *arguments], *words)
    assert not list(tmp_path.glob("x.*"))


def test_a_table_of_something_else_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep_of(tmp_path)
    table = tmp_path / "sweep.csv"
    table.write_text("level,pair\n")
    command = ["figure", str(tmp_path), "--out", str(tmp_path / "sweep.svg")]
    refused(capsys, command, "sweep.csv", "holds something else than the numbers of a figure")
    assert table.read_text() == "level,pair\n"


def test_a_damaged_sheet_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figure.csv"
    path.write_text(by_hand("path").to_csv() + "objective,0\n")
    out = str(tmp_path / "again.svg")
    refused(capsys, ["figure", str(path), "--out", out], "figure.csv: line", "2 cells, not 6")
    refused(capsys, ["figure", str(tmp_path / "no.csv"), "--out", out], "no such file")
