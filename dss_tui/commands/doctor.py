"""The command `dss-tui doctor`: looks whether everything works on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain

from rich.status import Status
from rich.table import Table
from rich.text import Text

from dss_tui.viewing import abilities
from dss_tui.viewing.console import Console
from dss_tui.viewing.session import environment
from engine import __version__
from engine.doctor import surroundings
from engine.doctor.findings import Begun, Check, Finding, State, looked
from engine.doctor.process import Message, Stopped, examined
from engine.record.events import dump_json
from engine.record.signals import Signals

#: The width in columns where the output is no terminal, and of the two first columns.
WIDTH, STATE, WHAT = 80, 5, 14
#: The words and styles of the states; the words alone are enough.
STATES = {
    State.OK: ("ok", "green"),
    State.NOTE: ("note", "yellow"),
    State.WRONG: ("WRONG", "bold red"),
}


def doctor(*, as_json: bool) -> int:
    """Looks at everything, prints what it finds, and returns the exit status.

    The status is 0, 3 where something is wrong, or 128 + N where signal N ended it.
    """
    found: list[Finding] = []
    with Signals() as signals:
        messages = everything(signals)
        shown = _told(messages) if as_json else _shown(messages, _console())
        try:
            found.extend(shown)
        except Stopped:
            print("stopped before all was looked at", file=sys.stderr)
        line = last_line(found)
        if as_json:
            tree = {"version": __version__, "well": _is_well(found), "line": line}
            print(dump_json(tree | {"findings": [asdict(each) for each in found]}))
        else:
            print(f"\n{_summary(found)}\n\n{line}")
        if signals.received is not None:
            return 128 + signals.received
    return 0 if _is_well(found) else 3


def everything(signals: Signals) -> Iterator[Message]:
    """Returns the messages of all checks: of the terminal, the surroundings and the devices.

    The terminal is looked at before it returns, while nothing else is drawn there.
    """
    return chain(
        list(_here(abilities.checks())),
        _here(surroundings.checks()),
        examined(environment(), lambda: signals.received is not None),
    )


def _here(checks: Sequence[Check]) -> Iterator[Message]:
    """Yields the messages of checks that this process makes."""
    for number, check in enumerate(checks, 1):
        yield Begun(check.name, check.part, number, len(checks))
        yield from looked(check)


def _is_well(found: Iterable[Finding]) -> bool:
    """Returns whether nothing is wrong."""
    return all(each.state is not State.WRONG for each in found)


def _told(messages: Iterable[Message]) -> Iterator[Finding]:
    """Yields the findings, and says on stderr what is being looked at."""
    for message in messages:
        if isinstance(message, Finding):
            yield message
        else:
            print(_progress(message), file=sys.stderr, flush=True)


def _console() -> Console:
    """Returns the console for people, which has a fixed width where stdout is no terminal."""
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False)


def _shown(messages: Iterable[Message], console: Console) -> Iterator[Finding]:
    """Prints each finding as it comes, below the heading of its part, and yields it."""
    part = ""
    with Status("", console=console) as status:
        for message in messages:
            if isinstance(message, Finding):
                console.print(row(message))
                yield message
                continue
            if message.part != part:
                part = message.part
                console.print(Text(f"\n{part}" if part else part, style="bold"))
            if console.is_terminal and not console.is_dumb_terminal:
                status.update(_progress(message))
            else:
                print(_progress(message), file=sys.stderr, flush=True)


def _progress(begun: Begun) -> str:
    """Returns the words that say what is being looked at."""
    return f"looking at {begun.name} ({begun.number} of {begun.of}) …"


def row(finding: Finding) -> Table:
    """Returns a finding as a row of the table: its state, its name, and what was found."""
    word, style = STATES[finding.state]
    table = Table.grid(padding=(0, 1))
    table.add_column(width=STATE, no_wrap=True)
    table.add_column(width=WHAT, overflow="fold")
    table.add_column(overflow="fold")
    told = Text(finding.found)
    if finding.remedy:
        told.append(f"\nremedy: {finding.remedy}", style="bold")
    table.add_row(Text(word, style=style), Text(finding.what), told)
    return table


def _summary(found: Sequence[Finding]) -> str:
    """Returns the sentence that sums all findings up."""
    wrong = [each.what for each in found if each.state is State.WRONG]
    if not wrong:
        return f"Nothing is wrong. {len(found)} things were looked at."
    return f"Wrong: {', '.join(wrong)}. Each row says what to do."


def last_line(found: Sequence[Finding]) -> str:
    """Returns the line that goes into a bug report."""
    counts = ", ".join(f"{sum(each.state is state for each in found)} {state}" for state in State)
    wrong = ", ".join(each.what for each in found if each.state is State.WRONG)
    told = [f"dss-tui {__version__}", *(each.brief for each in found if each.brief), counts]
    return "; ".join([*told, f"wrong: {wrong}"] if wrong else told)
