"""One short run to which things happen, and what has to come of it: the string of an unharmed run.

It writes a checkpoint and its progress after every step, so that there is much to happen to.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch

from engine.backends.fused.backend import FusedBackend
from engine.backends.fused.layout import fused_layout
from engine.errors import InputError, SaveError
from engine.problem.problem import build_problem
from engine.record import finding, string_file
from engine.record.events import Outcome
from engine.record.records import RecordTail, effective
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.record.writer import RunWriter
from engine.run import store
from engine.run.loop import Pace
from engine.run.session import run_session
from engine.spec.keys import Spec
from engine.workers.pool import Pool
from presets import load_preset
from tests.support.faults.shim import Shim
from tests.support.faults.trial import Answer, attempt

#: The searches by their methods: two ends and a few beads or a curve between them, in a moment.
SPECS = {
    method: load_preset(
        "quadratic",
        [
            *("seed=3", "problem.data.points=16", "search.level=2e-2", "device=cpu"),
            *(f"search.method={method}", *(f"search.{method}.{key}" for key in keys)),
        ],
    )
    for method, keys in {
        "greedy": [],
        "neb": ["beads=3", "cycle=20"],
        "bezier": ["control_points=2", "look_every=20"],
        "polychain": ["control_points=3", "look_every=20"],
        "simplex": ["control_points=2", "look_every=80"],
    }.items()
}
SPEC = SPECS["greedy"]
#: A checkpoint and a snapshot of progress come after every step.
PACE = Pace(0.0, 0.0)


class _AtOnce:
    """In place of a thread: what it is given is done when it is given."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Needs no thread."""

    def submit(self, do: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Does it."""
        done: Future[Any] = Future()
        try:
            done.set_result(do(*arguments))
        except Exception as error:
            done.set_exception(error)
        return done

    def shutdown(self) -> None:
        """There is nothing to wait for."""


def write_at_once() -> None:
    """Lets the thread that writes checkpoints do so at once, in the order in which it is asked."""
    setattr(store, "ThreadPoolExecutor", _AtOnce)  # noqa: B010


def search(folder: Path, spec: Spec = SPEC) -> int:
    """Begins a run or goes on with it, and returns the status that the command would have.

    What a person would be told of a run that does not connect is printed.
    """
    try:
        run = RunDir(folder)
        if not run.spec.exists():
            run = finding.create(spec, "quadratic", folder)
        layout = fused_layout(spec.problem.network, spec.problem.loss)
        assert layout is not None
        with (
            Pool(FusedBackend(build_problem(spec.problem), layout), [torch.device("cpu")]) as pool,
            RunWriter(run) as writer,
        ):
            ended = run_session(writer, spec, pool, Signals(), pace=PACE)
    except (InputError, SaveError) as error:
        print(f"dss-tui: {error}")
        return 2
    if ended.outcome is not Outcome.CONNECTED:
        print(ended.sentence)
    return ended.outcome.exit_status


def unharmed(folder: Path, spec: Spec = SPEC) -> None:
    """Makes the run that nothing happens to."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        assert search(folder, spec) == 0


def came_to_the_same(folder: Path, whole: Path, spec: Spec = SPEC) -> str | None:
    """What is wrong with a run that is gone on with, None where it ends as the unharmed one."""

    def do() -> int:
        status = search(folder, spec)
        tail = RecordTail(RunDir(folder))
        records = effective(tail.new_records())
        seqs = [record.seq for record in records]
        if tail.damaged is not None or seqs != sorted(set(seqs)):
            print(f"its events are damaged: {tail.damaged}, {seqs}")
            return 4
        return status if has_string_of(folder, whole) else 5

    answer = attempt(do)
    if answer.status == 0 and not answer.signal:
        return None
    last = (answer.said.strip().splitlines() or [""])[-1]
    return {4: last, 5: "another string"}.get(answer.status or 0, f"{answer.fault or last}")


def has_string_of(folder: Path, whole: Path) -> bool:
    """Whether two runs have found the same string, to the bit."""
    a, b = (string_file.read(each / "string.safetensors").string for each in (folder, whole))
    return a.beads.tobytes() == b.beads.tobytes() and a.profiles.tobytes() == b.profiles.tobytes()


def struck(
    folder: Path, shim: Shim, first: Callable[[], None] = lambda: None, spec: Spec = SPEC
) -> Answer:
    """What comes of a run at one of whose changes of files something strikes.

    What is to be done `first` is done in the process of the run.
    """

    def do() -> int:
        write_at_once()
        first()
        with shim:
            return search(folder, spec)

    return attempt(do)


def counted(folder: Path, spec: Spec = SPEC) -> Counter[str]:
    """The changes of files of an unharmed run, by their kinds."""
    out = folder.with_suffix(".counts")

    def do() -> int:
        write_at_once()
        with Shim(-1) as shim:
            status = search(folder, spec)
        with open(out, "w") as file:
            file.writelines(f"{kind} {count}\n" for kind, count in shim.kinds.items())
        return status

    answer = attempt(do)
    assert answer.status == 0, answer.said
    lines = (line.split() for line in out.read_text().splitlines())
    return Counter({kind: int(count) for kind, count in lines})
