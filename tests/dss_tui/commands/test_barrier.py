"""`dss-tui barrier`: on terminals, in files, for programs, and what it refuses."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import torch
from rich.cells import cell_len

from dss_tui.cli import main
from engine.record.string_file import write
from engine.spec.shipped import load_preset
from tests.support.commands import refused
from tests.support.pairs import mlp, saved, string_of

SIZES = (64, 8, 10)
NETWORK = "--network='{kind: mlp, sizes: [64, 8, 10]}' --data digits --loss cross_entropy"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    torch.manual_seed(1)
    saved((mlp(SIZES), mlp(SIZES)), tmp_path)
    spec = load_preset("quadratic", {"problem.data.points": 16})
    write(string_of(spec.problem), tmp_path / "path.npz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(line: str) -> int:
    return main(["barrier", *shlex.split(line)])


def test_a_report_fits_eighty_columns_without_colours(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("path.npz --points 9") == 0
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert max(map(cell_len, lines)) <= 80 and "\x1b" not in said
    assert lines[0] == "first   path.npz#first" and lines[1] == "second  path.npz#last"
    assert "proven: what is not exceeded anywhere on the line" in " ".join(said.split())
    assert "training" in said and "⠒⠒" in said and "└" in said
    assert "error rate" not in said  # the preset has no classes


def test_what_programs_get(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"a.pt b.pt {NETWORK} --points 5 --json --csv table.csv") == 0
    tree = json.loads(capsys.readouterr().out)
    assert list(tree) == ["t", "train", "held_out", "aligned"]
    told = ["values", "peak", "over_mean", "over_interpolation", "proven", "unproven"]
    assert list(tree["train"]["loss"]) == told
    for split in ("train", "held_out"):
        for metric in ("loss", "error"):
            line = tree[split][metric]
            assert line["proven"] >= line["peak"] * (1 - 1e-9) and line["unproven"] is None
    assert len(tree["held_out"]["error"]["values"]) == 5
    rows = (folder / "table.csv").read_text().splitlines()
    assert rows[0] == "t,train_loss,train_error,held_out_loss,held_out_error"
    assert float(rows[1].split(",")[1]) == tree["train"]["loss"]["values"][0]
    preset = "digits --set problem.network.sizes=[64,8,10]"
    assert run(f"a.pt b.pt --preset {preset} --points 5 --json --no-certify") == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone["train"]["loss"]["values"] == tree["train"]["loss"]["values"]
    assert alone["train"]["loss"]["proven"] is None is alone["train"]["loss"]["unproven"]


def test_repaired_models_are_told_to_be_off_the_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(f"a.pt b.pt {NETWORK} --points 5 --repair") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "loss along repaired models" in said
    assert "not on the straight line, and no part of a string" in said
    assert "Not proven: repaired models are not on the line." in said
    assert run("path.npz#1 path.npz#17 --points 5 --repair --json") == 0
    assert json.loads(capsys.readouterr().out)["repaired"] is True


def test_aligned_models_say_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"a.pt b.pt {NETWORK} --points 5 --json --align") == 0
    assert json.loads(capsys.readouterr().out)["aligned"] == "weights"
    assert run("path.npz --points 5 --align activations") == 0
    assert "path.npz#last, relabelled by activations" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"a.pt a.pt {NETWORK}", "a.pt: is the same model as a.pt"),
        ("a.pt b.pt", "the two models do not say what they are of; give a preset"),
        (f"a.pt {NETWORK}", "a.pt: is one model; give a second one"),
        (f"a.pt c.pt {NETWORK}", "c.pt: no such file"),
        ("a.pt b.pt --preset digits", "give the network that it was trained with"),
        ("a.pt b.pt --preset digist", "did you mean 'digits'?"),
        ("path.npz a.pt", "path.npz: is a string; say which of its beads is meant"),
        ("path.npz#1 path.npz#5", "path.npz: has no bead 5; choose first, last"),
        ("path.npz --points 4", "--points: is 4, but must be at least 5"),
        ("path.npz --csv table.txt", "table.txt: --csv: must end in .csv"),
        ("path.npz --csv gone/table.csv", "--csv: its folder does not exist"),
        ("path.npz --preset quadratic --loss mse", "--loss: is what the preset says"),
        ("path.npz --set seed=1", "--set: changes a key of a preset; give --preset too"),
        ("path.npz --align --permutation p.safetensors", "leave --align out"),
        ("a.pt b.pt --data digits", "--network: is missing; network, data and loss go together"),
    ],
)
def test_what_it_refuses(
    line: str, words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(capsys, ["barrier", *shlex.split(line)], words)
