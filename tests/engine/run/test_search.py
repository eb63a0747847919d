"""Searches without a folder: what they yield, how they end, and that nothing of them is left."""

from __future__ import annotations

import gc
import threading
from itertools import islice
from typing import Any

import pytest

import engine
from engine.record.events import CheckpointSaved, EndpointTrained, Outcome, RunFinished, RunStarted
from engine.run.prepare import prepare
from engine.run.search import Search, search
from engine.spec.keys import Spec


def spec_for(**more: Any) -> Spec:
    """A search of a second with several beads."""
    overrides = {"problem.data.points": 64, "search.level": 5e-3, "workers": 2, **more}
    return engine.load_preset("quadratic", overrides, seed=3)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Any:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_it_tells_what_happens_and_ends() -> None:
    found = search(spec_for())
    assert found.finished is None and found.outcome is None
    events = list(found)
    assert isinstance(events[0], RunStarted) and isinstance(events[-1], RunFinished)
    assert (events[0].seed, events[0].level) == (3, 5e-3)
    assert events[-1] is found.finished
    assert found.outcome is Outcome.CONNECTED
    assert list(found) == []
    string = found.string()
    assert len(string.string.beads) == events[-1].totals.beads
    assert string.header.outcome == "connected"
    assert string.header.elapsed_s == events[-1].totals.elapsed_s


def test_its_spec_repeats_it() -> None:
    """With all decided that the preset leaves open."""
    first = search(spec_for())
    assert first.spec.device == "cpu" and first.spec.search.batching == "fused"
    again = search(first.spec)
    assert again.spec == first.spec
    facts = [
        [event for event in each if not isinstance(event, RunFinished)] for each in (first, again)
    ]
    assert facts[0] == facts[1]
    bits = [each.string().string.beads.tobytes() for each in (first, again)]
    assert bits[0] == bits[1]


@pytest.mark.parametrize("method", ["greedy", "auto"])
@pytest.mark.parametrize(
    ("key", "value"), [("limits.steps", 300), ("limits.seconds", 1e-3), ("limits.beads", 2)]
)
def test_limits_hold_and_say_what_can_be_done_here(method: str, key: str, value: float) -> None:
    """There is no checkpoint, and no run directory to resume."""
    found = search(spec_for(**{key: value, "search.method": method}))
    events = list(found)
    assert found.finished is not None and found.outcome is Outcome.LIMIT_REACHED
    assert f"The limit {key} = {value:g} was reached" in found.finished.sentence
    assert found.finished.sentence.endswith("raise it and search again.")
    assert not any(isinstance(event, CheckpointSaved) for event in events)
    assert found.string().header.outcome == found.outcome


def test_a_string_can_be_taken_on_the_way() -> None:
    with search(spec_for()) as found:
        with pytest.raises(RuntimeError, match="no string before the first event"):
            found.string()
        beads = []
        for event in found:
            string = found.string()
            beads.append(len(string.string.beads))
            running = not isinstance(event, RunFinished)
            assert string.header.outcome == ("running" if running else "connected")
            assert string.header.elapsed_s >= 0
    assert beads == sorted(beads) and beads[-1] > beads[0] == 2
    alone = search(spec_for())
    alone.run()
    assert alone.string().string.beads.tobytes() == string.string.beads.tobytes()


def test_closing_stops_it_and_ends_its_threads() -> None:
    before = threading.active_count()
    with search(spec_for(**{"search.level": 1e-4})) as found:
        trained = next(event for event in found if isinstance(event, EndpointTrained))
        assert trained.bead in (1, 2)
        assert threading.active_count() > before
    assert threading.active_count() == before
    assert list(found) == []
    assert found.finished is None
    for ask in (found.string, found.run):
        with pytest.raises(RuntimeError, match="close"):
            ask()
    found.close()


def test_one_that_is_forgotten_ends_its_threads() -> None:
    found = search(spec_for(**{"search.level": 1e-4}))
    next(found)
    list(islice(found, 2))
    del found
    gc.collect()


def test_one_that_never_begins_leaves_nothing() -> None:
    search(spec_for()).close()
    with search(spec_for()) as found:
        assert found.spec.seed == 3


def test_a_failure_is_an_exception_and_ends_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def build_method(self, *arguments: Any) -> Any:
            raise ZeroDivisionError("no method")

    monkeypatch.setattr("engine.run.job.build_method", Broken().build_method)
    found = search(spec_for())
    with pytest.raises(ZeroDivisionError, match="no method"):
        found.run()
    with pytest.raises(RuntimeError, match="begin another one"):
        found.run()


def test_running_time_is_that_of_its_clock() -> None:
    now = iter(range(10**6))
    found = Search(prepare(spec_for()), clock=lambda: float(next(now)))
    elapsed_s = found.run().totals.elapsed_s
    assert elapsed_s > 10 and elapsed_s == int(elapsed_s)


def test_samples_of_statistics_are_drawn_as_in_a_new_run() -> None:
    """A preset that leaves out their seed gets one; one that gives none keeps the first samples."""
    drawn, first = (search(spec_for(**more)) for more in ({}, {"problem.batch_norm.seed": None}))
    assert drawn.spec.problem.batch_norm.seed == 0
    assert first.spec.problem.batch_norm.seed is None


def test_what_cannot_run_is_refused_at_once() -> None:
    with pytest.raises(engine.InputError, match=r"^problem\.loss: is cross_entropy, but y holds"):
        search(spec_for(**{"problem.loss": "cross_entropy"}))
    with pytest.raises(engine.InputError, match=r"^search\.method: is linear, but the network is"):
        search(spec_for(**{"search.method": "linear"}))
