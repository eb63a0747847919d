"""`dss-tui align`: a checkpoint in another one's order, in files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dss_tui.cli import main
from engine.problem.problem import build_problem
from engine.record.string_file import write
from presets import load_preset
from tests.support.commands import refused
from tests.support.pairs import string_of


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two models of `quadratic`."""
    problem = build_problem(load_preset("quadratic").problem)
    paths = []
    for seed in (1, 2):
        theta = problem.initial(seed)
        path = tmp_path / f"{seed}.pt"
        torch.save({name: each[0] for name, each in problem.named(theta[None]).items()}, path)
        paths.append(str(path))
    return paths


def test_it_writes_model_and_permutation_and_takes_them_again(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, perm, again = (tmp_path / name for name in ("o.pt", "p.safetensors", "q.pt"))
    asked = ["align", *files, "--preset", "quadratic"]
    assert main([*asked, "--out", str(out), "--permutation", str(perm)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"{out}: {files[1]}, relabelled by weights: ")
    assert "layers.0.weight:0" in said[1] and said[-1].startswith("its outputs on training samples")
    assert main([*asked, "--out", str(again), "--apply", str(perm)]) == 0
    ours, theirs = (torch.load(path, weights_only=True) for path in (out, again))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_it_takes_beads_of_a_string_which_says_what_they_are_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = load_preset("quadratic", {"problem.data.points": 16})
    path, out = tmp_path / "path.npz", tmp_path / "c.safetensors"
    write(string_of(spec.problem, 3), path)
    assert main(["align", f"{path}#1", f"{path}#17", "--out", str(out)]) == 0
    assert capsys.readouterr().out.startswith(f"{out}: {path}#17, relabelled by weights: ")
    assert main(["barrier", f"{path}#1", str(out), "--points", "5", "--no-certify"]) == 0
    capsys.readouterr()
    refused(capsys, ["align", f"{path}#1", f"{path}#5", "--out", str(out)], "has no bead 5")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            {"layers.0.weight": "first.weight"},
            ("lists first.weight, which the network described does not have",),
        ),
        (
            {"layers.0.bias": "layers.1.bias", "layers.1.bias": "layers.0.bias"},
            ("lists layers.1.bias (4,), where", "has layers.0.bias (4,)"),
        ),
    ],
)
@pytest.mark.parametrize("command", ["align", "barrier"])
def test_a_string_of_other_parameters_is_told_with_a_remedy(
    command: str,
    names: dict[str, str],
    said: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    held = string_of(load_preset("quadratic", {"problem.data.points": 16}).problem, 3)
    parameters = tuple((names.get(name, name), shape) for name, shape in held.header.parameters)
    path = tmp_path / "path.npz"
    write(replace(held, header=replace(held.header, parameters=parameters)), path)
    options = ["--out", str(tmp_path / "o.pt")] if command == "align" else []
    place, remedy = f"dss-tui: {path}: dss.parameters: ", "export the string again from its run"
    refused(capsys, [command, f"{path}#first", f"{path}#last", *options], place, *said, remedy)
    assert not (tmp_path / "o.pt").exists()


def test_what_cannot_be_written_or_read_is_one_line(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["align", *files, "--preset", "quadratic", "--out"]
    refused(capsys, [*asked, str(tmp_path / "o.npz")], "must end in .safetensors or .pt")
    refused(capsys, [*asked, str(tmp_path / "no" / "o.pt")], "--out", "its folder does not exist")
    out = str(tmp_path / "o.pt")
    refused(capsys, [*asked, out, "--permutation", out], "--permutation", "must end in")
    refused(capsys, [*asked, out, "--apply", files[0]], "must end in .safetensors")
    refused(capsys, ["align", files[0], out, *asked[3:], out], "no such file")
