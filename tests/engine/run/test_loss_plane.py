"""Planes of strings that real searches found, and of searches at work."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

import engine
from dss_tui.cli import main
from engine.record.commands import PlaneThrough, send
from engine.record.events import BeadInserted, Event, Record
from engine.record.loss_plane import LossPlane, NoPlane, read_answer
from engine.record.records import read_records
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.record.string_file import StringFile, read
from engine.run import session
from engine.run.loss_plane import bead_ids, measure_plane

#: A search of about two seconds with several beads.
SETTINGS = [
    "problem.data.points=64",
    "search.level=5e-3",
    "search.batching=vmap",
    "workers=2",
    "checkpoint_seconds=0.2",
]
RUN = ["run", "quadratic", "--seed", "3", "--headless"]
RUN += [part for setting in SETTINGS for part in ("--set", setting)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run that nobody asked for anything, whose beads are batched as those of each test are."""
    out = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.backends.vmapped.FEW_TOGETHER", 2)
        assert main([*RUN, "--out", str(out)]) == 0
    return RunDir(out)


@pytest.fixture(scope="module")
def string(whole: RunDir) -> StringFile:
    return read(whole.string)


def three(string: StringFile) -> tuple[int, int, int]:
    first, second, *_, last = string.header.bead_ids
    return first, last, second


def test_it_agrees_with_the_profiles_of_segments_in_it(string: StringFile) -> None:
    """The line from a to b is the x axis, on which `measure` finds the same objective."""
    a, b, c = three(string)
    plane = measure_plane(string, (a, b, c))
    weights = dict(zip(string.header.bead_ids, string.string.beads, strict=True))
    first, second, third = (weights[bead].astype(np.float64) for bead in (a, b, c))
    base = float(np.linalg.norm(second - first))
    across = (second - first) / base
    up = (third - first) - across * ((third - first) @ across)
    up /= np.linalg.norm(up)
    assert plane.corners[1].x == pytest.approx(base)
    for row in (0, 13, 20):
        ends = [first + x * across + plane.y[row] * up for x in (plane.x[0], plane.x[-1])]
        spec = engine.load_preset("quadratic", {"problem.data.points": 64})
        (line,) = engine.measure(ends, spec, points=21)
        np.testing.assert_allclose(plane.losses[row], line.losses, rtol=1e-9)
    assert (plane.level, plane.precision) == (5e-3, "float64")
    assert tuple(spot.bead for spot in plane.string) == string.header.bead_ids
    assert plane.time == string.header.elapsed_s


def test_without_ids_beads_are_numbered_along_the_string(string: StringFile) -> None:
    nameless = replace(string, header=replace(string.header, bead_ids=()))
    count = len(string.string.beads)
    assert bead_ids(nameless) == tuple(range(1, count + 1))
    plane = measure_plane(nameless, (1, count, 2))
    assert plane.losses == measure_plane(string, three(string)).losses
    with pytest.raises(engine.InputError, match=rf"no bead {count + 1}; choose from 1, 2"):
        measure_plane(nameless, (1, 2, count + 1))


@pytest.mark.parametrize("ids", [(1, 2), (1, 1, 1), (-3, 4, 5)])
def test_ids_that_cannot_be_those_of_the_beads_count_as_none(
    ids: tuple[int, ...], string: StringFile
) -> None:
    changed = replace(string, header=replace(string.header, bead_ids=ids))
    assert bead_ids(changed) == tuple(range(1, len(string.string.beads) + 1))


def test_functions_that_a_string_names_are_run_only_where_that_is_allowed() -> None:
    spec = engine.load_preset("custom-example", {"search.level": 0.6, "search.min_inner_beads": 1})
    search = engine.search(spec)
    assert search.run().outcome is engine.Outcome.CONNECTED
    string = search.string()
    with pytest.raises(engine.InputError, match=r"custom_example\.py:.* would be imported and run"):
        measure_plane(string, three(string))
    plane = measure_plane(string, three(string), run_factories=True)
    assert min(plane.values) > 0


