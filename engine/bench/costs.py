"""Measures the cost of writing checkpoints, events and progress."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from engine.bench.measures import Action, Clock, Costs, Effort, Spread, repeated, spread
from engine.methods.greedy import GreedySearch
from engine.methods.method import StagedMethod
from engine.path.chain import Chain
from engine.path.segments import Measured
from engine.path.snapshot import Segment, distance
from engine.record.events import FIRST, LAST, SegmentMeasured
from engine.record.finding import create
from engine.record.progress import SegmentState
from engine.record.writer import RunWriter
from engine.run.job import Job
from engine.run.store import DirectoryStore
from engine.spec.goal import goal_to_time
from engine.spec.keys import Spec
from engine.spec.stages import stages_of
from engine.workers.pool import Pool

#: The number of beads of the string, fewer where they have more weights than these together.
BEADS, WEIGHTS = 100, 2**24
#: The numbers of events and of snapshots of progress of one timing.
EVENTS, SNAPSHOTS = 200, 5


def measure_costs(
    spec: Spec, pool: Pool, effort: Effort, clock: Clock = time.perf_counter
) -> Costs:
    """Returns the costs of writing, measured in a run directory in a temporary folder."""
    problem = pool.backend.problem
    beads = max(2, min(BEADS, WEIGHTS // problem.parameter_count))
    method = string_of(spec, pool, beads)
    with tempfile.TemporaryDirectory() as folder:
        run = create(spec, "bench", Path(folder) / "run")
        with (
            RunWriter(run) as writer,
            DirectoryStore(writer, Job(spec, problem, method)) as store,
        ):

            def checkpoint() -> int:
                """Writes one checkpoint, and the string."""
                store.checkpoint(0.0)
                store.string(0.0)
                store.settle()
                return 1

            def progress() -> int:
                """Writes some snapshots of progress."""
                for _ in range(SNAPSHOTS):
                    store.progress(method.progress(), 0.0, "running")
                return SNAPSHOTS

            def events() -> int:
                """Writes some events."""
                for number in range(EVENTS):
                    event = SegmentMeasured(number, number + 1, 7, 0.123, 0.0123, 0.4567)
                    writer.record(event, 0.0)
                return EVENTS

            return Costs(
                beads=beads,
                event_s=_each(events, effort, clock),
                progress_s=_each(progress, effort, clock),
                progress_bytes=run.progress.stat().st_size,
                checkpoint_s=_each(checkpoint, effort, clock),
                checkpoint_bytes=run.checkpoint.stat().st_size + run.string.stat().st_size,
            )


def string_of(spec: Spec, pool: Pool, beads: int) -> StagedMethod:
    """Returns a greedy search with a string of random beads, whose last segment is open."""
    problem, goal = pool.backend.problem, goal_to_time(spec)
    chain = Chain(pool, goal, stages_of(spec).grid)
    ids = [FIRST, *range(LAST + 1, LAST + beads - 1), LAST]
    chain.begin([(bead, problem.initial(bead), int(bead > LAST)) for bead in ids])
    heights = np.linspace(0.1, 0.9, len(chain.grid))
    for left, right in pairwise(ids):
        state: SegmentState = "open" if right == LAST else "closed"
        chain.update(
            Segment(
                left,
                right,
                depth=1,
                length=distance(chain.weights[left], chain.weights[right]),
                measured=Measured(chain.grid, heights * goal.level, 0.9, 1.0),
                state=state,
            )
        )
    return StagedMethod(spec, chain, [GreedySearch(spec, chain)])


def _each(action: Action, effort: Effort, clock: Clock) -> Spread:
    """Returns the seconds of one unit of an action, over repeated timings."""
    action()
    timings = repeated(partial(_same, action), effort.repeats, clock)
    return spread([timing.seconds / timing.units for timing in timings])


def _same(action: Action) -> Action:
    """Returns the action: there is nothing to prepare."""
    return action
