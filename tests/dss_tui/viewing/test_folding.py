"""What a run screen knows of a run, folded from records made by hand and by a real search."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest

from dss_tui.cli import main
from dss_tui.tui.curves import depths
from dss_tui.viewing import counters
from dss_tui.viewing.folding import Folding, fold_all
from dss_tui.viewing.scene import scene_of
from dss_tui.viewing.view_state import View
from engine.record.events import (
    AuditFailed,
    BeadFailed,
    BeadInserted,
    Continued,
    Event,
    Outcome,
    Paused,
    Record,
)
from engine.record.progress import Progress, read_progress
from engine.record.records import effective, read_records
from engine.record.rundir import RunDir
from tests.support.made_events import ENDPOINTS, FINISHED, STARTED, measured, trained


def told(*events: Event, after: int = 0) -> list[Record]:
    """The events numbered from `after`, each at a time of its own."""
    return [Record(after + n, at(after + n), event) for n, event in enumerate(events, 1)]


def at(seq: int) -> float:
    return 0.5 + 0.75 * seq


#: Events 1–8: two endpoints, and a bead put between them.
SPLIT = (
    STARTED,
    *ENDPOINTS,
    measured(1, 2, 0.09, depth=0),
    BeadInserted(5, 1, 2, 1, 0.4, 0.09),
    trained(5, 1, 2, 1),
    measured(1, 5, 0.03),
    measured(5, 2, 0.05),
)
#: Events 9–14: both halves get a bead, which are measured together.
DEEPER = (
    trained(6, 1, 5, 2),
    trained(7, 5, 2, 2),
    measured(1, 6, 0.014, depth=2),
    measured(6, 5, 0.016, depth=2),
    measured(5, 7, 0.041, depth=2),
    measured(7, 2, 0.017, depth=2),
)


def test_beads_are_counted_by_depth_with_the_time_of_the_newest() -> None:
    view = fold_all(told(*SPLIT, *DEEPER))
    assert view.beads_per_depth == (2, 1, 2)
    assert view.depth_times == (at(3), at(6), at(10))


def test_a_depth_may_be_reached_before_the_one_above_it_has_two_beads() -> None:
    view = fold_all(told(*SPLIT, trained(6, 1, 5, 2), trained(8, 1, 6, 3), trained(7, 5, 2, 2)))
    assert view.beads_per_depth == (2, 1, 2, 1)
    assert view.depth_times == (at(3), at(6), at(11), at(10))


def test_a_split_segment_gives_way_to_its_halves() -> None:
    assert fold_all(told(*SPLIT[:4])).peaks == {(1, 2): 0.09}
    assert fold_all(told(*SPLIT)).peaks == {(1, 5): 0.03, (5, 2): 0.05}


def test_history_is_the_highest_peak_of_a_wholly_measured_string() -> None:
    view = fold_all(told(*SPLIT, *DEEPER))
    assert view.history == ((at(4), 0.09), (at(8), 0.05), (at(14), 0.041))


def test_the_length_of_the_string_is_that_of_its_segments() -> None:
    """Each segment is 2.5 long; an audit changes no length."""
    view = fold_all(told(*SPLIT, *DEEPER))
    assert view.length_history == ((at(4), 2.5), (at(8), 5.0), (at(14), 10.0))
    assert view.lengths.keys() == view.peaks.keys()
    again = fold_all(told(*SPLIT, AuditFailed(1, 5, 0.07, 0.63)))
    assert again.length_history[-1] == (at(9), 5.0)


def test_history_goes_on_where_a_bead_was_taken_out() -> None:
    view = fold_all(told(*SPLIT, *DEEPER, measured(1, 5, 0.02), measured(5, 2, 0.03)))
    assert view.history[3:] == ((at(15), 0.041), (at(16), 0.03))
    assert view.peaks == {(1, 5): 0.02, (5, 2): 0.03}


def test_history_goes_on_where_the_string_began_anew() -> None:
    anew = BeadFailed(1, None, None, "stuck", 0.4, 200, 1, "new random weights")
    assert fold_all(told(STARTED, anew)).restarts == ()  # there was no string yet
    alone = BeadFailed(5, 1, 2, "stuck", 0.4, 200, 1, "taken out")
    assert fold_all(told(*SPLIT, alone, measured(1, 2, 0.08, depth=0))).restarts == (at(9),)
    other = BeadFailed(9, 1, 2, "stuck", 0.4, 200, 1, "perturbed start")
    assert fold_all(told(*SPLIT[:4], other)).restarts == ()
    view = fold_all(told(*SPLIT, *DEEPER, anew, measured(1, 2, 0.08, depth=0)))
    assert view.restarts == (at(15),)
    assert view.history[-1] == (at(16), 0.08)
    assert view.peaks == {(1, 2): 0.08}


def test_a_bead_that_is_only_put_in_changes_no_peak() -> None:
    before = fold_all(told(*SPLIT[:4]))
    after = fold_all(told(*SPLIT[:5]))
    assert (after.peaks, after.history, after.beads_per_depth) == (
        before.peaks,
        before.history,
        before.beads_per_depth,
    )


def test_the_newest_record_and_the_splits_are_known() -> None:
    records = told(*SPLIT)
    view = fold_all(records)
    assert view.newest == records[-1]
    assert (view.parents, view.put_in) == ({5: (1, 2)}, {5: 1})
    folding = Folding(records)
    before = folding.view()
    folding.add(Record(9, at(9), BeadInserted(5, 1, 2, 1, 0.5, 0.08)))
    assert folding.view().parents is before.parents  # so nothing is drawn anew
    folding.add(Record(10, at(10), BeadInserted(5, 6, 2, 2, 0.5, 0.08)))
    moved = folding.view()
    assert (moved.parents, moved.put_in) == ({5: (6, 2)}, {5: 2})


def test_an_audit_raises_a_peak() -> None:
    view = fold_all(told(*SPLIT, AuditFailed(1, 5, 0.07, 0.63)))
    assert view.peaks == {(1, 5): 0.07, (5, 2): 0.05}
    assert view.history[-1] == (at(9), 0.07)


def test_history_passes_over_peaks_that_are_not_finite() -> None:
    broken = (*SPLIT[:-2], measured(1, 5, math.nan), measured(5, 2, 0.05))
    view = fold_all(told(*broken))
    assert math.isnan(view.peaks[1, 5])
    assert view.history == ((at(4), 0.09), (at(8), 0.05))
    only = fold_all(told(STARTED, *ENDPOINTS, measured(1, 2, math.nan)))
    assert only.history == ()


def test_pause_and_ending() -> None:
    paused = fold_all(told(*SPLIT, Paused()))
    assert (paused.paused, paused.finished) == (True, None)
    ended = fold_all(told(*SPLIT, Paused(), FINISHED))
    assert (ended.paused, ended.finished) == (False, FINISHED)
    assert (ended.seq, ended.time_s, ended.started) == (10, at(10), STARTED)


@pytest.mark.parametrize("last", [Paused(), FINISHED], ids=["paused", "finished"])
def test_a_run_that_continues_is_neither_paused_nor_finished(last: Event) -> None:
    view = fold_all(told(*SPLIT, last, Continued(9)))
    assert (view.paused, view.finished) == (False, None)
    assert view.beads_per_depth == (2, 1)


def test_a_resumed_run_folds_as_if_never_interrupted() -> None:
    """Events 7–10 were lost with their process, and done again."""
    lost = told(*SPLIT[6:], *DEEPER[:2], after=6)
    again = told(Continued(6), *SPLIT[6:], *DEEPER, after=10)
    records = [*told(*SPLIT[:6]), *lost, *again]
    resumed = fold_all(effective(records))
    whole = fold_all(told(*SPLIT, *DEEPER))
    assert resumed.peaks == whole.peaks
    assert resumed.beads_per_depth == whole.beads_per_depth
    assert [peak for _, peak in resumed.history] == [peak for _, peak in whole.history]
    assert (resumed.started, resumed.finished) == (whole.started, whole.finished)
    assert fold_all(records).history != whole.history


def test_a_view_and_the_records_stay_as_they_were_while_more_are_added() -> None:
    records = told(*SPLIT, *DEEPER, AuditFailed(1, 6, 0.07, 0.63), Paused(), FINISHED, Continued(8))
    kept = copy.deepcopy(records)
    folding, views = Folding(), []
    for record in records:
        folding.add(record)
        views.append(folding.view())
    assert records == kept
    assert views == [fold_all(records[:count]) for count in range(1, len(records) + 1)]


def test_a_fold_of_a_real_search_agrees_with_its_counters(tmp_path: Path) -> None:
    out = tmp_path / "run"
    quick = ["--set", "problem.data.points=64", "--set", "search.level=1e-2", "--headless"]
    assert main(["run", "quadratic", "--out", str(out), "--seed", "2", *quick]) == 0
    view = fold_all(read_records(RunDir(out)))
    progress = read_progress(RunDir(out))
    assert progress is not None
    assert view.beads_per_depth == progress.counters.beads_per_depth
    assert view.peaks.keys() == {segment.pair for segment in progress.segments}
    assert view.history[-1][1] == max(view.peaks.values())
    assert view.finished is not None and view.finished.outcome is Outcome.CONNECTED


def looked_at(out: Path) -> tuple[View, Progress]:
    """What a screen of a run knows: its events, folded, and its newest progress."""
    progress = read_progress(RunDir(out))
    assert progress is not None
    return fold_all(read_records(RunDir(out))), progress


PEERS = {
    "bezier": (["control_points=2", "look_every=20"], 4, ["control point 3", "control point 4"]),
    "neb": (["beads=3", "cycle=20"], 3, ["bead 3", "bead 4", "bead 5"]),
}


@pytest.mark.parametrize("method", PEERS)
def test_a_band_and_a_curve_are_shown_as_what_they_are(method: str, tmp_path: Path) -> None:
    """They are looked at in the middle of their training, and at the end."""
    keys, inner, names = PEERS[method]
    keys = [f"search.method={method}", *(f"search.{method}.{key}" for key in keys)]
    keys += ["problem.data.points=16", "search.level=2e-2", "search.certify=off"]
    words = [word for key in keys for word in ("--set", key)]
    out = str(tmp_path / "run")
    command = ["run", "quadratic", "--out", out, "--seed", "3", "--headless", *words]
    assert main([*command, "--set", "limits.steps=640"]) == 3

    view, progress = looked_at(tmp_path / "run")
    lines = [line.plain for line in counters.training(progress)]
    assert [line.split("  ")[0] for line in lines] == names
    assert not any("→" in line for line in lines)  # they have no target
    assert f"training {len(names)}" in counters.words(progress, None)
    assert progress.counters.beads_per_depth == (2, inner)
    scene = scene_of(progress, view)
    assert scene is not None and len(scene.beads) == inner + 2
    assert {bead: scene.parents[bead] for bead in scene.beads[1:-1]} == dict.fromkeys(
        scene.beads[1:-1], (1, 2)
    )
    times = depths(progress.counters.beads_per_depth, view.depth_times, 80, 20).plain
    assert times.count(" s)") == 2

    assert main(["resume", out, "--headless", "--set", "limits.steps=null"]) == 0
    view, progress = looked_at(tmp_path / "run")
    assert view.finished is not None and view.finished.outcome is Outcome.CONNECTED
    assert view.beads_per_depth == progress.counters.beads_per_depth
    assert sum(view.beads_per_depth) == view.finished.totals.beads == len(progress.order)
    assert view.peaks.keys() == {segment.pair for segment in progress.segments}
    assert not progress.training
