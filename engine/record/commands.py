"""The commands that viewers give to a running search, in `commands.jsonl`. No torch here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, get_args

from engine.errors import SaveError
from engine.record.decoding import Unfit, decode, parse_json
from engine.record.events import dump_json
from engine.record.lines import LineTail
from engine.record.reading import Damaged
from engine.record.rundir import RunDir
from engine.record.writing import open_to_append

Command = Literal["pause", "continue", "stop", "checkpoint"]
COMMANDS: tuple[Command, ...] = get_args(Command)


@dataclass(frozen=True)
class _Line:
    """The content of one line of the file."""

    command: Command


class CommandTail:
    """Reads the commands for a run as they are given."""

    def __init__(self, run: RunDir, *, skip_old: bool) -> None:
        """Starts at the beginning of the file, or with `skip_old` after the commands it holds."""
        self._lines = LineTail(run.commands)
        if skip_old:
            self.new_commands()

    def new_commands(self) -> list[Command]:
        """Returns the commands since the last call.

        Lines that are no commands are passed over. A file that cannot be read counts as empty, so
        that a run goes on although somebody has put a pipe in its folder.
        """
        try:
            lines = self._lines.new_lines()
        except Damaged:
            return []
        return [command for line in lines if (command := _command(line)) is not None]


def _command(line: bytes) -> Command | None:
    """Returns the command in a line, or None where it holds none."""
    try:
        return decode(_Line, parse_json(line)).command
    except Unfit:
        return None


def send(run: RunDir, command: Command) -> None:
    """Appends a command for the engine of a run. Raises SaveError where it cannot be written."""
    line = dump_json(asdict(_Line(command))) + "\n"
    with open_to_append(run.commands) as file:
        try:
            file.write(line.encode())
        except OSError as error:
            raise SaveError(f"{run.commands}: cannot be written: {error.strerror}") from error
