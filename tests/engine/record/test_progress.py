"""Progress written and read: keys, numbers that are not finite, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from engine.record.meta import Meta, read_meta
from engine.record.progress import (
    TRAINING_LOSS,
    ProgressReader,
    SegmentProgress,
    TrainingProgress,
    Within,
    read_progress,
    steps_per_s,
)
from engine.record.reading import Damaged
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter
from engine.spec.keys import Limits
from engine.spec.level import LevelOn
from tests.support.run_folders import COUNTERS, progress

LEFT = SegmentProgress(1, 5, 1, "closed", 1.5, 0.013, 0.4, (0.011, 0.013, 0.012), (0.3,), None)
RIGHT = SegmentProgress(5, 2, 1, "training", 2.5, 0.04, 0.6, (0.012, 0.04, 0.01), (), 7)
STRING = progress(
    order=(1, 5, 2),
    losses=(0.011, 0.012, 0.01),
    segments=(LEFT, RIGHT),
    training=(TrainingProgress(7, 0.05, 30, 2),),
)

#: Keys that files of earlier versions may lack, and what that means.
OPTIONAL = {
    "level_on": TRAINING_LOSS,
    "secondary": TRAINING_LOSS,
    "secondary_samples": None,
    "aim": None,
    "limits": None,
    "checkpoint_time": None,
}


def test_progress_and_meta_come_back(run: RunDir) -> None:
    assert read_progress(run) is None
    assert read_meta(run) is None
    with RunWriter(run) as writer:
        writer.progress(STRING)
        writer.meta(Meta(host="ρ", pid=7, devices=("A", "B")))
    assert read_progress(run) == STRING
    assert read_meta(run) == Meta(host="ρ", pid=7, devices=("A", "B"))


def test_progress_is_read_again_where_its_file_is_new(run: RunDir) -> None:
    reader = ProgressReader(run)
    assert reader.look() is None
    with RunWriter(run) as writer:
        writer.progress(progress(steps=700))
        first = reader.look()
        assert first is not None and first.counters.bead_steps == 700
        assert reader.look() is first
        writer.progress(progress(steps=900))
        second = reader.look()
        assert second is not None and second.counters.bead_steps == 900
    run.progress.write_bytes(b"{")
    for _ in range(2):
        with pytest.raises(Damaged):
            reader.look()
    run.progress.unlink()
    assert reader.look() is None


def test_what_is_not_finite_is_null_and_comes_back_as_nan(run: RunDir) -> None:
    unknown = replace(COUNTERS, max_peak=math.nan, normalized_length=math.inf)
    run.progress.write_bytes(replace(STRING, counters=unknown).to_json())
    tree = json.loads(run.progress.read_bytes())
    assert tree["counters"]["max_peak"] is tree["counters"]["normalized_length"] is None
    back = read_progress(run)
    assert back is not None
    assert math.isnan(back.counters.max_peak) and math.isnan(back.counters.normalized_length)


def test_keys_that_a_later_version_adds_are_passed_over(run: RunDir) -> None:
    tree = json.loads(STRING.to_json())
    tree["future"] = tree["counters"]["future"] = tree["segments"][0]["future"] = {"a": [3]}
    run.progress.write_text(json.dumps(tree))
    assert read_progress(run) == STRING


def test_keys_that_an_earlier_version_lacked_mean_what_they_did(run: RunDir) -> None:
    other = LevelOn(metric="error_rate", split="held_out")
    newer = replace(STRING, level_on=other, secondary=other, secondary_samples=30, limits=Limits())
    tree = json.loads(replace(newer, aim=0.3, checkpoint_time=1.5).to_json())
    run.progress.write_text(json.dumps({k: v for k, v in tree.items() if k not in OPTIONAL}))
    back = read_progress(run)
    assert {key: getattr(back, key) for key in OPTIONAL} == OPTIONAL


def test_the_secondary_metric_is_read_under_its_former_keys_too(run: RunDir) -> None:
    other = LevelOn(metric="error_rate", split="held_out")
    newer = replace(STRING, secondary=other, secondary_samples=30)
    written = json.dumps(json.loads(newer.to_json())).replace('"secondary', '"beside')
    assert '"beside_samples": 30' in written and '"secondary' not in written
    run.progress.write_text(written)
    assert read_progress(run) == newer


@pytest.mark.parametrize(
    ("key", "wrong", "why"),
    [
        ("counters", None, "counters is null, but must be an object"),
        ("counters.max_peak", "x", "counters.max_peak is 'x', but must be a number"),
        ("counters.depth", 10_001, "counters.depth is 10001, but must be from 0 to 10000"),
        ("counters.beads", True, "counters.beads is true, but must be a whole number"),
        ("counters.beads_per_depth", [2, -3], "counters.beads_per_depth.1 is -3, but must be"),
        ("level", 0, "level is 0, but must be above 0"),
        ("time", None, "time is null, but must be from 0"),
        ("state", "asleep", "state is 'asleep', but must be one of running, paused, ended"),
        ("segments.1.state", [], "segments.1.state is an empty list, but must be one of"),
        ("segments.0.profile", [0.5], "segments.0.profile holds 1 items, but must hold 2"),
        ("segments.0.profile", [0.5, 0.25], "the profiles of its segments have different lengths"),
        ("losses", [0.3], "losses holds 1 items, but order 3"),
        (
            "level_on.metric",
            "a weight",
            "level_on.metric is 'a weight', but must be a name",
        ),
        ("limits", {"beads": 1}, "limits.beads is 1, but must be greater than or equal to 2"),
    ],
)
def test_a_wrong_value_is_named(key: str, wrong: object, why: str, run: RunDir) -> None:
    tree = json.loads(STRING.to_json())
    *steps, last = key.split(".")
    holder = tree
    for step in steps:
        holder = holder[int(step) if step.isdigit() else step]
    holder[last] = wrong
    run.progress.write_text(json.dumps(tree))
    with pytest.raises(Damaged) as caught:
        read_progress(run)
    assert str(caught.value).startswith(f"damaged: {run.progress}: {why}")


@pytest.mark.parametrize("content", [b"", b'{"beads": 3', b"[3]", b"\xff\xfe\xfd", b"[" * 10**6])
def test_what_is_no_object_is_damaged(content: bytes, run: RunDir) -> None:
    run.progress.write_bytes(content)
    with pytest.raises(Damaged, match=r"progress\.json: (it )?is "):
        read_progress(run)


def test_the_rate_is_that_between_two_looks() -> None:
    first, second = progress(2.5, 300), progress(4.5, 1000)
    assert steps_per_s(None, first, None) is None
    assert steps_per_s(first, second, None) == 350
    assert steps_per_s(second, second, 350.0) == 350
    assert steps_per_s(second, replace(first, time=5.0), 350.0) == 0


def test_a_rate_is_that_of_the_times_at_which_steps_were_counted() -> None:
    """What is told within a long computation has the steps of before."""
    first, second = progress(2.0, 300), progress(12.0, 800)
    within = replace(first, time=11.0, within=Within(0.9, since=2.0))
    assert steps_per_s(first, within, 7.0) == 7.0
    assert steps_per_s(within, second, 7.0) == 50.0
