"""Beads that are trained even where the straight line is below the level."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from engine.errors import InputError
from engine.methods.even_beads import EvenBeads
from engine.record.events import FIRST, LAST, BeadFailed, BeadInserted, BeadTrained, Event, Outcome
from engine.record.unfit import Unfit
from engine.spec.checks import check_method
from engine.spec.keys import Spec
from engine.spec.yaml_file import parse
from tests.support.landscapes import double_well, landscape, spec_for
from tests.support.searches import method_for, place_endpoints, run

#: Above the pass of `double_well`, so that the straight line between its wells is below the level.
LEVEL = 1.1
ENDS = [-1.0, 0.1], [1.1, -0.2]


def settings(beads: int, level: float = LEVEL, **others: Any) -> Spec:
    tree = spec_for(level, seed=4).model_dump(mode="json")
    tree["search"] |= {"min_inner_beads": beads} | others
    return parse(tree)


def of(kind: type[Any], events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_without_them_a_line_below_the_level_gets_no_bead() -> None:
    with method_for(landscape(double_well), settings(0)) as method:
        place_endpoints(method, *ENDS)
        run(method)
        assert method.chain.order == [FIRST, LAST]


@pytest.mark.parametrize("method_name", ["greedy", "auto"])
@pytest.mark.parametrize("count", [1, 4])
def test_so_many_start_evenly_spaced_and_are_trained(count: int, method_name: str) -> None:
    with method_for(landscape(double_well), settings(count, method=method_name)) as method:
        place_endpoints(method, *ENDS)
        events = run(method)
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.CONNECTED
        inserted, trained = of(BeadInserted, events), of(BeadTrained, events)
        places = [number / (count + 1) for number in range(1, count + 1)]
        assert [event.t for event in inserted] == pytest.approx(places)
        assert [(event.left, event.right) for event in inserted] == [(FIRST, LAST)] * count
        first, last = (torch.tensor(end) for end in ENDS)
        for event in inserted:  # the line's profile between two points of its grid
            exact = double_well(torch.lerp(first, last, event.t)).item()
            assert event.loss == pytest.approx(exact, abs=5e-3)
        assert sorted(event.bead for event in trained) == [event.bead for event in inserted]
        assert max(event.loss for event in trained) <= 0.8 * LEVEL
        assert method.chain.order == [FIRST, *(event.bead for event in inserted), LAST]
        beads = torch.from_numpy(method.string().beads)
        assert max(map(double_well, beads)) <= 0.8 * LEVEL * (1 + 1e-6)
        assert method.progress().beads_per_depth == (2, count)


def test_a_bead_at_the_pass_has_moved_off_it() -> None:
    """The middle of the line is nearly as high as the pass; its bead takes steps to the target."""
    with method_for(landscape(double_well), settings(1)) as method:
        place_endpoints(method, *ENDS)
        (trained,) = of(BeadTrained, run(method))
        assert trained.steps > 0
        assert method.bead_steps == trained.steps


def test_greedy_dss_goes_on_between_them() -> None:
    """The wells are not connected below their pass, with or without these beads."""
    with method_for(landscape(double_well), settings(2, level=0.5)) as method:
        place_endpoints(method, *ENDS)
        events = run(method)
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.NOT_CONNECTED
        assert len(of(BeadInserted, events)) > 2
        assert len(method.chain.order) >= 4  # the string that is left has them too


def test_no_more_than_the_slots_are_in_training() -> None:
    greedy = spec_for(LEVEL, slots=2, check_every=3).search.greedy.model_dump(mode="json")
    spec = settings(5, greedy=greedy, alpha=0.1)
    with method_for(landscape(double_well), spec) as method:
        place_endpoints(method, *ENDS)
        most = 0
        while method.verdict is None:
            method.step(None)
            most = max(most, len(method.progress().training))
        assert most == 2
        assert len(method.chain.order) == 7


def plateau(w: Tensor) -> Tensor:
    """0 at the ends of [-10, 10], and flat below the level but above the target in between."""
    return torch.where(w[0].abs() < 9, 0.9, 0.0) + 0 * w.sum()


def test_a_bead_that_misses_its_target_is_left_out() -> None:
    greedy = spec_for(1.0, max_steps=200).search.greedy.model_dump(mode="json")
    with method_for(landscape(plateau), settings(2, level=1.0, greedy=greedy)) as method:
        place_endpoints(method, [-10.0, 0.0], [10.0, 0.0])
        events = run(method)
        for bead in (3, 4):
            missed = [event for event in of(BeadFailed, events) if event.bead == bead]
            assert [event.remedy for event in missed] == ["perturbed start"] * 3 + ["taken out"]
            assert [event.attempt for event in missed] == [1, 2, 3, 4]
        assert method.chain.order == [FIRST, LAST]
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.CONNECTED


@pytest.mark.parametrize("stop_after", [1, 2, 3, 5])
def test_a_restored_search_goes_on_to_the_same_bits(stop_after: int) -> None:
    greedy = spec_for(LEVEL, slots=2, check_every=3).search.greedy.model_dump(mode="json")
    problem, spec = landscape(double_well), settings(5, greedy=greedy)
    with method_for(problem, spec) as method:
        place_endpoints(method, *ENDS)
        for _ in range(stop_after):
            method.step(None)
        stage = method.stages[1]
        assert isinstance(stage, EvenBeads)
        assert not stage.done
        state = method.state
        rest = run(method)
        expected = method.string()
    with method_for(problem, spec) as again:
        again.resume(state)
        assert run(again) == rest
        found = again.string()
    assert found.beads.tobytes() == expected.beads.tobytes()
    assert found.profiles.tobytes() == expected.profiles.tobytes()


@pytest.mark.parametrize("count", [0, 3])
def test_shortening_leaves_so_many(count: int) -> None:
    """It would take out every bead of a string whose ends connect directly."""
    with method_for(landscape(double_well), settings(count, shorten=True)) as method:
        place_endpoints(method, *ENDS)
        run(method)
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.CONNECTED
        assert len(method.chain.order) == count + 2
        assert method.progress().normalized_length == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ({"method": "constrained"}, "search.min_inner_beads: is 3, but search.method is constr"),
        ({"method": "linear"}, "search.min_inner_beads: is 3, but search.method is linear"),
    ],
)
def test_other_methods_refuse_them(override: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_method(settings(3, **override))


@pytest.mark.parametrize(("most", "fits"), [(4, False), (5, True), (None, True)])
def test_they_must_fit_below_the_limit_of_beads(most: int | None, fits: bool) -> None:
    spec = settings(3)
    spec = spec.model_copy(update={"limits": spec.limits.model_copy(update={"beads": most})})
    if fits:
        check_method(spec)
    else:
        with pytest.raises(InputError, match=r"limits.beads allows 4 .* choose at most 2, or"):
            check_method(spec)


def test_beads_in_training_must_have_been_tried() -> None:
    """As a checkpoint may hold them that somebody has changed."""
    greedy = spec_for(LEVEL, slots=2, check_every=3).search.greedy.model_dump(mode="json")
    with method_for(landscape(double_well), settings(5, greedy=greedy, alpha=0.1)) as method:
        place_endpoints(method, *ENDS)
        while not method.progress().training:
            method.step(None)
        stage = method.stages[1]
        assert isinstance(stage, EvenBeads)
        stage.check_ready()
        bead = min(stage.beads_in_training)
        del stage.attempts[bead]
        with pytest.raises(Unfit, match=f"bead {bead} is in training, but does not exist"):
            stage.check_ready()
