"""What a search without a connection found out, as an event, as words and as a command."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import engine
from dss_tui.cli import main
from engine.alignment.align import MATCHED, unaligned
from engine.backends.fused.compilation import available
from engine.methods import build_method
from engine.methods.method import StagedMethod
from engine.problem.checkpoints.endpoints import read_model
from engine.problem.problem import build_problem
from engine.record.events import (
    FIRST,
    LAST,
    EndpointTrained,
    Event,
    Outcome,
    Record,
    RunFinished,
    from_line,
)
from engine.record.finding import create
from engine.record.findings import Diagnosis
from engine.record.records import read_records
from engine.run.choosing import backend_of
from engine.spec.keys import Spec
from engine.workers.pool import Pool
from engine.workers.shared import SharedPool
from presets import load_preset
from tests.support.commands import refused
from tests.support.events import instance
from tests.support.landscapes import double_well, landscape, spec_for
from tests.support.searches import highest_loss, method_for, place_endpoints, run
from tests.support.workers import vmapped

QUICK_DISCONNECTED = [
    "search.greedy.max_steps=300",
    "search.greedy.patience=60",
    "search.greedy.max_depth=2",
    "search.constrained.max_beads=8",
    "search.constrained.patience=100",
    "search.auto.detours=0",
]


@contextmanager
def disconnected(seed: int = 3) -> Iterator[StagedMethod]:
    """Two wells searched below their pass, to the verdict."""
    spec = spec_for(level=0.3, seed=seed, max_depth=6)
    with method_for(landscape(double_well), spec) as method:
        place_endpoints(method, [-1.0, 0.1], [1.0, -0.2])
        run(method)
        yield method


def found_by(method: StagedMethod) -> Diagnosis:
    found = method.diagnosis()
    assert found is not None
    return found


# ---------------------------------------------------------------- on known landscapes


@pytest.mark.parametrize("seed", range(3, 6))
def test_two_wells_have_their_peak_at_their_pass(seed: int) -> None:
    with disconnected(seed) as method:
        found = found_by(method)
        assert found.level == 0.3
        assert 1.0 - 1e-6 <= found.barrier < 1.2  # the pass has height 1, the straight line 1.0025
        assert 0.3 < found.place < 0.7
        assert 0 <= found.t <= 1
        assert 0 <= found.depth <= 6
        assert 0 < len(found.trace) <= 100
        for beads, depth, place, loss in found.trace:
            assert beads >= 2
            assert 0 <= depth <= 6
            assert 0 <= place <= 1
            assert loss >= 1.0 - 1e-6
        assert found.barrier == min(loss for *_, loss in found.trace)
        assert found.trace[0][:2] == (2, 0)  # the straight line is where it begins
        assert found.stuck_level is None
        assert found.relabelled == ()
        assert not found.rescaled
        assert f"{found.barrier:.4g}" in found.words


def test_the_string_that_is_left_attains_the_peak() -> None:
    with disconnected() as method:
        found = found_by(method)
        assert highest_loss(method) == pytest.approx(found.barrier, rel=1e-4)
        beads = dict(zip(method.chain.order, method.string().beads, strict=True))
        left, right = (torch.from_numpy(beads[b]) for b in (found.left, found.right))
        peak = double_well(torch.lerp(left, right, found.t)).item()
        assert peak == pytest.approx(found.barrier, rel=1e-4)
        order = method.chain.order
        assert order.index(found.right) == order.index(found.left) + 1
        stops = [torch.from_numpy(beads[b]) for b in order]
        lengths = [(b - a).norm().item() for a, b in pairwise(stops)]
        at = order.index(found.left)
        before = sum(lengths[:at]) + found.t * lengths[at]
        assert found.place == pytest.approx(before / sum(lengths), rel=1e-4)


def test_what_was_tried_is_counted() -> None:
    spec = spec_for(level=0.3, max_depth=6)
    with method_for(landscape(double_well), spec) as method:
        place_endpoints(method, [-1.0, 0.1], [1.0, -0.2])
        events = run(method)
        found = found_by(method)
    for name, facts in (("segment_failed", found.reasons), ("bead_failed", found.retries)):
        counted = sum(int(fact.split(" × ")[0]) for fact in facts)
        assert counted == sum(event.name == name for event in events)
    assert found.reasons


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ((0.1, 0.9, 0.42, 0.50, 0.54), "stayed near 54% of the string"),
        ((0.5, 0.5, 0.30, 0.62, 0.54), "moved about on the string"),
    ],
)
def test_a_peak_stays_that_moves_by_less_than_a_seventh_of_the_string(
    places: tuple[float, ...], words: str
) -> None:
    """In the second half of the search: what it did before does not count."""
    with disconnected() as method:
        peak = method.chain.trace[0]
        method.chain.trace = [replace(peak, place=place) for place in places]
        assert words in found_by(method).words


def test_a_search_that_begins_anew_is_told_by_its_best_string() -> None:
    """The first string and the last are of different tries, and say nothing of how far it came."""
    with disconnected() as method:
        chain = method.chain
        peak, low = chain.trace[0], chain.lowest
        assert low is not None
        best = low.peak()
        chain.trace = [
            replace(peak, beads=2, loss=4 * best.loss),
            replace(peak, beads=best.beads, loss=best.loss),
            replace(peak, beads=2, loss=3 * best.loss),
            replace(peak, beads=5, loss=2 * best.loss),
        ]
        said = found_by(method).words
        fell = f"fell from {4 * best.loss:.4g} to {best.loss:.4g}"
        assert f"of 2 beads, to the best, of {best.beads}, the worst peak {fell};" in said
        assert f"The last string, of 5 beads, rises to {2 * best.loss:.4g}." in said
        chain.trace = chain.trace[:2]
        assert "The last string" not in found_by(method).words


def test_a_restored_search_has_the_same_diagnosis() -> None:
    with disconnected() as method:
        state, found = method.state, found_by(method)
        spec = method.spec
    with method_for(landscape(double_well), spec) as again:
        again.resume(state)
        assert found_by(again) == found


# ---------------------------------------------------------------- the known disconnection


def searched(spec: Spec, seeds: int) -> list[tuple[StagedMethod, list[Event]]]:
    """One search for each seed, all in one batch."""
    problem = build_problem(spec.problem)
    backend = backend_of("fused" if available() else "vmap", spec.problem, problem)
    with Pool(backend, [torch.device("cpu")]) as pool:
        shared = SharedPool(pool)

        def one(seed: int) -> Callable[[], tuple[StagedMethod, list[Event]]]:
            def task() -> tuple[StagedMethod, list[Event]]:
                method = build_method(spec.model_copy(update={"seed": seed}), shared)
                return method, run(method, most_beads=100)

            return task

        return shared.run_all([one(seed) for seed in range(seeds)])


def test_swapped_copies_of_a_narrow_network_never_connect() -> None:
    """The search is cut short; the diagnosis names the two units that changed places."""
    for method, events in searched(load_preset("permutation-disconnect", QUICK_DISCONNECTED), 2):
        assert method.verdict is not None
        assert method.verdict.outcome in (Outcome.NOT_CONNECTED, Outcome.ENDPOINT_NOT_TRAINED)
        if not any(isinstance(event, EndpointTrained) for event in events):
            continue
        found = found_by(method)
        assert found.relabelled == ((1, 0, 1), (1, 1, 0))
        assert not found.rescaled
        assert found.barrier > 0.1  # ten times the level
        assert found.stuck_level is not None and found.stuck_level > 0.01
        assert "unit 0 of hidden layer 1 is unit 1 of endpoint 1" in found.words


def test_swapped_copies_of_a_wide_network_connect() -> None:
    for method, _ in searched(load_preset("permutation-control"), 6):
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.CONNECTED
        # Its float32 string is looked at once more, in float64.
        beads = torch.from_numpy(method.string().beads).double()
        exact = method.chain.problem.to(dtype=torch.float64)
        t = torch.linspace(0, 1, 2001, dtype=torch.float64)[:, None]
        for a, b in pairwise(beads):
            assert vmapped(exact).losses(torch.lerp(a, b, t)).max() <= 0.01


def test_a_copy_whose_units_are_scaled_in_place_is_not_said_to_have_moved_units() -> None:
    """Its ReLU units stand where they were: there is a relabelling, and no unit to name."""
    spec = load_preset("permutation-control")
    with method_for(build_problem(spec.problem), spec) as method:
        first = torch.linspace(-1, 1, 24) + 0.03 * torch.arange(24).cos()
        last = first.clone()
        last[:2] *= 2  # what enters hidden unit 0
        last[12::6] /= 2  # what leaves it
        method.chain.begin([(FIRST, first, 0), (LAST, last, 0)])
        method.chain.measure(method.chain.keys)
        assert torch.allclose(*vmapped(method.chain.problem).losses(torch.stack([first, last])))
        found = found_by(method)
        assert (found.relabelled, found.rescaled) == ((), True)
        assert "same function" not in found.words


# ---------------------------------------------------------------- as a line of JSON


def ended(found: Diagnosis | None) -> RunFinished:
    whole: RunFinished = instance(RunFinished)
    return replace(whole, diagnosis=found)


def test_a_diagnosis_comes_back_from_its_line() -> None:
    with disconnected() as method:
        found = found_by(method)
    for diagnosis in (
        found,
        replace(found, stuck_level=0.25, relabelled=((1, 0, 1), (1, 1, 0)), rescaled=True),
        replace(found, retries=(), reasons=(), trace=()),
        None,
    ):
        record = Record(3, 1.5, ended(diagnosis))
        assert from_line(record.to_line()) == record


def test_a_peak_that_is_not_finite_comes_back_as_nan() -> None:
    with disconnected() as method:
        found = replace(found_by(method), barrier=math.inf, trace=((2.0, 0.0, 0.5, math.inf),))
    back = from_line(Record(3, 1.5, ended(found)).to_line())
    assert back is not None and isinstance(back.event, RunFinished)
    assert back.event.diagnosis is not None
    assert math.isnan(back.event.diagnosis.barrier)
    assert math.isnan(back.event.diagnosis.trace[0][3])
    assert back.event.diagnosis.trace[0][:3] == (2.0, 0.0, 0.5)
    assert back.event.diagnosis.stuck_level is None


def test_a_line_without_a_diagnosis_is_still_read() -> None:
    tree = json.loads(Record(3, 1.5, ended(None)).to_line())
    del tree["diagnosis"]
    back = from_line(json.dumps(tree))
    assert back == Record(3, 1.5, ended(None))


# ---------------------------------------------------------------- units that are not aligned

#: A search that has room for no third bead.
BRIEF = {
    "problem.data.points": 32,
    "search.level": 0.02,
    "limits.beads": 2,
    "search.certify": "off",
}
OWN = """
from torch import nn


