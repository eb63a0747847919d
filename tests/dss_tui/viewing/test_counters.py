"""The level and its tolerance, in the words and colours of everything that shows them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

import presets
from dss_tui.commands.runs import ls
from dss_tui.commands.sweep import _show
from dss_tui.tui.palette import Palette
from dss_tui.tui.widgets.segment_table import _row
from dss_tui.viewing import counters, describe
from dss_tui.viewing.follow import Snapshot
from dss_tui.viewing.view_state import View, sentence
from dss_tui.viewing.words import peak_of
from engine.record.bracket import Bracket
from engine.record.events import Record
from engine.record.finding import create
from engine.record.progress import Epochs, SegmentProgress, TrainingProgress
from engine.record.writer import RunWriter
from tests.support.made_events import STARTED
from tests.support.run_folders import progress

IN_TRAINING = (TrainingProgress(1, 0.05, 30, 2),)


@pytest.mark.parametrize(
    ("tolerance", "told"),
    [(0.0, "peak 1.500 × level"), (0.6, "peak 1.500 × level (level 0.02, tolerance 0.6)")],
)
def test_the_peak_is_told_with_both_numbers(tolerance: float, told: str) -> None:
    assert told in counters.words(progress(tolerance=tolerance), None)


@pytest.mark.parametrize(
    ("order", "own", "target"),
    [
        ((), None, "endpoint 1    loss 0.05      → 0.014"),
        ((), 0.95, "→ 0.019"),
        ((1,), 0.95, "→ 0.014"),
    ],
)
def test_ends_in_training_are_told_with_their_own_target(
    order: tuple[int, ...], own: float | None, target: str
) -> None:
    now = progress(
        training=IN_TRAINING, order=order, losses=(0.1,) * len(order), endpoints_alpha=own
    )
    (line,) = counters.training(now)
    assert target in line.plain


def test_a_runs_list_tells_the_tolerance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert peak_of(None, 0.3) == "–"
    assert peak_of(1.03125, 0.0) == "1.032"
    monkeypatch.setenv("DSS_TUI_RUNS", str(tmp_path))
    run = create(presets.load_preset("quadratic"), "loose", tmp_path / "loose")
    with RunWriter(run) as writer:
        writer.record(replace(STARTED, tolerance=0.6), 0.5)
        writer.progress(progress(tolerance=0.6))
    assert ls() == 0
    assert "1.500 (tolerance 0.6)" in capsys.readouterr().out


@pytest.mark.parametrize(("tolerance", "words"), [(0.0, ""), (0.25, ", tolerance 0.25")])
def test_the_menu_and_the_log_tell_it(tolerance: float, words: str) -> None:
    spec = presets.load_preset("quadratic", [f"search.tolerance={tolerance}"])
    assert describe.level(spec) == f"0.001 on the training loss{words}"
    started = replace(STARTED, tolerance=tolerance)
    told = sentence(Record(1, 0.5, started))
    assert f"level 0.02 on the training loss{words}, alpha 0.7, seed 5" in told


@pytest.mark.parametrize(("tolerance", "title"), [(0.0, "level "), (0.5, "level (tolerance 0.5)")])
def test_a_sweeps_table_tells_it(
    tolerance: float, title: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _show([], tolerance)
    assert capsys.readouterr().out.strip().startswith(title)


@pytest.mark.parametrize(("tolerance", "bound"), [(0.0, 0.02), (0.6, 0.032)])
def test_what_is_above_is_what_exceeds_the_bound(tolerance: float, bound: float) -> None:
    now = progress(tolerance=tolerance)
    view = View(started=replace(STARTED, tolerance=tolerance))
    for seen in (Snapshot(View(), now, live=True), Snapshot(view, None, live=True)):
        assert seen.bound == pytest.approx(bound)
    palette = Palette.dark()
    segment = SegmentProgress(1, 2, 0, "closed", 1.5, 0.03, 0.4, (0.01, 0.03), (), None)
    _, _, ratio, *_ = _row(segment, now.level, now.bound, (0.0, 0.1), palette)
    assert ratio.plain == "1.500"
    assert ratio.style == (palette.below if tolerance else palette.above)


def test_the_level_that_is_tried_and_the_best_string_are_told() -> None:
    bracket = Bracket("lowest", ends=0.02, line=0.9, found=0.035, failed=0.025, tries=3)
    now = progress(bracket=bracket, target=0.028)
    said = counters.words(now, None)
    assert "lowest: ends 0.02, failed at 0.025, best string 0.035, try 3" in said
    (line,) = counters.training(replace(now, training=IN_TRAINING, order=(1,), losses=(0.1,)))
    assert "→ 0.028" in line.plain


def test_before_a_level_is_known_no_multiple_of_it_is_told() -> None:
    now = progress(level=math.nan, bracket=Bracket("lowest"))
    said = counters.words(now, None)
    assert "lowest, known once both ends are there" in said
    assert "nan" not in " ".join(said)


def test_ends_that_are_trained_by_their_recipe_have_no_target() -> None:
    now = progress(training=IN_TRAINING, order=(), losses=(), ends_by_recipe=True)
    (line,) = counters.training(now)
    assert "→ recipe" in line.plain


def test_ends_by_epochs_tell_how_far_they_are_and_what_is_left() -> None:
    """200 of 2 × 400 steps took 50 s, so 600 more take 150 s."""
    epochs = Epochs(count=164, steps=400, told_every=391)
    ends = (TrainingProgress(1, 0.532, 120, 1), TrainingProgress(2, 1.25, 80, 1))
    now = progress(50.0, 200, phase="endpoints", epochs=epochs, training=ends, level=math.nan)
    assert counters.words(now, 3.0) == [
        "ends at epoch 49.2 and 32.8 of 164",
        "loss 0.532 and 1.25",
        "200 steps",
        "4/s",
        "~2:30 left",
    ]
    first = tuple(replace(each, loss=math.nan, steps=0) for each in ends)
    begun = replace(now, training=first, counters=replace(now.counters, bead_steps=0))
    assert counters.words(begun, 0.0) == [
        "ends at epoch 0 and 0 of 164",
        "first told after 391 steps of each",
    ]
    alone = replace(now, training=ends[:1])
    assert counters.words(alone, None)[0] == "end at epoch 49.2 of 164"
    later = replace(now, phase="splitting")
    assert counters.words(later, None)[0].startswith("depth ")


@pytest.mark.parametrize(
    ("rate", "told"), [(1234.0, "1 234/s"), (3.21, "3.2/s"), (0.5, "0.5/s"), (0.04, "2.4/min")]
)
def test_a_rate_is_told_by_the_second_or_the_minute(rate: float, told: str) -> None:
    assert counters.rate_of(rate).replace("\u202f", " ") == told
