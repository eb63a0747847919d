"""Connected strings pulled tight below their level."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dss_tui.cli import main
from engine.methods import build_method
from engine.methods.method import StagedMethod
from engine.methods.shorten import MARGINS, Shortening
from engine.path import audit, chain
from engine.path.chain import Chain
from engine.path.chain_string import string_of
from engine.path.segments import Measured, measure
from engine.problem.problem import build_problem
from engine.record.events import (
    FIRST,
    LAST,
    AuditFailed,
    Event,
    Outcome,
    SegmentFailed,
    StringShortened,
)
from engine.record.records import read_records
from engine.record.rundir import RunDir
from engine.record.string_file import read
from engine.spec.keys import Spec
from engine.workers.pool import Pool
from presets import load_preset
from tests.support.commands import refused
from tests.support.landscapes import Surface, double_well, goal, landscape, ring, spec_for
from tests.support.more import more
from tests.support.searches import highest_loss, method_for, place_endpoints, run
from tests.support.workers import Here, vmapped


def shortened(level: float, seed: int = 3, **greedy: object) -> Spec:
    spec = spec_for(level, seed, **greedy)
    return spec.model_copy(update={"search": spec.search.model_copy(update={"shorten": True})})


@contextmanager
def searched(
    surface: Surface, spec: Spec, first: list[float], last: list[float]
) -> Iterator[tuple[StagedMethod, list[Event]]]:
    with method_for(landscape(surface), spec) as method:
        place_endpoints(method, first, last)
        yield method, run(method)


def stage_of(method: StagedMethod) -> Shortening:
    stage = method.stages[-1]
    assert isinstance(stage, Shortening)
    return stage


def reports(events: list[Event]) -> list[StringShortened]:
    return [event for event in events if isinstance(event, StringShortened)]


def outcome(method: StagedMethod) -> Outcome:
    assert method.verdict is not None
    return method.verdict.outcome


def length_of(beads: np.ndarray) -> float:
    steps = np.linalg.norm(np.diff(beads.astype(np.float64), axis=0), axis=1)
    return float(steps.sum())


def geodesic(first: np.ndarray, last: np.ndarray, radius: float) -> float:
    """Length of the shortest way around a disc: a tangent, an arc, a tangent."""
    a, b = float(np.linalg.norm(first)), float(np.linalg.norm(last))
    angle = math.acos(float(first @ last) / (a * b))
    arc = angle - math.acos(radius / a) - math.acos(radius / b)
    return math.sqrt(a**2 - radius**2) + math.sqrt(b**2 - radius**2) + radius * arc


# ---------------------------------------------------------------- on a ring


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("level", [0.05, 0.005])
def test_a_ring_is_crossed_along_its_inner_wall(seed: int, level: float) -> None:
    """Below a level L the valley ends inside at radius √(1 − √L): no path is shorter than that."""
    ends = [1.0, 0.01 * (seed + 1)], [-1.0, 0.03]
    with searched(ring, shortened(level, seed), *ends) as (method, events):
        assert outcome(method) is Outcome.CONNECTED
        assert highest_loss(method, 2001) <= level
        beads = method.string().beads.astype(np.float64)
        bound = geodesic(beads[0], beads[-1], math.sqrt(1 - math.sqrt(level)))
        assert bound * (1 - 1e-6) <= length_of(beads) <= bound * 1.01
        (report,) = reports(events)
        assert report.length_after < report.length_before


def test_the_report_holds_the_strings_own_numbers() -> None:
    ends = [1.0, 0.02], [-1.0, 0.03]
    with searched(ring, spec_for(0.02), *ends) as (method, _):
        before = method.progress()
    with searched(ring, shortened(0.02), *ends) as (method, events):
        (report,) = reports(events)
        beads = method.string().beads
        chord = float(np.linalg.norm(beads[-1] - beads[0]))
        assert report.length_before == pytest.approx(before.normalized_length, rel=1e-6)
        assert report.beads_before == before.beads
        assert report.beads_after == len(beads)
        assert report.length_after == pytest.approx(length_of(beads) / chord, rel=1e-5)
        after = events[events.index(report) + 1 :]
        measured = {(e.left, e.right) for e in after if e.name == "segment_measured"}  # type: ignore[attr-defined]
        assert measured == set(method.chain.keys)


def test_endpoints_do_not_move() -> None:
    ends = [1.0, 0.02], [-1.0, 0.03]
    with searched(ring, shortened(0.02), *ends) as (method, _):
        beads = method.string().beads
        np.testing.assert_array_equal(beads[0], np.array(ends[0], np.float32))
        np.testing.assert_array_equal(beads[-1], np.array(ends[1], np.float32))


@pytest.mark.parametrize("level", [0.3, 0.05, more(0.01)])
def test_no_bead_is_left_whose_neighbours_connect_directly(level: float) -> None:
    with searched(ring, shortened(level), [1.0, 0.02], [-1.0, 0.03]) as (method, _):
        weights, order = method.chain.weights, method.chain.order
        skipped = [(weights[a], weights[c]) for a, c in zip(order, order[2:], strict=False)]
        assert skipped
        direct = measure(Here(vmapped(method.chain.problem)), skipped, method.chain.grid, 3)
        assert min(measured.peak for measured in direct) > (1 - MARGINS[0]) * level


def test_beads_that_are_not_needed_go() -> None:
    """At a level above the hill of the ring, the straight line is all that is left."""
    problem, spec = landscape(ring), shortened(1.1)
    angles = torch.linspace(0.02, math.pi, 9)
    points = torch.stack([angles.cos(), angles.sin()], 1)
    ids = [FIRST, *range(3, 10), LAST]
    with Pool(vmapped(problem), [torch.device("cpu")]) as pool:
        string = Chain(pool, goal(1.1), 33)
        string.begin([(bead, point, 1) for bead, point in zip(ids, points, strict=True)])
        string.measure(string.keys)
        stage = Shortening(spec, string)
        stage.begin()
        events: list[Event] = []
        while not stage.done:
            events += stage.step(None)
        assert string.order == [FIRST, LAST]
    (report,) = reports(events)
    assert (report.beads_before, report.beads_after) == (9, 2)
    assert report.length_after == pytest.approx(1.0)


def hill(w: Tensor) -> Tensor:
    """exp(−w₁² − w₂²): a hill around the third axis, above exp(−1) within a distance of 1 of it."""
    return torch.exp(-w[:2].square().sum())


def test_a_bead_slides_along_a_hill_that_it_cannot_cross() -> None:
    """The way to the chord leads into the hill; across its slope the bead gets nearer all the same.

    The tangents from (∓2, 0) to the hill meet at a height of 2 tan 30°. The bead stands just above
    that, so that it cannot go down, and one unit aside, where nothing holds it.
    """
    problem, level = landscape(hill, 3), math.exp(-1)
    spec = shortened(level)
    once = spec.search.shortening.model_copy(update={"doublings": 0})
    spec = spec.model_copy(update={"search": spec.search.model_copy(update={"shortening": once})})
    points = torch.tensor([[-2.0, 0.0, 0.0], [0.0, 1.17, 1.0], [2.0, 0.0, 0.0]])
    string = Chain(Here(vmapped(problem)), goal(level), 65)
    string.begin([(bead, at, 0) for bead, at in zip((FIRST, 3, LAST), points, strict=True)])
    string.measure(string.keys)
    stage = Shortening(spec, string)
    stage.begin()
    while not stage.done:
        stage.step(None)
    assert string.order == [FIRST, 3, LAST]
    x, height, aside = string.weights[3].tolist()
    assert abs(aside) < 1e-3
    assert abs(x) < 1e-3
    assert 2 * math.tan(math.radians(30)) < height < 1.171


def test_a_string_with_one_inner_bead_gets_more_where_they_shorten_it() -> None:
    """Around a hill, two straight segments are longer than four that follow it."""
    problem, level = landscape(hill, 3), math.exp(-1)
    spec = shortened(level)
    points = torch.tensor([[-2.0, 0.0, 0.0], [0.0, 1.17, 0.0], [2.0, 0.0, 0.0]])
    string = Chain(Here(vmapped(problem)), goal(level), 65)
    string.begin([(bead, at, 0) for bead, at in zip((FIRST, 3, LAST), points, strict=True)])
    string.measure(string.keys)
    stage = Shortening(spec, string)
    stage.begin()
    while not stage.done:
        stage.step(None)
    beads = string_of(string, {}).beads.astype(np.float64)
    two, around = 2 * math.hypot(2, 2 * math.tan(math.pi / 6)), geodesic(beads[0], beads[-1], 1.0)
    assert len(beads) > 3
    assert around < length_of(beads) < two - 0.4 * (two - around)


def test_no_more_beads_are_added_than_allowed() -> None:
    with method_for(landscape(ring), shortened(0.005)) as method:
        place_endpoints(method, [1.0, 0.02], [-1.0, 0.03])
        while method.verdict is None:
            method.step(max(0, 20 - len(method.chain.order)))
            assert len(method.chain.order) <= 20
        assert outcome(method) is Outcome.CONNECTED


# ---------------------------------------------------------------- on networks


@pytest.mark.parametrize("seed", [2])
def test_strings_of_networks_become_shorter_and_hold(seed: int) -> None:
    sets = ["search.level=1e-2", "problem.data.points=64", f"seed={seed}", "search.shorten=true"]
    spec = load_preset("quadratic", sets)
    problem = build_problem(spec.problem)
    with Pool(vmapped(problem), [torch.device("cpu")]) as pool:
        method = build_method(spec, pool)
        events = run(method, 500)
        assert outcome(method) is Outcome.CONNECTED
        assert highest_loss(method, 2001) <= 1e-2
    (report,) = reports(events)
    assert 1 <= report.length_after < report.length_before


def test_a_restored_shortening_goes_on_to_the_same_bits() -> None:
    problem, spec = landscape(ring), shortened(0.02)
    with method_for(problem, spec) as method:
        place_endpoints(method, [1.0, 0.02], [-1.0, 0.03])
        while stage_of(method).sweep < 3:
            method.step(None)
        state = method.state
        rest = run(method)
        expected = method.string()
    with method_for(problem, spec) as again:
        again.resume(state)
        assert run(again) == rest
        assert again.string().beads.tobytes() == expected.beads.tobytes()


def test_a_string_that_is_not_short_yet_is_measured_on_the_whole_grid_to_be_written() -> None:
    """Sweeps look at few places, so a run that a limit ends must not tell these as its profiles."""
    with method_for(landscape(ring), shortened(0.02)) as method:
        place_endpoints(method, [1.0, 0.02], [-1.0, 0.03])
        while stage_of(method).sweep < 3:
            method.step(None)
        chain = method.chain
        assert chain.unmeasured == chain.keys
        pairs = [(chain.weights[left], chain.weights[right]) for left, right in chain.keys]
        measured = measure(Here(vmapped(chain.problem)), pairs, chain.grid, 3)
        found = method.string().profiles
        np.testing.assert_allclose(found, [each.losses for each in measured], rtol=1e-6)


# ---------------------------------------------------------------- when there is nothing to shorten


def test_what_is_not_connected_is_left_alone() -> None:
    ends = [-1.0, 0.1], [1.0, -0.2]
    with searched(double_well, spec_for(0.3, max_depth=6), *ends) as (method, _):
        expected = method.string().beads
    with searched(double_well, shortened(0.3, max_depth=6), *ends) as (method, events):
        assert outcome(method) is Outcome.NOT_CONNECTED
        assert reports(events) == []
        np.testing.assert_array_equal(method.string().beads, expected)


# ---------------------------------------------------------------- when the audit refuses


def refusing(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The first so many audits find the first closed segment above the level."""
    honest = audit.Audit.reopen
    left = [times]

    def reopen(self: audit.Audit) -> list[Event]:
        closed = [s.key for s in self._chain.in_order() if s.state == "closed"]
        if left[0]:
            left[0] -= 1
            self.measured[closed[0]] = replace(
                self.measured[closed[0]], peak=1.02 * self._chain.bound, t_star=0.5
            )
        return honest(self)

    monkeypatch.setattr(audit.Audit, "reopen", reopen)


