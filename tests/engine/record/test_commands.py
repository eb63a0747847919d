"""Commands of viewers, granted once."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from engine.errors import InputError, SaveError
from engine.record.commands import COMMANDS, Command, CommandTail, PlaneThrough, send
from engine.record.loss_plane import NoPlane, write_answer
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter
from tests.support.run_folders import (
    append,
    saved,
    write,
)


def test_commands_are_granted_once_and_in_order(run: RunDir) -> None:
    with RunWriter(run) as writer:
        assert writer.new_commands() == []
        send(run, "pause")
        send(run, "checkpoint")
        assert writer.new_commands() == ["pause", "checkpoint"]
        assert writer.new_commands() == []
        send(run, "continue")
        assert writer.new_commands() == ["continue"]


def test_a_plane_is_asked_for_by_the_ids_of_its_beads(run: RunDir) -> None:
    with RunWriter(run) as writer:
        send(run, PlaneThrough((7, 1, 12)))
        append(run.commands, b'{"command": "plane", "beads": [2, 5, 6], "of": "a later version"}\n')
        assert run.commands.read_bytes().splitlines()[0] == (
            b'{"command":"plane","beads":[7,1,12]}'
        )
        assert writer.new_commands() == [PlaneThrough((7, 1, 12)), PlaneThrough((2, 5, 6))]


def test_a_plane_that_is_asked_for_several_times_at_once_is_granted_once(run: RunDir) -> None:
    with RunWriter(run) as writer:
        for beads in ((1, 2, 3), (1, 3, 2), (1, 2, 3)):
            send(run, PlaneThrough(beads))
            send(run, "checkpoint")
        planes = [PlaneThrough((1, 2, 3)), PlaneThrough((1, 3, 2))]
        granted = writer.new_commands()
        assert [each for each in granted if each != "checkpoint"] == planes
        assert granted.count("checkpoint") == 3
        send(run, planes[0])
        assert writer.new_commands() == planes[:1]


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
    b'{"command": "plane"}',
    b'{"command": "plane", "beads": null}',
    b'{"command": "plane", "beads": [1, 2]}',
    b'{"command": "plane", "beads": [1, 2, 3, 4]}',
    b'{"command": "plane", "beads": [1, 2, -3]}',
    b'{"command": "plane", "beads": [1, 2, "../3"]}',
    b'{"command": "plane", "beads": [1, 2, 1e999]}',
    b"[" * 100_000,
    b'{"command": ' * 100_000,
    b"9" * 5000,
]


@pytest.mark.parametrize("line", NONSENSE, ids=lambda line: repr(line[:20]))
def test_a_line_that_is_no_command_is_passed_over(line: bytes, run: RunDir) -> None:
    with RunWriter(run) as writer:
        send(run, "pause")
        append(run.commands, line + b"\n")
        send(run, "stop")
        assert writer.new_commands() == ["pause", "stop"]


@pytest.mark.parametrize("at", [1, 9, 19])
def test_a_half_written_command_is_granted_when_it_is_whole(at: int, run: RunDir) -> None:
    line = b'{"command": "checkpoint"}\n'
    with RunWriter(run) as writer:
        append(run.commands, b'{"command": "pause"}\n' + line[:at])
        assert writer.new_commands() == ["pause"]
        assert writer.new_commands() == []
        append(run.commands, line[at:])
        assert writer.new_commands() == ["checkpoint"]


def test_a_command_given_while_a_fresh_run_starts_is_granted(run: RunDir) -> None:
    send(run, "stop")
    with RunWriter(run) as writer:
        writer.record(saved("a"), 0.5)
        assert writer.new_commands() == ["stop"]


def test_commands_for_an_earlier_session_are_over(run: RunDir) -> None:
    write(run, saved("a"))
    send(run, "stop")
    with RunWriter(run) as writer:
        assert writer.new_commands() == []
        send(run, "checkpoint")
        assert writer.new_commands() == ["checkpoint"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_understood(command: Command, run: RunDir) -> None:
    with RunWriter(run) as writer:
        send(run, command)
        assert writer.new_commands() == [command]


def test_commands_emptied_from_outside_are_read_anew(run: RunDir) -> None:
    with RunWriter(run) as writer:
        send(run, "checkpoint")
        append(run.commands, b'{"comm')
        assert writer.new_commands() == ["checkpoint"]
        run.commands.write_bytes(b"")
        assert writer.new_commands() == []
        send(run, "stop")
        assert writer.new_commands() == ["stop"]


def test_a_command_that_cannot_be_made_is_a_save_error(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match=r"commands\.jsonl: cannot be written: No such file"):
        send(RunDir(tmp_path / "gone"), "stop")


# ---------------------------------------------------------------- whose commands


def ignored(run: RunDir, caplog: pytest.LogCaptureFixture) -> str:
    """What is told of commands that are not obeyed."""
    tail = CommandTail(run, skip_old=False)
    assert tail.new_commands() == []
    return caplog.messages[-1]


@pytest.mark.parametrize("mode", [0o666, 0o646])
def test_what_everybody_may_write_is_not_obeyed(
    mode: int, run: RunDir, caplog: pytest.LogCaptureFixture
) -> None:
    send(run, "stop")
    send(run, PlaneThrough((1, 2, 3)))
    assert stat.S_IMODE(run.commands.stat().st_mode) == 0o644
    run.commands.chmod(mode)
    told = "not obeyed: stop, plane, because everybody may write to commands.jsonl"
    assert ignored(run, caplog) == told
    send(run, "pause")  # in a file of its own, in place of the one that is not obeyed
    assert CommandTail(run, skip_old=False).new_commands() == ["pause"]


def test_what_a_group_may_write_is_not_obeyed(
    run: RunDir, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the group that a user alone is in."""
    send(run, "stop")
    run.commands.chmod(0o664)
    monkeypatch.setattr("engine.owners._is_alone", lambda group, user: False)
    assert "stop, because the group" in ignored(run, caplog)
    monkeypatch.setattr("engine.owners._is_alone", lambda group, user: True)
    assert CommandTail(run, skip_old=False).new_commands() == ["stop"]


def test_strangers_are_not_obeyed(
    run: RunDir, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The maker of the folder and the user of the engine are, whatever files others put there."""
    run.meta.touch()
    send(run, "stop")
    ours = os.geteuid()
    if ours == 0:
        os.chown(run.commands, 4711, -1)
        os.chown(run.meta, 4711, -1)
    monkeypatch.setattr(os, "geteuid", lambda: ours + 1)
    monkeypatch.setattr("engine.record.run_owners.owner_of", lambda path: ours + 2)
    assert "stop, because commands.jsonl belongs to " in ignored(run, caplog)
    with pytest.raises(InputError, match="whom alone its engine obeys, and root; ask them"):
        send(run, "stop")


def test_a_run_follows_the_umask(tmp_path: Path) -> None:
    """So that a group shares it where its users want that. Commands alone are not for others."""
    for mask, files, folders in ((0o002, 0o664, 0o775), (0o027, 0o640, 0o750)):
        before = os.umask(mask)
        try:
            run = RunDir(tmp_path / f"{mask:o}")
            run.path.mkdir()
            write(run, saved("a"))
            write_answer(run, NoPlane(beads=(1, 2, 3), time=0.0, reason="none"))
            send(run, "stop")
        finally:
            os.umask(before)
        assert stat.S_IMODE(run.commands.stat().st_mode) == files & ~0o022
        run.commands.unlink()
        for path in run.path.rglob("*"):
            wanted = folders if path.is_dir() else files
            assert stat.S_IMODE(path.stat().st_mode) == wanted, path
