"""Two strings in one plane, against closed forms."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import InputError
from engine.record import joint_plane as module
from engine.record.geometry import BeadString, in_space
from engine.record.joint_plane import Unwanted, joint_plane
from engine.record.rundir import RunDir
from engine.record.string_file import Header, StringFile
from engine.record.string_file import write as write_string
from engine.spec.keys import Spec

PARAMETERS = 600


def run_with(
    beads: NDArray[np.float64], spec: Spec, folder: Path, name: str = "w", rows: int = 1
) -> RunDir:
    """A folder that holds a string of these beads, (bead, param)."""
    count, parameters = beads.shape
    header = Header(
        outcome="connected",
        level=0.02,
        alpha=0.7,
        method="greedy",
        seed=3,
        problem=spec.problem,
        parameters=((name, (rows, parameters // rows)),),
        data_sha256="",
        bead_ids=tuple(range(count)),
        elapsed_s=1.5,
    )
    string = BeadString(
        beads.astype(np.float32), np.ones(count), np.array([0.0, 1.0]), np.ones((count - 1, 2))
    )
    folder.mkdir(parents=True)
    run = RunDir(folder)
    write_string(StringFile(header, string), run.string)
    return run


def straight(
    start: tuple[float, float], end: tuple[float, float], count: int
) -> NDArray[np.float64]:
    """Evenly spaced places on a line in the plane, (bead, 2)."""
    return np.linspace(start, end, count)


@pytest.fixture
def axes() -> NDArray[np.float64]:
    """Two orthonormal directions in the space of the weights, (2, param), and what is far away."""
    drawn = np.random.default_rng(5).standard_normal((PARAMETERS, 2))
    return np.linalg.qr(drawn)[0].T


def test_two_straight_strings_lie_in_their_plane(
    axes: NDArray[np.float64], spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Places in the plane are known but for a motion of it, which leaves all distances."""
    monkeypatch.setattr(module, "PIECE", 700)  # a hundred weights at a time
    plane = [straight((-3.0, 0.5), (4.0, 1.0), 4), straight((1.0, -1.0), (2.0, 2.5), 3)]
    away = np.random.default_rng(6).standard_normal(PARAMETERS)
    pair = tuple(
        run_with(places @ axes + away, spec, tmp_path / str(number))
        for number, places in enumerate(plane)
    )
    found = joint_plane((pair[0], pair[1]), lambda: True)
    assert [len(places) for places in found.strings] == [4, 3]
    assert sum(found.shares) == pytest.approx(1.0)
    known, seen = np.concatenate(plane), np.array([*found.strings[0], *found.strings[1]])
    for one in range(7):
        for other in range(one):
            truth = math.dist(known[one], known[other])
            assert math.dist(seen[one], seen[other]) == pytest.approx(truth, rel=1e-4)
    for places in found.strings:  # straight and evenly spaced
        steps = np.array([np.subtract(b, a) for a, b in pairwise(places)])
        assert steps == pytest.approx(np.broadcast_to(steps[0], steps.shape), abs=1e-4)
    assert found.strings[0][0][0] < found.strings[0][-1][0]
    variance = ((known - known.mean(axis=0)) ** 2).sum()
    assert (seen**2).sum() == pytest.approx(variance, rel=1e-4)


def test_pieces_of_any_size_give_the_same_plane(
    axes: NDArray[np.float64], spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is that of all beads read at once."""
    drawn = np.random.default_rng(7)
    strings = [drawn.standard_normal((count, PARAMETERS)) for count in (5, 6)]
    first, second = (
        run_with(beads, spec, tmp_path / str(number)) for number, beads in enumerate(strings)
    )
    whole = in_space(np.concatenate(strings).astype(np.float32))
    assert whole is not None
    for piece in (1, 77, 10**6):
        monkeypatch.setattr(module, "PIECE", piece)
        found = joint_plane((first, second), lambda: True)
        assert found.shares == pytest.approx(whole.shares[:2])
        seen = np.abs([*found.strings[0], *found.strings[1]])
        assert seen == pytest.approx(np.abs(whole.seen(0, 0)), abs=1e-6)


def test_other_names_or_shapes_have_no_plane(
    axes: NDArray[np.float64], spec: Spec, tmp_path: Path
) -> None:
    beads = straight((0, 0), (1, 2), 3) @ axes
    first = run_with(beads, spec, tmp_path / "first")
    for number, other in enumerate(({"name": "v"}, {"rows": 2})):
        second = run_with(beads, spec, tmp_path / str(number), **other)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="different parameters"):
            joint_plane((first, second), lambda: True)


def test_what_is_missing_or_cut_is_one_sentence(
    axes: NDArray[np.float64], spec: Spec, tmp_path: Path
) -> None:
    beads = straight((0, 0), (1, 2), 3) @ axes
    first, second = (run_with(beads, spec, tmp_path / name) for name in "ab")
    content = second.string.read_bytes()
    for damage, why in (
        (content[:-9], "is not a whole string file"),
        (b"", "is not a whole string file"),
        (None, "b: has no string yet"),
    ):
        second.string.unlink()
        if damage is not None:
            second.string.write_bytes(damage)
        with pytest.raises(InputError, match=why):
            joint_plane((first, second), lambda: True)


def test_weights_that_are_not_finite_have_no_plane(
    axes: NDArray[np.float64], spec: Spec, tmp_path: Path
) -> None:
    beads = straight((0, 0), (1, 2), 3) @ axes
    first = run_with(beads, spec, tmp_path / "a")
    beads[1, 17] = np.inf
    second = run_with(beads, spec, tmp_path / "b")
    with pytest.raises(InputError, match="not finite"):
        joint_plane((first, second), lambda: True)


def test_nobody_waits_for_a_plane_that_is_not_wanted(
    axes: NDArray[np.float64], spec: Spec, tmp_path: Path
) -> None:
    beads = straight((0, 0), (1, 2), 3) @ axes
    first, second = (run_with(beads, spec, tmp_path / name) for name in "ab")
    with pytest.raises(Unwanted):
        joint_plane((first, second), lambda: False)
