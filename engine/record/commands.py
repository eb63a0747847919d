"""The commands that viewers give to a running search, in `commands.jsonl`. No torch here."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Literal, get_args

from engine.errors import SaveError
from engine.record.decoding import decode, parse_json
from engine.record.events import dump_json
from engine.record.lines import LineTail
from engine.record.loss_plane import Triple
from engine.record.reading import Damaged
from engine.record.run_owners import check_owner, obeyed, others_write, owners
from engine.record.rundir import RunDir
from engine.record.unfit import Unfit
from engine.record.writing import open_to_append

log = logging.getLogger("engine")

Word = Literal["pause", "continue", "stop", "checkpoint"]
"""A command that is one word."""
COMMANDS: tuple[Word, ...] = get_args(Word)


@dataclass(frozen=True)
class PlaneThrough:
    """The command to measure the loss plane through three beads (`loss_plane`)."""

    beads: Triple
    """The ids of the beads a, b and c."""


Command = Word | PlaneThrough


@dataclass(frozen=True)
class _Plain:
    """The content of a line that holds a word."""

    command: Word


@dataclass(frozen=True)
class _Plane:
    """The content of a line that asks for a plane."""

    command: Literal["plane"]
    beads: Triple


class CommandTail:
    """Reads the commands for a run as they are given."""

    def __init__(self, run: RunDir, *, skip_old: bool) -> None:
        """Starts at the beginning of the file, or with `skip_old` after the commands it holds."""
        self._run = run
        self._lines = LineTail(run.commands)
        if skip_old:
            self._new()

    def new_commands(self) -> list[Command]:
        """Returns the commands since the last call, of equal planes only the first.

        Those of a file to which others than the run's owner and root may write are not obeyed, but
        named in the log.
        """
        commands = self._new()
        why = self._refused() if commands else None
        if why is None:
            return commands
        ignored = ", ".join(dict.fromkeys(map(_word, commands)))
        log.warning("not obeyed: %s, because %s", ignored, why)
        return []

    def _refused(self) -> str | None:
        """Returns why the file that was read last is not obeyed, as a clause; None where it is."""
        found = self._lines.found
        return None if found is None else others_write(self._run, found, obeyed(self._run))

    def _new(self) -> list[Command]:
        """Returns the commands since the last call, whoever gave them.

        Lines that are no commands are passed over. A file that cannot be read counts as empty, so
        that a run goes on although somebody has put a pipe in its folder.
        """
        try:
            lines = self._lines.new_lines()
        except Damaged:
            return []
        commands: list[Command] = []
        for line in lines:
            command = _command(line)
            again = isinstance(command, PlaneThrough) and command in commands
            if command is not None and not again:
                commands.append(command)
        return commands


def _command(line: bytes) -> Command | None:
    """Returns the command in a line, or None where it holds none."""
    try:
        content = parse_json(line)
        if isinstance(content, dict) and content.get("command") == "plane":
            return PlaneThrough(decode(_Plane, content).beads)
        return decode(_Plain, content).command
    except Unfit:
        return None


def _line(command: Command) -> _Plain | _Plane:
    """Returns the content of the line that gives a command."""
    if isinstance(command, PlaneThrough):
        return _Plane("plane", command.beads)
    return _Plain(command)


def _word(command: Command) -> str:
    """Returns the word of a command."""
    return "plane" if isinstance(command, PlaneThrough) else command


def send(run: RunDir, command: Command) -> None:
    """Appends a command for the engine of a run.

    Raises InputError where this user is neither the run's owner nor root, whom alone the engine
    obeys, and SaveError where the command cannot be written.
    """
    check_owner(run)
    line = dump_json(_line(command)) + "\n"
    with _opened(run) as file:
        try:
            file.write(line.encode())
        except OSError as error:
            raise SaveError(f"{run.commands}: cannot be written: {error.strerror}") from error


def _opened(run: RunDir) -> IO[bytes]:
    """Opens the file of commands for its end, in place of one that the engine would not obey.

    Whatever the umask, nobody else may write to it. Raises SaveError.
    """
    with suppress(OSError):
        if others_write(run, os.lstat(run.commands), owners(run) | {0}) is not None:
            os.unlink(run.commands)
    try:
        return open_to_append(run.commands, mode=0o644)
    except SaveError as error:
        if not isinstance(error.__cause__, PermissionError):
            raise
    with suppress(OSError):  # it is root's, in a folder of this user
        os.unlink(run.commands)
    return open_to_append(run.commands, mode=0o644)
