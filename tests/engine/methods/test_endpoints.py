"""How endpoints are trained: when one begins anew, and the copy with two units swapped."""

from __future__ import annotations

import pytest
import torch

from engine.errors import InputError
from engine.methods.endpoints import Counted, Impatient, Restarts, luby
from engine.problem.problem import Problem, build_problem
from engine.record.events import FIRST, LAST, BeadFailed, BeadTrained, EndpointTrained, Outcome
from engine.spec.goal import goal_of
from engine.spec.keys import Spec
from engine.spec.training import Endpoints, Training
from engine.spec.yaml_file import parse
from tests.support.landscapes import landscape, ring, spec_for
from tests.support.searches import method_for, run
from tests.support.workers import vmapped

ENDPOINTS = Endpoints(patience=70, restarts=2, max_steps=100)


def test_the_sequence_of_luby() -> None:
    assert [luby(number) for number in range(1, 16)] == [
        *(1, 1, 2),
        *(1, 1, 2, 4),
        *(1, 1, 2, 1, 1, 2, 4, 8),
    ]
    assert luby(2**20 - 1) == 2**19


def test_counted_restarts() -> None:
    """The same patience for each, whatever the steps it took."""
    restarts = Counted(ENDPOINTS)
    assert [restarts.patience(attempt) for attempt in (1, 2, 3)] == [70, 70, 70]
    assert [restarts.spent(attempt, 10**6) for attempt in (1, 2, 3)] == [False, False, True]


def test_impatient_restarts() -> None:
    """Steps are counted out, not attempts: as many as all attempts of the settings may take."""
    restarts = Impatient(Training(patience=5, max_steps=100), restarts=2)
    patience = [restarts.patience(attempt) for attempt in range(1, 8)]
    assert patience == [5, 5, 10, 5, 5, 10, 20]
    assert not restarts.spent(1000, 299)
    assert restarts.spent(1, 300)


@pytest.mark.parametrize("restarts", [Counted(ENDPOINTS), Impatient(ENDPOINTS, 2)])
def test_both_say_when_an_endpoint_begins_anew(restarts: Restarts) -> None:
    assert isinstance(restarts, Restarts)
    assert restarts.patience(1) > 0 and not restarts.spent(1, 1)


def spec_of(problem: dict[str, object], **endpoints: object) -> Spec:
    return parse(
        {
            "problem": problem,
            "endpoints": {
                "kind": "permuted",
                "optimizer": {"kind": "adam", "lr": 0.02},
                "check_every": 5,
            }
            | endpoints,
            "search": {"level": 0.01},
            "seed": 2,
        }
    )


CURVE = {"kind": "polynomial", "coefficients": [0.5, -3.0, 3.0], "points": 16}
ONE_LAYER = {
    "data": CURVE,
    "network": {"kind": "mlp", "sizes": [1, 4, 1], "activation": "tanh"},
    "loss": "mse",
}
TWO_LAYERS = {
    "data": CURVE,
    "network": {"kind": "mlp", "sizes": [1, 4, 3, 1], "activation": "tanh"},
    "loss": "mse",
}
NO_BIAS = {
    "data": {"kind": "linear_map", "features": 3, "outputs": 2, "samples": 16, "noise": 0.0},
    "network": {"kind": "linear", "sizes": [3, 4, 2]},
    "loss": "mse",
}


def outputs(problem: Problem, theta: torch.Tensor) -> torch.Tensor:
    weights = {name: part[0] for name, part in problem.named(theta[None]).items()}
    output = torch.func.functional_call(problem.network, weights, (problem.train.x,))
    assert isinstance(output, torch.Tensor)
    return output


@pytest.mark.parametrize("network", [ONE_LAYER, TWO_LAYERS, NO_BIAS])
@pytest.mark.parametrize("swap", [[0, 1], [1, 3]])
def test_the_permuted_endpoint_is_the_same_function_elsewhere(
    network: dict[str, object], swap: list[int]
) -> None:
    """Before the first step, after each and at the end; and nothing is trained twice."""
    spec = spec_of(network, swap=swap)
    problem = build_problem(spec.problem)
    seen: set[bytes] = set()
    with method_for(problem, spec) as method:
        events, steps = [], 0
        while method.verdict is None and method.current == 0:
            first, last = (method.chain.weights[bead] for bead in (FIRST, LAST))
            assert outputs(problem, first) == pytest.approx(outputs(problem, last), abs=1e-6)
            assert float((first - last).norm()) > 0.01
            losses = vmapped(problem).losses(torch.stack([first, last]))
            assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-5)
            seen.add(first.numpy().tobytes())
            events += method.step(None)
            steps += 1
        assert len(seen) >= steps - 1 > 1  # they move, together
        first, last = (method.chain.weights[bead] for bead in (FIRST, LAST))
        assert outputs(problem, first) == pytest.approx(outputs(problem, last), abs=1e-6)
        assert not torch.equal(first, last)
    trained = [event for event in events if isinstance(event, EndpointTrained)]
    assert [event.bead for event in trained] == [FIRST]


