"""Proofs of string files, from the files alone, confirmed by ball arithmetic."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from dss_tui.cli import main
from engine.errors import InputError
from engine.record.string_file import StringFile
from engine.run.certify import Certificate, certify
from tests.support.balls import Task, confirmed, layers_between

POINTS = 32


def string_of(seed: int, preset: str = "quadratic", **more: Any) -> StringFile:
    """The string that a search connects."""
    overrides = {"problem.data.points": POINTS, **more} if preset == "quadratic" else more
    with engine.search(engine.load_preset(preset, overrides, seed=seed)) as search:
        assert search.run().outcome is engine.Outcome.CONNECTED
        return search.string()


@pytest.fixture(scope="module")
def connected() -> StringFile:
    return string_of(3)


def parabola() -> tuple[list[list[float]], list[list[float]]]:
    """The data of `quadratic` with POINTS points, as its float32 numbers, made by other code."""
    x = np.arange(POINTS) / (POINTS - 1)
    y = 0.1 + 0.25 * x + 0.5 * x**2
    return (
        x.astype(np.float32).astype(float)[:, None].tolist(),
        y.astype(np.float32).astype(float)[:, None].tolist(),
    )


@pytest.mark.parametrize("seed", range(10))
def test_ball_arithmetic_confirms_every_cell_of_a_string(seed: int) -> None:
    pytest.importorskip("flint")
    file = string_of(seed, **{"search.method": "auto"})
    found = certify(file)
    assert found.certified is True and found.bound <= file.header.level
    x, y = parabola()
    for number, proof in enumerate(found.proofs):
        task = Task(layers_between(file, number), "relu", "mse", x, y)
        assert proof.cells[0].u == 0 and proof.cells[-1].v == 1
        assert all(cell.v == after.u for cell, after in pairwise(proof.cells))
        for cell in proof.cells:
            assert confirmed(task, cell.u, cell.v, cell.bound)


def test_ball_arithmetic_would_notice(connected: StringFile) -> None:
    pytest.importorskip("flint")
    x, y = parabola()
    task = Task(layers_between(connected, 0), "relu", "mse", x, y)
    low = float(connected.string.losses[:2].max())
    assert not confirmed(task, 0.0, 1.0, 0.999 * low)


def test_a_level_below_what_is_sampled_is_refuted(connected: StringFile) -> None:
    peak = connected.string.max_peak
    for below in (1e-3, 1e-4, 1e-5):
        found = certify(connected, level=peak * (1 - below))
        assert found.certified is False
        at = [proof.refuted_at for proof in found.proofs if proof.refuted_at is not None]
        assert at and found.bound == inf


@pytest.mark.parametrize("bead", range(1, 3))
def test_a_moved_bead_is_refuted_and_noticed(bead: int, connected: StringFile) -> None:
    assert len(connected.string.beads) > 3
    beads = connected.string.beads.copy()
    beads[bead] += 0.2
    found = certify(replace(connected, string=replace(connected.string, beads=beads)))
    assert found.certified is False and not found.agrees


def test_losses_that_the_file_states_wrongly_prove_nothing(connected: StringFile) -> None:
    losses = connected.string.losses * 1.01
    found = certify(replace(connected, string=replace(connected.string, losses=losses)))
    assert all(proof.proven for proof in found.proofs)
    assert found.certified is None and not found.agrees
    assert found.disagreement == pytest.approx(0.01, rel=0.3)


def test_the_lowest_level_is_just_above_what_the_path_reaches(connected: StringFile) -> None:
    found = certify(connected, level=inf)
    assert found.certified is True
    peak = engine.verify(connected, 2001).peaks
    assert max(peak) * (1 - 1e-9) <= found.bound <= max(peak) * (1 + 2e-4)


def test_the_straight_line_has_a_proven_peak(connected: StringFile) -> None:
    found = certify(connected, level=inf, straight=True)
    assert len(found.proofs) == 1 and found.certified is True
    ends = connected.string.beads[[0, -1]]
    line = replace(
        connected,
        string=replace(
            connected.string,
            beads=ends,
            losses=connected.string.losses[[0, -1]],
            profiles=connected.string.profiles[:1],
        ),
    )
    peak = max(engine.verify(line, 4001).peaks)
    assert peak > connected.header.level
    assert peak * (1 - 1e-9) <= found.bound <= peak * (1 + 2e-4)


def test_digits_are_proven() -> None:
    file = string_of(0, "digits", **{"search.level": 0.2})
    found = certify(file)
    assert found.certified is True
    assert file.string.max_peak * (1 - 1e-6) <= found.bound <= 0.2


def test_networks_without_a_proof_are_refused_in_words(connected: StringFile) -> None:
    problem = connected.header.problem
    network = problem.network.model_copy(update={"activation": "sigmoid"})
    sigmoid = replace(connected.header, problem=problem.model_copy(update={"network": network}))
    assert certify(replace(connected, header=sigmoid)).agrees is False  # another function
    perplexity = connected.header.level_on.model_copy(update={"metric": "perplexity"})
    with pytest.raises(InputError, match="there is no proof for this network"):
        certify(replace(connected, header=replace(connected.header, level_on=perplexity)))


@pytest.fixture
def path(connected: StringFile, tmp_path: Path) -> Path:
    engine.write_string(connected, tmp_path / "path.npz")
    return tmp_path / "path.npz"


def test_the_command_proves(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(path), "--certify"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("PROVEN: at every point of the path the training loss is at most 0.000")


def test_the_command_refutes(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(path), "--certify", "--level", "1e-9"]) == 3
    out = capsys.readouterr().out
    assert "refuted at t = 0" in out and "REFUTED: the training loss exceeds 1e-09" in out


def test_the_command_prints_json(
    path: Path, connected: StringFile, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(path), "--certify", "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["certified"] is True and tree["bound"] <= tree["level"]
    ids = connected.header.bead_ids
    assert [(each["left"], each["right"]) for each in tree["segments"]] == list(pairwise(ids))
    assert all(each["refuted_at"] is None for each in tree["segments"])
    assert main(["verify", str(path), "--certify", "--json", "--cells"]) == 0
    cells = json.loads(capsys.readouterr().out)["segments"][0]["cells"]
    assert cells[0][0] == 0 and cells[-1][1] == 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--certify", "--level", "x"], "--level: is x, but must be a number above 0, or lowest"),
        (["--certify", "--level", "-1"], "--level: is -1, but must be"),
        (
            ["--certify", "--device", "cuda"],
            "--device: is for measuring, and proofs are made on the",
        ),
        (["--level", "1"], "--level: belongs to --certify"),
        (["--straight"], "--straight: belongs to --certify"),
        (["--cells"], "--cells: belongs to --certify"),
    ],
)
def test_mistakes_are_told(
    more: list[str], said: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(path), *more]) == 2
    assert said in capsys.readouterr().err


def test_certificates_know_no_bound_where_something_is_open(connected: StringFile) -> None:
    found: Certificate = certify(connected, level=1e-9)
    assert found.bound == inf and found.certified is False
