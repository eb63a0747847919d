"""Ends that are trained for a number of epochs, whatever their loss, and then judged."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine.errors import InputError
from engine.methods.endpoints import random_endpoint, steps_by_recipe
from engine.problem.problem import build_problem
from engine.record.events import FIRST, LAST, BeadFailed, EndpointTrained, Outcome
from engine.spec.keys import Spec
from engine.spec.training import Endpoints
from engine.spec.yaml_file import parse
from tests.support.landscapes import landscape, ring
from tests.support.searches import method_for, run
from tests.support.workers import vmapped

LR = 0.03


def spec_of(level: float, method: str = "greedy", **endpoints: Any) -> Spec:
    sgd = {"optimizer": {"kind": "sgd", "lr": LR}, "check_every": 3}
    return parse(
        {
            "problem": {
                "data": {"kind": "polynomial", "coefficients": [0.5, -3.0, 3.0], "points": 16},
                "network": {"kind": "mlp", "sizes": [1, 4, 1], "activation": "tanh"},
                "loss": "mse",
            },
            "endpoints": sgd | {"until": "epochs", "epochs": 7} | endpoints,
            "search": {"level": level, "method": method, "greedy": sgd, "constrained": sgd},
            "seed": 5,
        }
    )


@pytest.mark.parametrize("method", ["greedy", "constrained", "auto"])
def test_the_ends_take_the_steps_of_gradient_descent_and_no_more(method: str) -> None:
    """(|w|² − 1)² by hand: seven steps of w − lr · 4 (|w|² − 1) w; later stages leave it."""
    problem = landscape(ring)
    with method_for(problem, spec_of(0.9, method)) as search:
        spec, chain = search.spec, search.chain
        wanted = {}
        for end in (FIRST, LAST):
            w = random_endpoint(spec, chain, end, 1)
            for _ in range(7):
                w = w - LR * 4 * (w.square().sum() - 1) * w
            wanted[end] = w
        events = run(search)
        for end in (FIRST, LAST):
            torch.testing.assert_close(chain.weights[end], wanted[end], rtol=1e-5, atol=1e-6)
    told = [event for event in events if isinstance(event, EndpointTrained)]
    trained = {event.bead: event for event in told[:2]}  # constrained DSS tells them once more
    assert [trained[end].steps for end in (FIRST, LAST)] == [7, 7]
    for end in (FIRST, LAST):
        assert trained[end].loss == pytest.approx(float(ring(wanted[end])), rel=1e-4)


def test_the_loss_told_is_that_of_all_samples_with_the_last_weights() -> None:
    spec = spec_of(5.0, batch_size=5, epochs=3)
    problem = build_problem(spec.problem)
    with method_for(problem, spec) as search:
        while not search.stages[0].done:
            events = search.step(None)
        trained = [event for event in events if isinstance(event, EndpointTrained)]
        assert [event.steps for event in trained] == [10, 10]  # 3 · 16 samples, 5 a step
        for event in trained:
            exact = vmapped(problem).losses(search.chain.weights[event.bead][None]).item()
            assert event.loss == pytest.approx(exact, rel=1e-6)


def test_an_end_above_the_level_is_told_honestly() -> None:
    with method_for(landscape(lambda w: 1 + w.square().sum()), spec_of(0.5)) as search:
        events = run(search)
        verdict = search.verdict
    assert verdict is not None and verdict.outcome is Outcome.ENDPOINT_NOT_TRAINED
    losses = [event.loss for event in events if isinstance(event, EndpointTrained)]
    assert len(losses) == 2
    assert verdict.sentence.startswith("Above the level 0.5: ")
    for end, loss in zip((1, 2), losses, strict=True):
        told = f"endpoint {end}, after 7 steps of its recipe, has training loss {loss:.4g}"
        assert told in verdict.sentence


def test_an_end_that_diverges_begins_anew_and_is_told() -> None:
    wild: dict[str, Any] = {"optimizer": {"kind": "sgd", "lr": 1e9}, "restarts": 1, "epochs": 60}
    with method_for(landscape(ring), spec_of(0.5, **wild)) as search:
        events = run(search)
        verdict = search.verdict
    assert sum(isinstance(event, BeadFailed) and event.bead == 1 for event in events) == 2
    assert verdict is not None
    assert "was not trained by its recipe in 2 attempts: in the last, its loss" in verdict.sentence


@pytest.mark.parametrize(
    ("keys", "steps"),
    [
        ({"epochs": 3}, 3),
        ({"epochs": 3, "batch_size": 5}, 10),
        ({"epochs": 3, "batch_size": 5, "drop_last": True}, 9),
        ({"epochs": 3, "batch_size": 64}, 3),
        ({"schedule": {"kind": "cosine", "unit": "epochs", "length": 4}, "batch_size": 8}, 8),
        ({"schedule": {"kind": "linear", "length": 11}, "batch_size": 8}, 11),
        ({"schedule": {"kind": "linear", "length": 11}, "batch_size": 8, "epochs": 2}, 4),
    ],
)
def test_epochs_are_counted_as_schedules_count_them(keys: dict[str, Any], steps: int) -> None:
    assert steps_by_recipe(spec_of(1.0, **({"epochs": None} | keys)).endpoints, 16) == steps


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"until": "level"}, "epochs are counted with until: epochs only"),
        ({"epochs": None}, "until: epochs needs their number; give epochs, or schedule.length"),
        ({"kind": "files", "a": "a", "b": "b"}, "kind: files takes its ends as they are"),
    ],
)
def test_what_contradicts_itself_is_refused(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        spec_of(1.0, **keys)


def test_without_the_keys_a_preset_means_what_it_meant() -> None:
    assert Endpoints().until == "level" and not Endpoints().held
    kept = spec_of(1.0, until="level", epochs=None)
    assert "until" not in kept.endpoints.model_dump(exclude_defaults=True)