def test_a_new_attempt_of_a_permuted_endpoint_takes_its_copy_along() -> None:
    """An endpoint that is given up leaves nothing of its old copy on the string."""
    spec = spec_of(ONE_LAYER, patience=1, check_every=2, restarts=3)
    problem = build_problem(spec.problem)
    with method_for(problem, spec) as method:
        events = []
        while method.verdict is None and method.current == 0:
            events += method.step(None)
            first, last = (method.chain.weights[bead] for bead in (FIRST, LAST))
            assert outputs(problem, first) == pytest.approx(outputs(problem, last), abs=1e-6)
    missed = [event for event in events if isinstance(event, BeadFailed)]
    assert missed and {event.bead for event in missed} == {FIRST}


def test_an_impatient_endpoint_has_the_patience_of_the_sequence() -> None:
    """Attempts on a plateau end after just so many steps, until the steps are spent."""

    def plateau(w: torch.Tensor) -> torch.Tensor:
        return 1.0 + 0 * w.sum()

    spec = spec_for(level=0.1)
    endpoints = spec.endpoints.model_copy(update={"restarts": 0, "max_steps": 60})
    auto = spec.search.auto.model_copy(update={"patience": 5})
    search = spec.search.model_copy(update={"method": "auto", "auto": auto})
    spec = spec.model_copy(update={"endpoints": endpoints, "search": search})
    with method_for(landscape(plateau), spec) as method:
        events = run(method)
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.ENDPOINT_NOT_TRAINED
    steps = [e.steps for e in events if isinstance(e, BeadFailed) and e.bead == FIRST]
    assert steps == [5, 5, 10, 5, 5, 10, 20]  # which makes 60
    assert [e.remedy for e in events if isinstance(e, BeadFailed)][-1] == "none left"


def test_endpoints_of_a_seed_do_not_depend_on_each_other() -> None:
    """Each endpoint has random weights of its own, the same in every method."""
    spec = spec_for(level=0.01)
    with method_for(landscape(ring), spec) as method:
        greedy = [method.chain.weights[bead].clone() for bead in (FIRST, LAST)]
    search = spec.search.model_copy(update={"method": "constrained"})
    with method_for(landscape(ring), spec.model_copy(update={"search": search})) as method:
        constrained = [method.chain.weights[bead].clone() for bead in (FIRST, LAST)]
    assert not torch.equal(greedy[0], greedy[1])
    assert all(torch.equal(a, b) for a, b in zip(greedy, constrained, strict=True))


# ---------------------------------------------------------------- how far they are trained


def with_share(share: float | None, level: float = 0.5) -> Spec:
    """Ends in small steps, so that they stop just below what they are trained to."""
    tree = spec_for(level).model_dump(mode="json")
    tree["endpoints"] |= {"alpha": share, "optimizer": {"kind": "sgd", "lr": 1e-3}}
    tree["search"]["alpha"] = 0.7
    return parse(tree)


@pytest.mark.parametrize(
    ("share", "expected"), [(None, 0.7), (0.3, 0.3), (0.9, 0.9), (1.0, 1 - 1e-6)]
)
def test_ends_are_trained_to_their_own_share_of_the_level(
    share: float | None, expected: float
) -> None:
    with method_for(landscape(ring), with_share(share)) as method:
        ends: list[EndpointTrained] = []
        while len(ends) < 2:
            ends += [event for event in method.step(None) if isinstance(event, EndpointTrained)]
        for event in ends:
            assert event.loss <= expected * 0.5
            assert event.steps == 0 or event.loss >= 0.97 * expected * 0.5
        assert any(event.steps for event in ends)


def test_inner_beads_keep_to_the_searchs_share() -> None:
    spec = with_share(1.0, level=0.005).model_copy(update={"seed": 4})
    with method_for(landscape(ring), spec) as method:
        events = run(method)
        assert method.verdict is not None and method.verdict.outcome is Outcome.CONNECTED
        trained = [event.loss for event in events if isinstance(event, BeadTrained)]
        assert trained and max(trained) <= 0.7 * 0.005


def test_what_was_missed_is_the_ends_own_share() -> None:
    tree = with_share(0.25).model_dump(mode="json")
    tree["endpoints"] |= {"max_steps": 1, "restarts": 0}
    with method_for(landscape(lambda w: 1 + w.square().sum()), parse(tree)) as method:
        run(method)
        assert method.verdict is not None
        assert "was not trained to 0.25 × level = 0.125 in 1 attempt:" in method.verdict.sentence


@pytest.mark.parametrize(("metric", "target"), [("error_rate", 0.02), ("loss", 0.01999998)])
def test_a_count_needs_no_room_for_rounding(metric: str, target: float) -> None:
    tree = with_share(1.0, level=0.02).model_dump(mode="json")
    tree["search"]["level_on"]["metric"] = metric
    assert goal_of(parse(tree)).end_target == pytest.approx(target, rel=1e-9)


@pytest.mark.parametrize("share", [0.0, 1.01, -0.5])
def test_impossible_shares_are_refused(share: float) -> None:
    with pytest.raises(InputError, match=r"endpoints.alpha: is "):
        with_share(share)