class Network(nn.Module):
    def __init__(self, deciding):
        super().__init__()
        self.deciding = deciding
        self.body = nn.Sequential(nn.Linear(1, 5), nn.ReLU(), nn.Linear(5, 1))

    def forward(self, x):
        return self.body(x if not self.deciding or x.sum() > 0 else x)
"""


def words_of(more: Mapping[str, object]) -> str:
    """What a search without a connection says."""
    with engine.search(load_preset("quadratic", {**BRIEF, **more})) as search:
        for _ in search:
            pass
    assert search.finished is not None and search.finished.outcome is not Outcome.CONNECTED
    assert search.finished.diagnosis is not None
    return search.finished.diagnosis.words


def test_ends_that_are_not_aligned_are_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    own: dict[str, object] = {"kind": "custom", "factory": f"{tmp_path / 'own.py'}:Network"}
    networks: list[tuple[dict[str, object], str]] = [
        ({}, "8"),
        ({"problem.network": own | {"args": {"deciding": False}}}, "5"),
    ]
    for network, units in networks:
        said = words_of(network)
        assert re.search(rf"hidden units are not aligned: [1-8] of {units} would change", said)
        assert "`--set endpoints.align=weights` (or activations)" in said
        assert "not aligned" not in words_of({**network, "endpoints.align": "weights"})
    cannot_be_traced = {"problem.network": own | {"args": {"deciding": True}}}
    assert "not aligned" not in words_of(cannot_be_traced)


def test_files_that_were_aligned_before_are_not_told_to_be_aligned(tmp_path: Path) -> None:
    problem = build_problem(load_preset("quadratic", BRIEF).problem)
    for seed in (1, 2):
        named = problem.named(problem.initial(seed)[None])
        torch.save({name: each[0] for name, each in named.items()}, tmp_path / f"{seed}.pt")
    a, b, c = (str(tmp_path / name) for name in ("1.pt", "2.pt", "3.pt"))
    engine.align(a, b, load_preset("quadratic", BRIEF)).write(c)
    first, second, third = (read_model(path, None, problem).theta for path in (a, b, c))
    before, after = (unaligned(problem, first, other) for other in (second, third))
    assert before is not None and after is not None
    assert before[0] > 0 == after[0]


def test_so_many_units_that_matching_takes_minutes_are_not_looked_at() -> None:
    wide = [1, MATCHED + 1, 1]
    problem = build_problem(load_preset("quadratic", {"problem.network.sizes": wide}).problem)
    assert unaligned(problem, problem.initial(1), problem.initial(2)) is None
    said = words_of({"problem.network.sizes": wide, "limits.steps": None})
    assert "aligned was not looked at" in said
    assert "`--set endpoints.align=weights` (or activations)" in said


# ---------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def unconnected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unconnected") / "run"
    sets = [part for line in QUICK_DISCONNECTED for part in ("--set", line)]
    arguments = ["run", "permutation-disconnect", *sets, "--headless", "--seed", "1"]
    assert main([*arguments, "--out", str(out)]) == 3
    return out


def finish(path: Path) -> RunFinished:
    from engine.record.rundir import RunDir

    last = read_records(RunDir(path))[-1].event
    assert isinstance(last, RunFinished)
    return last


def test_diagnose_prints_the_facts(unconnected: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = finish(unconnected).diagnosis
    assert found is not None
    assert main(["diagnose", str(unconnected)]) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert " ".join(finish(unconnected).sentence.split()) in said
    assert f"lowest peak {found.barrier:.6g} =" in said
    assert f"between beads {found.left} and {found.right} at t = {found.t:.3f}" in said
    assert found.stuck_level is not None
    assert f"stuck level {found.stuck_level:.6g}" in said
    for fact in (*found.retries, *found.reasons):
        assert " ".join(fact.split()) in said
    for beads, depth, _, loss in (found.trace[0],):
        assert f"{beads:.0f} beads depth {depth:.0f} at" in said
        assert f"{loss:.5g}" in said
    assert "unit 0 of hidden layer 1 is unit 1 of endpoint 1" in said
    assert said.count("does not prove") == 1


def test_diagnose_as_json_is_the_event(
    unconnected: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diagnose", str(unconnected), "--json"]) == 3
    (line,) = capsys.readouterr().out.splitlines()
    tree = json.loads(line)
    assert tree["outcome"] == "not_connected"
    assert tree["diagnosis"]["relabelled"] == [[1, 0, 1], [1, 1, 0]]
    assert tree == json.loads(json.dumps(asdict(finish(unconnected))))


def test_diagnose_of_a_connected_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert main(["run", "permutation-control", "--headless", "--out", str(out)]) == 0
    assert finish(out).diagnosis is None
    capsys.readouterr()
    assert main(["diagnose", str(out)]) == 0
    assert " ".join(capsys.readouterr().out.split()) == finish(out).sentence
    assert main(["diagnose", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["diagnosis"] is None


def test_diagnose_of_a_run_without_a_string(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    optimizer = "endpoints.optimizer={kind: sgd, lr: 1e9}"
    sets = ["--set", optimizer, "--set", "search.method=greedy", "--out", str(out), "--headless"]
    assert main(["run", "quadratic", *sets]) == 3
    assert finish(out).outcome is Outcome.ENDPOINT_NOT_TRAINED
    assert finish(out).diagnosis is None
    capsys.readouterr()
    assert main(["diagnose", str(out)]) == 3
    assert "No whole string was measured" in " ".join(capsys.readouterr().out.split())


def test_diagnose_of_a_run_that_has_not_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_directory = create(load_preset("quadratic"), "quadratic", tmp_path / "run")
    refused(capsys, ["diagnose", str(run_directory.path)], "has not ended", "dss-tui resume")
    refused(capsys, ["diagnose", "nothing"], "nothing")
