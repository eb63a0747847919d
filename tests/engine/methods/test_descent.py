"""Levels that come about in the search, held against barriers that are known in closed form."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.errors import InputError
from engine.methods.method import StagedMethod
from engine.problem.problem import Problem, build_problem
from engine.record.bracket import Bracket
from engine.record.events import Event, LevelSet, Outcome
from engine.record.unfit import Unfit
from engine.spec.checks import check_method
from engine.spec.keys import Spec
from engine.spec.yaml_file import parse
from tests.support.landscapes import double_well, landscape, ring
from tests.support.searches import highest_loss, method_for, run

SGD: dict[str, Any] = {"optimizer": {"kind": "sgd", "lr": 0.02}, "max_steps": 600, "patience": 60}
#: Of seed 1, ends that lie in the two valleys of a double well.
ACROSS = 1


def raised(w: Tensor) -> Tensor:
    """A valley around a hill, with a floor of 0.05."""
    return ring(w) + 0.05


def pass_of_one(w: Tensor) -> Tensor:
    """Two valleys at 0.1, and a pass between them: no path is lower than 1.1."""
    return double_well(w) + 0.1


def around(w: Tensor) -> Tensor:
    """Valleys at (±1, 0) on a ring with a bump of 0.3 and another of 0.6 on its two arcs."""
    bump = 0.3 * torch.exp(-((w[1] - 1).square() + w[0].square()) / 0.05)
    other = 0.6 * torch.exp(-((w[1] + 1).square() + w[0].square()) / 0.05)
    return (w.square().sum() - 1).square() + bump + other + 0.02


def spec_of(level: Any, method: str = "greedy", seed: int = ACROSS, **keys: Any) -> Spec:
    return parse(
        {
            "problem": {
                "data": {"kind": "polynomial", "coefficients": [0.1]},
                "network": {"kind": "mlp", "sizes": [1, 1]},
                "loss": "mse",
            },
            "endpoints": SGD | {"until": "epochs", "epochs": 60},
            "search": {
                "level": level,
                "method": method,
                "greedy": SGD,
                "constrained": SGD | {"take_out": 0},
                "auto": {"detours": 0},
            }
            | keys.pop("search", {}),
            "seed": seed,
        }
        | keys
    )


def searched(
    surface: Any, spec: Spec, points: int = 5001
) -> tuple[StagedMethod, Bracket, list[Event], float]:
    """The search, what it says of its level, its events, and the true peak of its string."""
    with method_for(landscape(surface), spec) as method:
        events = run(method)
        assert method.descent is not None and method.verdict is not None
        return method, method.descent.now, events, highest_loss(method, points)


@pytest.mark.parametrize("method", ["greedy", "constrained", "auto"])
def test_a_pass_of_known_height_is_found_to_the_resolution(method: str) -> None:
    resolution = 0.03
    spec = spec_of("lowest", method, search={"resolution": resolution})
    found, bracket, _, peak = searched(pass_of_one, spec)
    assert found.verdict is not None and found.verdict.outcome is Outcome.CONNECTED
    assert 1.1 * (1 - 1e-6) <= peak <= found.chain.level <= 1.1 * (1 + resolution)
    assert bracket.failed <= 1.1 and bracket.settled and bracket.tries >= 1
    assert f"lowest level found between these ends is {found.chain.level:.6g}, in " in (
        found.verdict.sentence
    )
    assert "an upper bound of the lowest peak of all paths" in found.verdict.sentence
    assert "lower than the worse end" not in found.verdict.sentence


@pytest.mark.parametrize("method", ["greedy", "constrained", "auto"])
def test_no_peak_above_the_ends(method: str) -> None:
    found, bracket, _, peak = searched(raised, spec_of("lowest", method, seed=2))
    assert peak <= found.chain.level <= bracket.ends * 1.02
    assert found.verdict is not None
    assert "lower than the worse end, which has 0.05" in found.verdict.sentence
    assert math.isnan(bracket.failed)
    assert bracket.line > 10 * bracket.ends  # the straight line rises far above it


def test_the_lower_of_two_ways_around() -> None:
    """The straight line has a height of 1, the arcs 0.6 and 0.3: the search is to find one."""
    found, _, _, peak = searched(around, spec_of("lowest", "auto", seed=1))
    assert 0.02 < peak <= found.chain.level < 0.65


@pytest.mark.parametrize("method", ["greedy", "constrained"])
def test_no_bead_is_left_over_from_the_tries(method: str) -> None:
    """Without any one of the inner beads the string rises above its highest peak."""
    with method_for(landscape(raised), spec_of("lowest", method, seed=2)) as found:
        run(found)
        chain = found.chain
        around = [chain.neighbours(bead) for bead in chain.order[1:-1]]
        pairs = [(chain.weights[left], chain.weights[right]) for left, right in around]
        assert pairs
        assert all(along.peak > chain.level / 1.0101 for along in chain.profiles_of(pairs, 0.0))


def test_each_try_begins_with_the_best_string_and_a_failure_costs_nothing() -> None:
    _, bracket, events, _ = searched(pass_of_one, spec_of("lowest"))
    told = [event for event in events if isinstance(event, LevelSet)]
    assert [event.bracket.settled for event in told] == [False] * bracket.tries + [True]
    best = [event.bracket.found for event in told]
    assert best == sorted(best, reverse=True) or max(best) <= min(best) * 1.001
    for event in told[:-1]:
        assert event.level < event.bracket.found
        assert not event.level < event.bracket.failed
    assert told[-1].level == pytest.approx(told[-1].bracket.found * 1.01, rel=1e-3)


def test_a_multiple_of_the_worse_end() -> None:
    found, bracket, events, peak = searched(raised, spec_of({"times_ends": 1.5}, seed=2))
    told = [event for event in events if isinstance(event, LevelSet)]
    assert len(told) == 1 and told[0].level == pytest.approx(1.5 * bracket.ends, rel=1e-12)
    assert peak <= found.chain.level == told[0].level
    assert found.verdict is not None and found.verdict.outcome is Outcome.CONNECTED
    assert "is 1.5 × the worse end, which has 0.05" in found.verdict.sentence
    goal = found.chain.goal
    assert goal.target == pytest.approx(0.8 * goal.level)
    assert goal.enough == pytest.approx(bracket.ends + 0.8 * (goal.level - bracket.ends))


def test_a_multiple_of_one_is_a_level() -> None:
    with method_for(landscape(raised), spec_of({"times_ends": 1}, seed=2)) as method:
        while not method.chain.goal.known:
            method.step(None)
        assert method.descent is not None
        assert method.chain.goal.enough == method.chain.level == method.descent.now.ends


@pytest.mark.parametrize(
    ("surface", "level", "words"),
    [
        (lambda w: 0 * w.sum(), {"times_ends": 1.5}, "of the worse one is 0, of which a multiple"),
        (lambda w: w.sum() / 0 * 0 + 1, "lowest", "was not trained by its recipe"),
    ],
)
def test_ends_from_which_no_level_follows(surface: Any, level: Any, words: str) -> None:
    with method_for(landscape(surface), spec_of(level)) as method:
        run(method)
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.ENDPOINT_NOT_TRAINED
        assert words in method.verdict.sentence


def test_an_error_rate_falls_by_whole_samples() -> None:
    """A network that is wrong on some of 16 samples: levels between two counts are one level."""
    tree = {
        "problem": {
            "data": {"kind": "digits"},
            "network": {"kind": "mlp", "sizes": [64, 8, 10]},
            "loss": "cross_entropy",
        },
        "endpoints": {
            "optimizer": {"kind": "adam", "lr": 0.01},
            "until": "epochs",
            "epochs": 4,
            "batch_size": 100,
        },
        "search": {
            "level": "lowest",
            "level_on": {"metric": "error_rate", "split": "held_out"},
            "greedy": {
                "optimizer": {"kind": "adam", "lr": 0.01},
                "batch_size": 100,
                "max_steps": 100,
                "max_depth": 3,
                "grid": 9,
            },
        },
    }
    spec = parse(tree)
    problem: Problem = build_problem(spec.problem, objective=spec.search.level_on)
    with method_for(problem, spec) as method:
        run(method)
        assert method.descent is not None
        bracket, held_out = method.descent.now, problem.objective_samples
        assert bracket.found * held_out == pytest.approx(round(bracket.found * held_out), abs=1e-3)
        low = max(bracket.ends, 0 if math.isnan(bracket.failed) else bracket.failed)
        assert bracket.found <= low * 1.01 or bracket.found - low < 1 / held_out
        assert bracket.tries <= 12


@pytest.mark.parametrize(
    ("spec", "key", "words"),
    [
        (spec_of("lowest", endpoints=SGD), "search.level", "until they reach a share of the level"),
        (spec_of({"times_ends": 2}, endpoints=SGD), "search.level", "is a multiple of the ends"),
        (spec_of("lowest", search={"tolerance": 0.1}), "search.tolerance", "is 0.1, but"),
        (spec_of("lowest", search={"min_inner_beads": 2}), "search.min_inner_beads", "is 2, but"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(spec: Spec, key: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        check_method(spec)
    assert str(caught.value).startswith(f"{key}: ")


@pytest.mark.parametrize("level", ["low", {"times_ends": 0.9}, {"times": 2}, 0.0, -1.0, None])
def test_other_levels_are_refused(level: Any) -> None:
    with pytest.raises(InputError, match=r"search\.level"):
        spec_of(level)


def test_a_state_of_another_search_is_refused() -> None:
    with method_for(landscape(raised), spec_of("lowest", seed=2)) as method:
        while method.descent is not None and method.descent.phase == "ends":
            method.step(None)
        state = method.state
    assert state.descent is not None
    for other in ({"times_ends": 2}, 0.3):
        with method_for(landscape(raised), spec_of(other, seed=2)) as method, pytest.raises(Unfit):
            method.resume(state)
    for wrong in (
        replace(state.descent, level=math.inf),
        replace(state.descent, bracket=replace(state.descent.bracket, ends=math.nan)),
        None,
    ):
        with (
            method_for(landscape(raised), spec_of("lowest", seed=2)) as method,
            pytest.raises(Unfit),
        ):
            method.resume(replace(state, descent=wrong))