@dataclass
class Asking:
    """An observer that asks for a plane at each new bead, and keeps what is answered."""

    run: RunDir
    lost_after: int | None = None
    """The number of answers after which the process is lost, if it is."""
    answers: list[LossPlane | NoPlane] = field(default_factory=list)
    asked: list[tuple[int, int, int]] = field(default_factory=list)

    def __call__(self, record: Record) -> None:
        for beads in self.asked:
            answer = read_answer(self.run, beads)
            if answer is not None and answer not in self.answers:
                self.answers.append(answer)
        if self.lost_after is not None and len(self.answers) >= self.lost_after:
            raise SystemExit("lost")
        if isinstance(record.event, BeadInserted):
            for beads in ((1, 2, record.event.bead), (1, 2, 99_999)):
                send(self.run, PlaneThrough(beads))
                self.asked.append(beads)


def search_again(whole: RunDir, folder: Path, lost_after: int | None = None) -> Asking:
    """The same search in another folder, asked for planes; gone on with where it is lost."""
    folder.mkdir()
    run = RunDir(folder)
    run.spec.write_bytes(whole.spec.read_bytes())
    asking = Asking(run, lost_after)
    with Signals() as signals:
        if lost_after is not None:
            with pytest.raises(SystemExit):
                session.run(run, signals, asking)
        asking.lost_after = None
        ended = session.run(run, signals, asking)
    assert ended.outcome is engine.Outcome.CONNECTED
    return asking


def facts(run: RunDir) -> list[Event]:
    """The events that stand, but for the last one, which holds the running time."""
    events = [record.event for record in read_records(run)]
    return [event for event in events[:-1] if event.name != "continued"]


@pytest.mark.parametrize("lost_after", [None, 1, 3])
def test_a_search_that_is_asked_for_planes_finds_the_same_string(
    lost_after: int | None, whole: RunDir, tmp_path: Path
) -> None:
    """It answers about beads in training, and about one that does not exist."""
    asking = search_again(whole, tmp_path / "run", lost_after)
    planes = [answer for answer in asking.answers if isinstance(answer, LossPlane)]
    reasons = {answer.reason for answer in asking.answers if isinstance(answer, NoPlane)}
    assert reasons and all(reason.startswith("there is no bead 99999;") for reason in reasons)
    assert planes and all(len(plane.values) == 21 * 21 for plane in planes)
    on_string = [{spot.bead for spot in plane.string} for plane in planes]
    inside = [plane.beads[2] in ids for plane, ids in zip(planes, on_string, strict=True)]
    assert not all(inside)  # some were in training then
    found, expected = read(asking.run.string).string, read(whole.string).string
    for name in ("beads", "losses", "t", "profiles"):
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes()
    assert facts(asking.run) == facts(whole)


def test_a_plane_that_cannot_be_written_leaves_the_search_alone(
    whole: RunDir, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder = tmp_path / "run"
    folder.mkdir()
    run = RunDir(folder)
    run.spec.write_bytes(whole.spec.read_bytes())
    run.planes.symlink_to(tmp_path / "elsewhere")
    send(run, PlaneThrough((1, 2, 3)))
    with Signals() as signals:
        assert session.run(run, signals).outcome is engine.Outcome.CONNECTED
    assert "no loss plane: " in run.log.read_text() and "planes: is a link" in run.log.read_text()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_plane_that_fails_leaves_the_search_alone(
    whole: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ValueError("a loss of 1e30 is not mine")

    monkeypatch.setattr("engine.run.job.plane_through", fails)
    asking = search_again(whole, tmp_path / "run")
    reasons = {answer.reason for answer in asking.answers if isinstance(answer, NoPlane)}
    assert reasons == {"measuring it failed with ValueError: a loss of 1e30 is not mine"}
    assert "a loss plane failed" in asking.run.log.read_text()
    assert facts(asking.run) == facts(whole)
