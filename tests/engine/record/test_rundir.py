"""Run directories: one writer, any number of readers, and nothing lost half-way."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import InputError, SaveError
from engine.record import rundir
from engine.record.events import (
    CheckpointSaved,
    Continued,
    Event,
    Outcome,
    Record,
    RunFinished,
    Totals,
)
from engine.record.rundir import RunDir, RunWriter, Wish
from engine.spec.keys import Spec
from engine.spec.yaml_file import parse

TOTALS = Totals(
    beads=5,
    segments=4,
    closed=3,
    failed=1,
    depth=2,
    beads_per_depth=(2, 1, 2),
    bead_steps=700,
    max_peak=0.02,
    normalized_length=1.7,
    elapsed_s=8.5,
)
CONNECTED = RunFinished(Outcome.CONNECTED, "Connected.", TOTALS)
STOPPED = RunFinished(Outcome.STOPPED, "Stopped.", TOTALS)


@pytest.fixture
def spec() -> Spec:
    return parse(
        {
            "problem": {
                "data": {"kind": "polynomial", "coefficients": [0.3, 0.7]},
                "network": {"kind": "mlp", "sizes": [1, 2, 1]},
                "loss": "mse",
            },
            "search": {"level": 0.02},
            "seed": 6,
        }
    )


@pytest.fixture
def run(spec: Spec, tmp_path: Path) -> RunDir:
    return rundir.create(spec, "cubic", tmp_path / "run")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a lock."""
    monkeypatch.setattr("engine.record.rundir.time.sleep", lambda seconds: None)


def saved(word: str) -> CheckpointSaved:
    return CheckpointSaved(word)


def write(run: RunDir, *events: Event) -> None:
    """A session that reports these events."""
    with RunWriter(run) as writer:
        for event in events:
            writer.record(event, 0.5 * (writer.seq + 1))


def seqs(run: RunDir) -> list[int]:
    return [json.loads(line)["seq"] for line in run.events.read_text().splitlines()]


def append(path: Path, content: bytes) -> None:
    with open(path, "ab") as file:
        file.write(content)


