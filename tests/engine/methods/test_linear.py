"""The method that samples the closed-form path of deep linear networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import reduce
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dss_tui.cli import main
from engine.methods import build_method
from engine.methods.linear import NEAREST, LinearSampling
from engine.methods.method import StagedMethod
from engine.problem.problem import build_problem
from engine.record.events import FIRST, LAST, Event, Outcome, SegmentFailed
from engine.record.progress import SegmentState
from engine.spec.keys import Spec
from engine.workers.pool import Pool
from presets import load_preset
from tests.support.searches import highest_loss, run
from tests.support.workers import vmapped


def searched(spec: Spec) -> tuple[StagedMethod, list[Event], float]:
    """A search to its verdict, and the highest loss of its string on a grid of its own."""
    problem = build_problem(spec.problem)
    with Pool(vmapped(problem), [torch.device("cpu")]) as pool:
        method = build_method(spec, pool)
        events = run(method, most_beads=500)
        return method, events, highest_loss(method, points=2001)


@pytest.mark.parametrize("method", ["linear", "greedy", "constrained"])
def test_deep_linear_networks_connect_by_every_method(method: str) -> None:
    spec = load_preset("linear", [f"search.method={method}"])
    found, _, highest = searched(spec)
    assert found.verdict is not None
    assert found.verdict.outcome is Outcome.CONNECTED
    assert highest <= found.chain.level


@pytest.mark.parametrize("seed", range(3))
def test_sampled_beads_lie_on_the_straight_line_of_products(seed: int) -> None:
    spec = load_preset("linear", [f"seed={seed}", "problem.network.sizes=[6, 7, 5, 9, 3]"])
    found, events, highest = searched(spec)
    assert found.verdict is not None
    assert found.verdict.outcome is Outcome.CONNECTED
    assert highest <= found.chain.level
    assert "segment_failed" not in {event.name for event in events}
    problem = found.chain.problem

    def of(bead: Tensor) -> Tensor:
        matrices = problem.named(bead[None]).values()
        return reduce(lambda below, layer: layer @ below, [m[0].double() for m in matrices])

    beads = torch.from_numpy(found.string().beads)
    assert len(beads) > 2
    first, *inner, last = [of(bead) for bead in beads]
    chord = last - first
    shares = [float(((p - first) * chord).sum() / chord.norm() ** 2) for p in inner]
    assert shares == sorted(shares)
    for share, p in zip(shares, inner, strict=True):
        assert (p - torch.lerp(first, last, share)).abs().max() < 1e-5


def test_a_restored_sampling_goes_on_to_the_same_bits() -> None:
    spec = load_preset("linear")
    problem = build_problem(spec.problem)
    with Pool(vmapped(problem), [torch.device("cpu")]) as pool:
        method = build_method(spec, pool)
        while len(method.chain.order) < 5:
            method.step(500)
        state = method.state
        rest = run(method, 500)
        again = build_method(spec, pool)
        again.resume(state)
        assert run(again, 500) == rest
        assert again.string().beads.tobytes() == method.string().beads.tobytes()


def test_it_waits_for_beads_as_long_as_one_segment_is_open() -> None:
    with sampling() as (method, stage):
        while len(method.chain.order) == 2:
            method.step(None)
        stage.step(0)
        keys = method.chain.keys
        states: tuple[SegmentState, SegmentState] = ("closed", "open")
        for key, state in zip(keys, states, strict=True):
            method.chain.update(replace(method.chain.segments[key], state=state))
        assert stage.step(0) == []
        assert not stage.done
        method.chain.update(replace(method.chain.segments[keys[1]], state="closed"))
        assert stage.done


def test_a_piece_of_the_curve_that_is_too_short_is_given_up() -> None:
    """No bead is put between two that are as good as one on the curve."""
    with sampling() as (method, stage):
        while method.current == 0:
            method.step(None)
        stage.places = {FIRST: 0.5, LAST: 0.5 + NEAREST / 2}
        events = stage.step(None)
        (failed,) = [event for event in events if isinstance(event, SegmentFailed)]
        assert failed.reason == "it is too short to be halved"
        assert stage.done
        assert method.chain.order == [FIRST, LAST]


@contextmanager
def sampling() -> Iterator[tuple[StagedMethod, LinearSampling]]:
    """A search by the closed form, and its stage that samples it."""
    spec = load_preset("linear")
    problem = build_problem(spec.problem)
    with Pool(vmapped(problem), [torch.device("cpu")]) as pool:
        method = build_method(spec, pool)
        (stage,) = [stage for stage in method.stages if isinstance(stage, LinearSampling)]
        yield method, stage


@pytest.mark.parametrize(
    ("preset", "overrides", "key"),
    [
        ("linear", ["problem.network.sizes=[6, 2, 2, 3]"], "problem.network.sizes"),
        ("quadratic", ["search.method=linear"], "search.method"),
        ("quadratic", ["search.method=linear", "problem.network.bias=false"], "search.method"),
    ],
    ids=["too narrow", "not linear", "not linear, no bias"],
)
def test_networks_that_have_no_such_path_are_refused_before_anything_is_written(
    preset: str,
    overrides: list[str],
    key: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    sets = [part for line in (*overrides, "limits.steps=1") for part in ("--set", line)]
    assert main(["run", preset, *sets, "--headless", "--out", str(out)]) == 2
    assert key in capsys.readouterr().err
    assert not out.exists()


def test_a_lowest_level_is_the_highest_value_of_the_curve() -> None:
    """The loss is convex in the product of the layers, so the curve never rises above its ends."""
    ends = ["endpoints.until=epochs", "endpoints.epochs=40", "search.level=lowest"]
    spec = load_preset("linear", ["search.method=linear", *ends])
    found, _, highest = searched(spec)
    assert found.verdict is not None and found.verdict.outcome is Outcome.CONNECTED
    assert found.descent is not None
    bracket = found.descent.now
    assert bracket.tries <= 1 and bracket.settled
    assert bracket.ends * (1 - 1e-6) <= highest <= found.chain.level <= bracket.ends * 1.02
