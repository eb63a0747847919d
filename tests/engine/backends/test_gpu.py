"""On GPUs, real ones or acted: the CPU's numbers, whole searches on one, two and eight, resumes."""

from __future__ import annotations

import json
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

import pytest
import torch

from dss_tui.cli import main
from engine.methods.tied_string import tether_of
from engine.path.segments import measure, search_grid
from engine.problem.problem import Problem, build_problem
from engine.record.events import Outcome
from engine.record.string_file import StringFile, read
from engine.run.choosing import backend_of
from engine.run.prepare import prepare
from engine.run.search import Search
from engine.run.verify import verify
from engine.spec.keys import Spec
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from engine.spec.yaml_file import parse
from engine.steps.groups import Group
from engine.steps.recipe import Recipe
from engine.steps.tethers import Off
from engine.training.trainer import Trainer
from engine.workers.pool import Pool
from presets import load_preset
from tests.support.gpus import Gpus
from tests.support.launches import ADAM, CASES, SHORT, asked_of, preset
from tests.support.more import more
from tests.support.workers import vmapped


@pytest.fixture(autouse=True)
def all_gpus_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The few beads of a test are shared out as many are elsewhere."""
    monkeypatch.setattr("engine.workers.pool.WORTH_A_GPU", 1)


def small(preset: str, tmp_path: Path) -> tuple[ProblemSpec, Problem]:
    """The network of a preset on the first few of its samples, or of a text."""
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be, that is the question. " * 40)
    words = [
        f"problem.data.path={text}",
        "problem.network.hidden=5",
        "problem.network.vocabulary=15",
    ]
    spec = load_preset(preset, words if preset == "text-lstm" else []).problem
    problem = build_problem(spec)
    return spec, problem.cut("train", 24).cut("held_out", 24)


@pytest.mark.parametrize("gpus", [1], indirect=True)
@pytest.mark.parametrize("preset", ["quadratic", "digits-cnn", "text-lstm"])
@pytest.mark.parametrize("way", ["vmap", "loop"])
def test_losses_and_gradients_are_those_of_the_cpu(
    preset: str, way: Any, gpus: Gpus, tmp_path: Path
) -> None:
    spec, problem = small(preset, tmp_path)
    theta = torch.stack([problem.initial(seed) for seed in range(4)])
    numbers = torch.arange(24).reshape(4, 6)
    here, there = (backend_of(way, spec, each) for each in (problem, problem.to(gpus.devices[0])))
    found = there.loss_and_grad_on(theta.cuda(), numbers.cuda())
    for ours, theirs in zip(found, here.loss_and_grad_on(theta, numbers), strict=True):
        torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-4, atol=1e-5)
    losses = there.losses(theta.cuda()).cpu()
    torch.testing.assert_close(losses, here.losses(theta), rtol=1e-4, atol=1e-5)


def normalized() -> Problem:
    tree = {
        "data": {"kind": "digits"},
        "network": {"kind": "resnet", "input": [1, 8, 8], "widths": [2, 3], "outputs": 10},
        "loss": "cross_entropy",
        "batch_norm": {"samples": 16},
    }
    return build_problem(validated(ProblemSpec, tree)).cut("train", 24).cut("held_out", 24)


@pytest.mark.parametrize("gpus", [1], indirect=True)
def test_models_are_normalized_as_on_the_cpu(gpus: Gpus) -> None:
    problem = normalized()
    theta = torch.stack([problem.initial(seed) for seed in range(3)])
    found = vmapped(problem.to(gpus.devices[0])).losses(theta.cuda()).cpu()
    torch.testing.assert_close(found, vmapped(problem).losses(theta), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("gpus", [1, 2, 8], indirect=True)
def test_profiles_are_those_of_the_cpu(gpus: Gpus, tmp_path: Path) -> None:
    _, problem = small("digits", tmp_path)
    theta = torch.stack([problem.initial(seed) for seed in range(6)])
    grid, profiles = search_grid(9), []
    for devices, home in ((gpus.devices, gpus.devices[0]), ([torch.device("cpu")], None)):
        pairs = list(pairwise(theta if home is None else theta.to(home)))
        with Pool(vmapped(problem), devices) as pool:
            profiles.append(measure(pool, pairs, grid, 24))
    for one, other in zip(*profiles, strict=True):
        assert one.peak == pytest.approx(other.peak, rel=1e-4)
        assert one.losses == pytest.approx(other.losses, rel=1e-4)


# ---------------------------------------------------------------- whole searches


def searched(spec: Spec) -> tuple[Outcome | None, StringFile]:
    with Search(prepare(spec)) as search:
        search.run()
        return search.outcome, search.string()


#: Few steps of a band or a curve.
FEW = ADAM | {"max_steps": 60}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "greedy": ("greedy", {}),
    "shortened": ("greedy", {"shorten": True, "shortening": {"doublings": 0, "sweeps": 3}}),
    "constrained": ("constrained", {}),
    "auto": ("auto", {}),
    "linear": ("linear", {}),
    "graphs": ("greedy", {"batching": "graph", "greedy": ADAM | {"batch_size": 7, "grid": 9}}),
    "the fastest backend": ("greedy", {"batching": "auto", "greedy": ADAM | {"slots": 2}}),
    "mini-batches": ("greedy", {"greedy": ADAM | {"batch_size": 7, "grid": 9}}),
    "neb": ("neb", {"neb": FEW | {"beads": 3}}),
    "neb by graphs": ("neb", {"batching": "graph", "neb": FEW | {"beads": 3, "batch_size": 7}}),
    "bezier": ("bezier", {"bezier": FEW | {"control_points": 1}}),
    "polychain": ("polychain", {"polychain": FEW | {"control_points": 2}}),
    "simplex": ("simplex", {"simplex": FEW | {"control_points": 2}}),
    "simplex by graphs": (
        "simplex",
        {"batching": "graph", "simplex": FEW | {"control_points": 2, "batch_size": 7}},
    ),
}


@pytest.mark.parametrize(
    ("gpus", "way"),
    [
        (1, "graphs"),
        (1, "the fastest backend"),
        *((2, way) for way in ("constrained", "mini-batches")),
        *((2, way) for way in ("neb", "bezier", "simplex")),
        *(more(2, way) for way in ("linear", "graphs", "polychain")),
        *(more(2, way) for way in ("neb by graphs", "simplex by graphs")),
        *((8, way) for way in ("greedy", "linear", "graphs")),
        *(more(8, way) for way in ("shortened", "constrained", "auto", "neb", "bezier", "simplex")),
    ],
    indirect=["gpus"],
)
def test_a_search_finds_what_it_finds_on_the_cpu(way: str, gpus: Gpus) -> None:
    method, keys = WAYS[way]
    outcome, found = searched(parse(preset(method, gpus.words, **keys)))
    assert outcome is Outcome.CONNECTED
    check = verify(found, 101)
    assert check.below_level and check.agrees
    if gpus.machine is None:  # a real GPU sums otherwise, and the search may go another way
        return
    on_cpu = parse(preset(method, "cpu", **keys | {"batching": "vmap"}))
    expected_outcome, expected = searched(on_cpu)
    assert expected_outcome is outcome
    assert found.string.beads == pytest.approx(expected.string.beads, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("gpus", [1], indirect=True)
def test_two_runs_share_a_card(gpus: Gpus) -> None:
    """They take turns, and each finds what it finds alone."""
    specs = [parse(preset("greedy", gpus.words) | {"seed": seed}) for seed in (3, 4)]
    with Search(prepare(specs[0])) as one, Search(prepare(specs[1])) as other:
        for _ in zip_longest(one, other):
            pass
        together = [(each.outcome, each.string()) for each in (one, other)]
    gpus.check()
    for spec, (outcome, found) in zip(specs, together, strict=True):
        alone, expected = searched(spec)
        assert outcome is alone
        assert found.string.beads == pytest.approx(expected.string.beads, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(("gpus", "method"), [(2, "auto"), (1, "constrained")], indirect=["gpus"])
def test_beads_at_rest_in_main_memory_give_the_same_string(
    method: str, gpus: Gpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.path.chain.AT_HOME", 0)
    outcome, found = searched(parse(preset(method, gpus.words)))
    gpus.check()
    expected_outcome, expected = searched(parse(preset(method, "cpu")))
    assert outcome is expected_outcome
    if gpus.machine is not None:
        assert found.string.beads == pytest.approx(expected.string.beads, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(
    ("gpus", "method"),
    [(1, "greedy"), (2, "constrained"), more(8, "greedy"), more(8, "linear")],
    indirect=["gpus"],
)
def test_a_run_that_was_stopped_goes_on(method: str, gpus: Gpus, tmp_path: Path) -> None:
    tree, out = preset(method, gpus.words), str(tmp_path / "run")
    (tmp_path / "tiny.yaml").write_text(json.dumps(tree))
    words = ["run", str(tmp_path / "tiny.yaml"), "--headless", "--out", out]
    assert main([*words, "--set", "limits.steps=15"]) == 3
    assert main(["resume", out, "--headless", "--set", "limits.steps=null"]) == 0
    found = read(tmp_path / "run" / "string.safetensors")
    _, whole = searched(parse(tree))
    if gpus.machine is not None:
        assert found.string.beads == pytest.approx(whole.string.beads, rel=1e-3, abs=1e-4)
    check = verify(found, 101, device=gpus.words)
    assert check.below_level and check.agrees


@pytest.mark.parametrize(
    ("gpus", "method"),
    [more(2, "constrained"), (8, "greedy"), more(8, "linear")],
    indirect=["gpus"],
)
def test_a_sweep_ends(method: str, gpus: Gpus, tmp_path: Path) -> None:
    """Searches share calls; each string that is tied goes to one GPU as a whole."""
    (tmp_path / "tiny.yaml").write_text(json.dumps(preset(method, gpus.words)))
    words = ["sweep", str(tmp_path / "tiny.yaml"), "--headless", "--pairs", "2"]
    assert main([*words, "--levels", "0.1", "--out", str(tmp_path / "sweep")]) == 0
    strings = list((tmp_path / "sweep").rglob("string.safetensors"))
    assert len(strings) == 2
    assert all(verify(read(path), 51).below_level for path in strings)


# ---------------------------------------------------------------- budgets

#: The most launches and waits of a typical step of a search by recorded rounds, and copies between
#: GPUs, by the number of GPUs and the phase; docs/gpus.md has the counts.
STEPS: dict[str, dict[tuple[int, str], tuple[int, int, int]]] = {
    "greedy": {(1, "endpoints"): (100, 2, 0), (1, "search"): (95, 2, 0)},
    "constrained": {(8, "search"): (600, 10, 0)},
    "linear": {(8, "endpoints"): (100, 2, 0), (8, "search"): (560, 80, 16)},
}


@pytest.mark.parametrize(
    ("gpus", "method"),
    [more(1, "greedy"), (8, "constrained"), more(8, "linear")],
    indirect=["gpus"],
)
def test_a_step_of_a_search_keeps_to_its_budget(method: str, gpus: Gpus) -> None:
    if gpus.machine is None:
        pytest.skip("launches and waits are counted on acted GPUs")
    _, keys = CASES[f"{method}, graph"]
    tree = preset(method, gpus.words, **keys) | {"endpoints": SHORT}
    found = asked_of(gpus.machine, parse(tree))
    for (count, phase), (launches, waits, copies) in STEPS[method].items():
        asked = found[phase]
        assert count == len(gpus.devices)
        assert asked.launches <= launches and asked.waits <= waits, (phase, asked)
        assert asked.between <= copies, (phase, asked)


ROWS = 6

#: The launches and the waits of a round that are allowed, for rows and for a string of so many.
LAUNCHES = {"vmap": {"rows": 900, "string": 1210}, "graph": {"rows": 110, "string": 200}}
WAITS = 2


@pytest.mark.parametrize("gpus", [1], indirect=True)
@pytest.mark.parametrize("what", ["rows", "string"])
@pytest.mark.parametrize("way", ["vmap", "graph"])
def test_a_round_keeps_to_its_budget(way: Any, what: str, gpus: Gpus) -> None:
    if gpus.machine is None:
        pytest.skip("launches and waits are counted on acted GPUs")
    spec = parse(preset("constrained", "cuda:0"))
    problem = build_problem(spec.problem)
    settings = spec.search.constrained
    string = what == "string"
    recipe = Recipe(settings, tether_of(settings) if string else Off(), evaluate="after")
    with Pool(backend_of(way, spec.problem, problem), gpus.devices) as pool:
        trainer = Trainer(recipe, pool)
        theta = torch.stack([problem.initial(seed) for seed in range(ROWS)]).cuda()
        cut = [range(ROWS)] if string else [[row] for row in range(ROWS)]
        trainer.groups = [
            Group(
                tuple(row + 1 for row in rows),
                trainer.rows_for(theta[list(rows)], 1e-9, list(rows)),
            )
            for rows in cut
        ]
        for _ in range(2):  # graphs are recorded
            trainer.advance()
        gpus.machine.count_anew()
        trainer.advance()
    counts = gpus.machine.counts
    assert counts.sums["launches"] <= LAUNCHES[way][what]
    assert counts.sums["syncs"] <= WAITS
    assert counts.sums["copies from the host"] <= 2
    assert counts.replays == (way == "graph")