@pytest.mark.parametrize("times", [1, 2])
def test_a_refused_string_comes_down_with_a_wider_margin(
    times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = [1.0, 0.02], [-1.0, 0.03]
    with searched(ring, shortened(0.05), *ends) as (method, _):
        accepted = method.string().beads
    refusing(monkeypatch, times)
    with searched(ring, shortened(0.05), *ends) as (method, events):
        assert outcome(method) is Outcome.CONNECTED
        assert sum(isinstance(event, AuditFailed) for event in events) == times
        assert stage_of(method).margins == times
        told, beads = reports(events)[-1], method.string().beads
        assert told.beads_after == len(beads) == len(accepted)
        assert told.length_after == pytest.approx(method.chain.shape().normalized_length, rel=1e-12)
        assert length_of(accepted) * 0.9999 < length_of(beads) < length_of(accepted) * 1.02
        assert highest_loss(method, 2001) <= (1 - MARGINS[times]) * 0.05 * (1 + 1e-4)


def test_a_refused_string_adds_no_bead(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch, 1)
    with method_for(landscape(ring), shortened(0.05)) as method:
        place_endpoints(method, [1.0, 0.02], [-1.0, 0.03])
        stage = stage_of(method)
        while not stage.applied:
            method.step(None)
        most = len(method.chain.order)
        while method.verdict is None:
            method.step(0)
            assert len(method.chain.order) <= most
        assert outcome(method) is Outcome.CONNECTED


def test_a_refused_straight_line_is_the_string_of_before_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing of it can move, so shortening begins anew from the string that it was given."""
    with method_for(landscape(ring), shortened(0.05)) as method:
        place_endpoints(method, [1.0, 0.0], [0.0, 1.0])
        run(method)
        stage, chain = stage_of(method), method.chain
        assert stage.before is not None
        for bead in chain.order[1:-1]:
            chain.drop(bead)
        chain.measure(chain.unmeasured)
        stage.step(None)
        assert chain.order == list(stage.before.order)
        assert not stage.done
        while not stage.done:
            stage.step(None)
        assert stage.applied
        assert all(segment.state == "closed" for segment in chain.in_order())


@pytest.mark.parametrize("times", [1, 2])
def test_a_refused_string_that_does_not_come_down_is_shortened_again(
    times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps the widest margin then, or is the string that it was."""
    honest = Shortening._move
    monkeypatch.setattr(Shortening, "_move", lambda self: not self._high and honest(self))
    refusing(monkeypatch, times)
    ends = [1.0, 0.02], [-1.0, 0.03]
    with searched(ring, shortened(0.05), *ends) as (method, events):
        assert outcome(method) is Outcome.CONNECTED
        assert sum(isinstance(event, AuditFailed) for event in events) == times
        assert stage_of(method).margins >= min(2 * times, len(MARGINS))
        assert all(report.length_after <= report.length_before for report in reports(events))
        assert len({(r.length_before, r.beads_before) for r in reports(events)}) == 1
        assert highest_loss(method, 2001) <= 0.05


def test_shortening_gives_up_after_its_margins(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is the string as the search had found it, or what of it is needed."""
    refusing(monkeypatch, len(MARGINS))
    ends = [1.0, 0.02], [-1.0, 0.03]
    with searched(ring, shortened(0.05), *ends) as (method, events):
        assert outcome(method) is Outcome.CONNECTED
        assert reports(events)[-1].length_after <= reports(events)[-1].length_before
        assert highest_loss(method, 2001) <= 0.05


def conclude(method: StagedMethod, steps: int) -> list[Event]:
    events: list[Event] = []
    for _ in range(steps):
        if method.verdict is not None:
            break
        events += method.step(None)
    return events


@pytest.mark.parametrize("missed", [1, 3])
def test_a_peak_that_the_search_missed_is_searched_again(
    missed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pulling tight does not help a string that was above the level before: the search must."""
    calls = [0]

    def blind(*arguments: Any, **keys: Any) -> list[Measured]:
        calls[0] += 1
        found = measure(*arguments, **keys)
        return [replace(m, peak=0.001) for m in found] if calls[0] <= missed else found

    monkeypatch.setattr(chain, "measure", blind)
    with method_for(landscape(ring), shortened(0.05)) as method:
        place_endpoints(method, [1.0, 0.02], [-1.0, 0.03])
        conclude(method, 500)
        assert method.verdict is not None, "the search does not end"
        assert outcome(method) is Outcome.CONNECTED
        assert highest_loss(method, 2001) <= 0.05


def test_a_refused_segment_of_an_unconnected_string_ends_without_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another segment has failed already, so there is no string to go back to."""
    refusing(monkeypatch, 1)
    with method_for(landscape(dented), shortened(0.3, max_depth=6)) as method:
        place_endpoints(method, [-1.0, 0.1], [1.0, -0.2])
        events = conclude(method, 2000)
        assert any(isinstance(event, AuditFailed) for event in events)
        assert any(isinstance(event, SegmentFailed) for event in events)
        assert method.verdict is not None
        assert outcome(method) is Outcome.NOT_CONNECTED
        assert reports(events) == []


def dented(w: Tensor) -> Tensor:
    """Two wells with a hollow on the pass between them: a string has segments of both kinds."""
    hollow = torch.exp(-(w[0] / 0.15).square())
    return double_well(w) - 0.98 * hollow


# ---------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("connected") / "run"
    sets = ["--set", "problem.data.points=64", "--set", "search.level=1e-2", "--seed", "2"]
    assert main(["run", "quadratic", *sets, "--headless", "--out", str(out)]) == 0
    return out


def test_shorten_makes_a_new_run(
    connected: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {p.name: p.read_bytes() for p in connected.iterdir() if p.is_file()}
    out = tmp_path / "short"
    assert main(["shorten", str(connected), "--headless", "--out", str(out)]) == 0
    assert {p.name: p.read_bytes() for p in connected.iterdir() if p.is_file()} == before
    *_, report = reports([record.event for record in read_records(RunDir(out))])
    assert report.length_after < report.length_before
    ours, theirs = read(out / "string.safetensors"), read(connected / "string.safetensors")
    assert length_of(ours.string.beads) < length_of(theirs.string.beads)
    np.testing.assert_array_equal(ours.string.beads[[0, -1]], theirs.string.beads[[0, -1]])
    capsys.readouterr()
    assert main(["verify", str(out / "string.safetensors"), "--grid", "2001"]) == 0
    assert "HOLDS" in capsys.readouterr().out


@pytest.mark.parametrize("old", [False, True])
def test_shorten_judges_by_the_samples_of_the_run(old: bool, connected: Path, runs: Path) -> None:
    """A run of an older version has no seed in its preset and took the first."""
    spec = RunDir(connected).spec
    drawn = "    samples: 1024\n    seed: 0\n"
    kept = spec.read_text()
    assert drawn in kept
    if old:
        spec.write_text(kept.replace(drawn, "    samples: 1024\n"))
    try:
        assert main(["shorten", str(connected), "--headless"]) == 0
    finally:
        spec.write_text(kept)
    (made,) = runs.iterdir()
    assert RunDir(made).load_spec().problem.batch_norm.seed == (None if old else 0)


def test_shorten_takes_overrides_and_names_its_run(
    connected: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = ["--set", "search.shortening.sweeps=1", "--set", "search.level=2e-2"]
    assert main(["shorten", str(connected), "--headless", *sets]) == 0
    (made,) = runs.iterdir()
    assert made.name.startswith(f"{connected.name}-short-")
    assert read(made / "string.safetensors").header.level == 2e-2


def test_only_connected_runs_are_shortened(
    tmp_path: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "limited"
    limited = ["run", "quadratic", "--set", "limits.steps=1", "--headless", "--out", str(out)]
    assert main(limited) == 3
    capsys.readouterr()
    refused(capsys, ["shorten", str(out), "--headless"], "limit reached", "only a connected")
    refused(capsys, ["shorten", "nothing", "--headless"], "nothing")
    assert not runs.exists() or not list(runs.iterdir())


def test_shorten_refuses_another_problems_string_before_anything_is_written(
    connected: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "short"
    sets = ["--set", "problem.network.sizes=[1, 5, 4, 1]"]
    arguments = ["shorten", str(connected), *sets, "--headless", "--out", str(out)]
    refused(capsys, arguments, "search.string")
    assert not out.exists()