def in_child(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def output_of(script: str, *arguments: object) -> str:
    with in_child(script, *arguments) as child:
        output, _ = child.communicate()
    assert child.returncode == 0
    return output


# ---------------------------------------------------------------- making a run


def test_a_new_run_holds_its_resolved_preset(spec: Spec, tmp_path: Path) -> None:
    made = rundir.create(spec, "cubic", tmp_path / "deep" / "down")
    assert made.path == (tmp_path / "deep" / "down").resolve()
    assert made.load_spec() == spec
    assert os.listdir(made.path) == ["run.yaml"]


def test_runs_without_a_place_get_names_of_their_own(spec: Spec, runs: Path) -> None:
    made = [rundir.create(spec, "cubic", None) for _ in range(3)]
    assert len({run.name for run in made}) == 3
    assert all(run.path.parent == runs.resolve() for run in made)
    assert all(run.name.startswith("cubic-") for run in made)


@pytest.mark.parametrize("held", ["run.yaml", "thesis.tex", ".notes.tmp", ".run.yaml.12.tmp.bak"])
def test_a_folder_in_use_is_refused_and_left_alone(held: str, spec: Spec, tmp_path: Path) -> None:
    (tmp_path / "zz.csv").write_text("1,2")
    (tmp_path / held).write_text("mine")
    with pytest.raises(InputError) as caught:
        rundir.create(spec, "cubic", tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: --out: is not empty (it holds {held}); choose a new folder, or go on with a "
        f"run that is there with `dss-tui resume {tmp_path}`"
    )
    assert (tmp_path / held).read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == sorted(["zz.csv", held])


@pytest.mark.parametrize(
    ("below", "reason"), [("file", "File exists"), ("file/run", "Not a directory")]
)
def test_a_place_that_cannot_be_written_is_bad_input(
    below: str, reason: str, spec: Spec, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError) as caught:
        rundir.create(spec, "cubic", tmp_path / below)
    assert str(caught.value) == (
        f"{tmp_path / below}: cannot be written: {reason}; choose another folder with --out"
    )
    assert (tmp_path / "file").read_text() == "mine"


LEFTOVERS = (".run.yaml.4242.tmp", ".checkpoint.safetensors.77.tmp")


def test_what_dead_writers_left_does_not_fill_a_folder(spec: Spec, tmp_path: Path) -> None:
    for name in LEFTOVERS:
        (tmp_path / name).write_text("half of someth")
    made = rundir.create(spec, "cubic", tmp_path)
    assert os.listdir(made.path) == ["run.yaml"]


def test_a_writer_clears_what_dead_ones_left(run: RunDir) -> None:
    for name in LEFTOVERS:
        (run.path / name).write_text("half of someth")
    with RunWriter(run):
        assert not set(LEFTOVERS) & set(os.listdir(run.path))
    assert run.spec.is_file()


# ---------------------------------------------------------------- finding a run


def test_a_run_is_found_by_path_and_by_name(run: RunDir, spec: Spec, runs: Path) -> None:
    named = rundir.create(spec, "cubic", runs / "tuesday")
    assert rundir.find(str(run.path)).path == run.path
    assert rundir.find("tuesday").path == named.path


def test_an_unknown_run_gets_the_nearest_name(spec: Spec, runs: Path) -> None:
    for name in ("tuesday", "october"):
        rundir.create(spec, "cubic", runs / name)
    with pytest.raises(InputError) as caught:
        rundir.find("teusday")
    assert str(caught.value) == (
        f"teusday: no such run in {runs} nor at that path; did you mean 'tuesday'?"
    )


@pytest.mark.parametrize("name", ["tuesday", "t" * 300, "~nobody-of-that-name/run", "a/b/c"])
def test_without_runs_the_hint_is_to_make_one(name: str) -> None:
    with pytest.raises(InputError, match="there are no runs yet; `dss-tui run digits` makes one"):
        rundir.find(name)


def test_a_folder_without_a_preset_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a run directory: it has no run\.yaml"):
        rundir.find(str(tmp_path))


def test_runs_are_listed_oldest_first(spec: Spec, runs: Path) -> None:
    assert rundir.runs() == []
    for name, age_s in (("b", 50), ("c", 90), ("a", 20)):
        made = rundir.create(spec, "cubic", runs / name)
        os.utime(made.spec, (1e9 - age_s, 1e9 - age_s))
    (runs / "no-run").mkdir()
    (runs / "file").touch()
    assert [run.name for run in rundir.runs()] == ["c", "b", "a"]


# ---------------------------------------------------------------- replacing a file

FULL_DISK = """
import os, resource, sys
from pathlib import Path
from engine.errors import SaveError
from engine.record.rundir import replace

resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
path, durable = Path(sys.argv[1]), sys.argv[2] == "True"
try:
    replace(path, b"n" * 5000, durable=durable)
except SaveError as error:
    print(error, end="")
"""


@pytest.mark.parametrize("durable", [True, False])
def test_a_full_disk_leaves_the_old_content(durable: bool, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(b"o" * 4000)
    message = output_of(FULL_DISK, path, durable)
    assert message == f"{path}: cannot be written: File too large"
    assert path.read_bytes() == b"o" * 4000
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("durable", [True, False])
def test_who_reads_while_a_file_is_replaced_reads_the_old_one(
    durable: bool, tmp_path: Path
) -> None:
    path = tmp_path / "progress.json"
    rundir.replace(path, b"old" * 900)
    with open(path, "rb", buffering=0) as reader:
        start = reader.read(5)
        rundir.replace(path, b"new", durable=durable)
        assert start + reader.read() == b"old" * 900
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == [path.name]


def test_a_folder_that_is_gone_is_a_save_error(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "meta.json"
    with pytest.raises(SaveError) as caught:
        rundir.replace(path, b"new")
    assert str(caught.value) == f"{path}: cannot be written: No such file or directory"


# ---------------------------------------------------------------- the writer's events


def test_events_are_numbered_on_after_reopening(run: RunDir) -> None:
    write(run, saved("a"), saved("b"))
    write(run, saved("c"))
    assert rundir.read_all_records(run) == [
        Record(1, 0.5, saved("a")),
        Record(2, 1.0, saved("b")),
        Record(3, 1.5, saved("c")),
    ]


def test_a_record_can_be_read_while_the_writer_goes_on(run: RunDir) -> None:
    with RunWriter(run) as writer:
        record = writer.record(saved("ρ"), 2.5)
        assert rundir.read_records(run) == [record]
        writer.sync_events()
        assert writer.seq == 1


HALVES = ['{"seq": 3, "time": 1.', Record(3, 1.5, saved("c")).to_line(), "\x00\x00", "{}"]


@pytest.mark.parametrize("half", HALVES)
def test_a_last_line_without_its_end_is_cut(half: str, run: RunDir) -> None:
    write(run, saved("a"), saved("b"))
    append(run.events, half.encode())
    write(run, saved("d"))
    assert rundir.read_all_records(run)[1:] == [
        Record(2, 1.0, saved("b")),
        Record(3, 1.5, saved("d")),
    ]
    assert seqs(run) == [1, 2, 3]


def test_a_lone_half_line_leaves_a_fresh_run(run: RunDir) -> None:
    append(run.events, b'{"seq": 1, "ti')
    write(run, saved("a"))
    assert seqs(run) == [1]


def test_readers_pass_over_what_is_no_record(run: RunDir) -> None:
    write(run, saved("a"))
    append(run.events, b"\xff\xfe\x00 nonsense\n\n[3]\n" + b"[" * 100_000 + b"\n")
    append(run.events, Record(2, 1.0, saved("b")).to_line().encode() + b'\n{"seq": 3, "ti')
    assert [record.event for record in rundir.read_all_records(run)] == [saved("a"), saved("b")]


EVENTS_ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from engine.errors import SaveError
from engine.record.events import CheckpointSaved
from engine.record.rundir import RunDir, RunWriter

def room(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

with RunWriter(RunDir(Path(sys.argv[1]))) as writer:
    writer.record(CheckpointSaved("a"), 0.5)
    whole = writer.run.events.stat().st_size
    for free in (0, 17):
        room(whole + free)
        try:
            writer.record(CheckpointSaved("lost"), 0.6)
        except SaveError as error:
            print(error)
        assert writer.run.events.stat().st_size == whole
    room(resource.RLIM_INFINITY)
    writer.record(CheckpointSaved("b"), 1.0)
    room(writer.run.events.stat().st_size + 17)
    try:
        writer.record(CheckpointSaved("lost"), 0.6)
    except SaveError as error:
        print(error)
"""


def test_an_event_that_finds_no_room_is_not_written_at_all(run: RunDir) -> None:
    said = output_of(EVENTS_ON_A_FULL_DISK, run.path).splitlines()
    assert said == [f"{run.events}: cannot be written: File too large"] * 3
    assert rundir.read_all_records(run) == [Record(1, 0.5, saved("a")), Record(2, 1.0, saved("b"))]
    assert seqs(run) == [1, 2]


def test_progress_and_meta_are_standard_json(run: RunDir) -> None:
    assert rundir.read_progress(run) == rundir.read_meta(run) == {}
    with RunWriter(run) as writer:
        writer.progress({"peak": float("nan"), "beads": (3, 4)})
        writer.meta({"host": "ρ", "pid": 7})
    assert rundir.read_progress(run) == {"peak": None, "beads": [3, 4]}
    assert rundir.read_meta(run) == {"host": "ρ", "pid": 7}


@pytest.mark.parametrize("content", [b"", b'{"beads": 3', b"[3]", b"\xff\xfe\xfd"])
def test_progress_that_is_no_object_is_empty(content: bytes, run: RunDir) -> None:
    run.progress.write_bytes(content)
    assert rundir.read_progress(run) == {}


# ---------------------------------------------------------------- one writer at a time


def test_a_second_writer_is_refused(run: RunDir, impatient: None) -> None:
    with RunWriter(run) as first:
        with pytest.raises(InputError) as caught:
            RunWriter(run)
        assert str(caught.value) == (
            f"{run.path}: another process is running it; `dss-tui stop {run.path}` stops it"
        )
        first.record(saved("a"), 0.5)
    assert seqs(run) == [1]


def test_the_run_is_free_again_however_the_block_ends(run: RunDir, impatient: None) -> None:
    with pytest.raises(ZeroDivisionError), RunWriter(run):
        raise ZeroDivisionError
    assert not rundir.is_live(run)
    write(run, saved("a"))
    write(run, saved("b"))
    assert seqs(run) == [1, 2]


def test_a_run_is_live_while_a_writer_holds_it(run: RunDir) -> None:
    assert not rundir.is_live(run)
    with RunWriter(run):
        assert rundir.is_live(run)
    assert not rundir.is_live(run)


def test_looking_does_not_disturb_the_writer(run: RunDir, impatient: None) -> None:
    with RunWriter(run) as writer:
        assert all(rundir.is_live(run) for _ in range(5))
        with pytest.raises(InputError):
            RunWriter(run)
        writer.record(saved("a"), 0.5)
    assert seqs(run) == [1]


def test_who_looks_is_not_taken_for_a_writer(run: RunDir) -> None:
    write(run, saved("a"))
    with open(run.lock, "rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert not rundir.is_live(run)


def test_a_writer_outwaits_somebody_who_looks(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    write(run, saved("a"))
    waits: list[float] = []
    with open(run.lock, "rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)

        def leave(seconds: float) -> None:
            waits.append(seconds)
            fcntl.flock(looking, fcntl.LOCK_UN)

        monkeypatch.setattr("engine.record.rundir.time.sleep", leave)
        write(run, saved("b"))
    assert len(waits) == 1
    assert seqs(run) == [1, 2]


HOLD = """
import sys
from pathlib import Path
from engine.record.rundir import RunDir, RunWriter

with RunWriter(RunDir(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(run: RunDir) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the run."""
    with in_child(HOLD, run.path) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        yield child
        child.kill()


def test_a_run_belongs_to_the_process_that_runs_it_until_it_dies(
    run: RunDir, holder: subprocess.Popen[str], impatient: None
) -> None:
    assert rundir.is_live(run)
    with pytest.raises(InputError, match="another process is running it"):
        RunWriter(run)
    holder.kill()
    holder.wait()
    assert not rundir.is_live(run)
    write(run, saved("a"))
    assert seqs(run) == [1]


# ---------------------------------------------------------------- wishes


def test_wishes_are_granted_once_and_in_order(run: RunDir) -> None:
    with RunWriter(run) as writer:
        assert writer.new_wishes() == []
        rundir.wish(run, "pause")
        rundir.wish(run, "checkpoint")
        assert writer.new_wishes() == ["pause", "checkpoint"]
        assert writer.new_wishes() == []
        rundir.wish(run, "continue")
        assert writer.new_wishes() == ["continue"]


NONSENSE = [
    b"",
    b"stop",
    b"{",
    b"[]",
    b"3",
    b"null",
    b'"stop"',
    b'{"wish": "stop"}',
    b'{"command": "explode"}',
    b'{"command": ["stop"]}',
    b'{"command": {"stop": 3}}',
    b'{"command": null}',
    b"\x00\xff\xfe\x80 stop",
    b"\xff\xfe{\x00}\x00",
    b"[" * 100_000,
    b'{"command": ' * 100_000,
    b"9" * 5000,
]


@pytest.mark.parametrize("line", NONSENSE, ids=lambda line: repr(line[:20]))
def test_a_line_that_is_no_wish_is_passed_over(line: bytes, run: RunDir) -> None:
    with RunWriter(run) as writer:
        rundir.wish(run, "pause")
        append(run.commands, line + b"\n")
        rundir.wish(run, "stop")
        assert writer.new_wishes() == ["pause", "stop"]


@pytest.mark.parametrize("at", [1, 9, 19])
def test_a_half_written_wish_is_granted_when_it_is_whole(at: int, run: RunDir) -> None:
    line = b'{"command": "checkpoint"}\n'
    with RunWriter(run) as writer:
        append(run.commands, b'{"command": "pause"}\n' + line[:at])
        assert writer.new_wishes() == ["pause"]
        assert writer.new_wishes() == []
        append(run.commands, line[at:])
        assert writer.new_wishes() == ["checkpoint"]


def test_a_wish_made_while_a_fresh_run_starts_is_granted(run: RunDir) -> None:
    rundir.wish(run, "stop")
    with RunWriter(run) as writer:
        writer.record(saved("a"), 0.5)
        assert writer.new_wishes() == ["stop"]


def test_wishes_for_an_earlier_session_are_over(run: RunDir) -> None:
    write(run, saved("a"))
    rundir.wish(run, "stop")
    with RunWriter(run) as writer:
        assert writer.new_wishes() == []
        rundir.wish(run, "checkpoint")
        assert writer.new_wishes() == ["checkpoint"]


@pytest.mark.parametrize("command", rundir.WISHES)
def test_every_wish_is_understood(command: Wish, run: RunDir) -> None:
    with RunWriter(run) as writer:
        rundir.wish(run, command)
        assert writer.new_wishes() == [command]


def test_commands_emptied_from_outside_are_read_anew(run: RunDir) -> None:
    with RunWriter(run) as writer:
        rundir.wish(run, "checkpoint")
        append(run.commands, b'{"comm')
        assert writer.new_wishes() == ["checkpoint"]
        run.commands.write_bytes(b"")
        assert writer.new_wishes() == []
        rundir.wish(run, "stop")
        assert writer.new_wishes() == ["stop"]


def test_a_wish_that_cannot_be_made_is_a_save_error(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match=r"commands\.jsonl: cannot be written: No such file"):
        rundir.wish(RunDir(tmp_path / "gone"), "stop")


# ---------------------------------------------------------------- which events count


def records(*story: int | RunFinished) -> list[Record]:
    """Records numbered from 1; a number n stands for `continued` from n, -1 for other work."""
    events = [
        entry if isinstance(entry, RunFinished) else saved("x") if entry < 0 else Continued(entry)
        for entry in story
    ]
    return [Record(n, 0.5 * n, event) for n, event in enumerate(events, 1)]


@pytest.mark.parametrize(
    ("story", "kept"),
    [
        ([], []),
        ([-1, -1, -1], [1, 2, 3]),
        ([-1, -1, -1, 3, -1], [1, 2, 3, 4, 5]),
        ([-1, -1, -1, -1, 2, -1], [1, 2, 5, 6]),
        ([-1, -1, 0, -1], [3, 4]),
        # No checkpoint between two losses: the second one undoes the first session anew.
        ([-1, -1, -1, 2, -1, 2, -1], [1, 2, 6, 7]),
        # A checkpoint after the first loss: what came before it stays.
        ([-1, -1, -1, 2, -1, -1, 5, -1], [1, 2, 4, 5, 7, 8]),
        # The second loss goes back to before the first.
        ([-1, -1, -1, 2, -1, 1, -1], [1, 6, 7]),
        ([-1, -1, -1, 2, -1, -1, 5, -1, 5, -1, -1, 10], [1, 2, 4, 5, 9, 10, 12]),
    ],
)
def test_events_undone_by_a_later_session_do_not_count(story: list[int], kept: list[int]) -> None:
    assert [record.seq for record in rundir.effective(records(*story))] == kept


def test_records_are_read_without_what_was_undone(run: RunDir) -> None:
    write(run, saved("a"), saved("lost"))
    write(run, Continued(1), saved("b"))
    events = [record.event for record in rundir.read_records(run)]
    assert events == [saved("a"), Continued(1), saved("b")]
    assert [record.seq for record in rundir.read_all_records(run)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("story", "ending"),
    [
        ([], None),
        ([-1, -1], None),
        ([-1, CONNECTED], CONNECTED),
        ([-1, STOPPED, 2], None),
        ([-1, STOPPED, 2, -1], None),
        ([-1, STOPPED, 2, -1, CONNECTED], CONNECTED),
    ],
)
def test_a_run_has_finished_unless_it_went_on(
    story: list[int | RunFinished], ending: RunFinished | None
) -> None:
    assert rundir.finished(records(*story)) is ending
