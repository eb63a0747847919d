"""The commands that viewers give to a running search, in `commands.jsonl`. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from engine.errors import SaveError
from engine.record.decoding import decode, parse_json
from engine.record.events import dump_json
from engine.record.lines import LineTail
from engine.record.loss_plane import Triple
from engine.record.reading import Damaged
from engine.record.rundir import RunDir
from engine.record.unfit import Unfit
from engine.record.writing import open_to_append

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
        self._lines = LineTail(run.commands)
        if skip_old:
            self.new_commands()

    def new_commands(self) -> list[Command]:
        """Returns the commands since the last call, of equal planes only the first.

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


def send(run: RunDir, command: Command) -> None:
    """Appends a command for the engine of a run. Raises SaveError where it cannot be written."""
    line = dump_json(_line(command)) + "\n"
    with open_to_append(run.commands) as file:
        try:
            file.write(line.encode())
        except OSError as error:
            raise SaveError(f"{run.commands}: cannot be written: {error.strerror}") from error
