"""The card with the verdict on a run that has ended, and the keys of the next steps."""

from __future__ import annotations

from rich.text import Text

from dss_tui.tui.palette import Palette, fitting
from dss_tui.viewing.words import flowed, told_in
from engine.record.events import Outcome, RunFinished

#: The glyph of each outcome.
GLYPHS = {
    Outcome.CONNECTED: "✓",
    Outcome.NOT_CONNECTED: "✕",
    Outcome.ENDPOINT_NOT_TRAINED: "✕",
    Outcome.LIMIT_REACHED: "■",
    Outcome.STOPPED: "■",
    Outcome.FAILED: "!",
}
#: The glyph of an outcome that only a later version knows.
UNKNOWN = "?"
#: What each outcome means, other than a connection, in a longer and a shorter wording.
MEANINGS = {
    Outcome.NOT_CONNECTED: ("no path was found, and none is ruled out", "none is ruled out"),
    Outcome.ENDPOINT_NOT_TRAINED: (
        "an end stayed above its target; nothing is said of paths",
        "an end is above its target",
    ),
    Outcome.LIMIT_REACHED: ("undecided",),
    Outcome.STOPPED: ("undecided",),
    Outcome.FAILED: ("the program failed; the log tells how",),
}
#: The rows of a screen from which on the card holds the sentence, and all of it.
SENTENCE, WHOLE = 20, 30


def headline(ended: RunFinished) -> str:
    """Returns the outcome with its glyph, and in words how far it can be relied on."""
    return headlines(ended)[0]


def headlines(ended: RunFinished) -> list[str]:
    """Returns the wordings of the headline, the longest first."""
    meanings: tuple[str, ...] = MEANINGS.get(ended.outcome, ("an outcome of a later version",))
    if ended.outcome is Outcome.CONNECTED:
        meanings = ("proven for every t" if ended.certified else "by samples, not proven",)
    name = str(ended.outcome).replace("_", " ").upper()
    glyph = GLYPHS.get(ended.outcome, UNKNOWN)
    return [f"{glyph} {name} · {meaning}" for meaning in meanings]


def tone(ended: RunFinished) -> str:
    """Returns good, bad or open, by which the card gets its colour."""
    if ended.outcome is Outcome.CONNECTED:
        return "good"
    bad = (Outcome.NOT_CONNECTED, Outcome.ENDPOINT_NOT_TRAINED, Outcome.FAILED)
    return "bad" if ended.outcome in bad else "open"


def card(ended: RunFinished, steps: list[str], width: int, rows: int, palette: Palette) -> Text:
    """Returns the lines of the card for a screen of so many rows.

    `steps` are the next steps with their keys. The sentence is cut on a low screen, and left out
    on a lower one, where a key tells it.
    """
    style = {"good": palette.below, "bad": palette.failed, "open": palette.near}[tone(ended)]
    lines = [Text(fitting(width, *headlines(ended)), style=f"bold {style}".strip())]
    if rows >= SENTENCE:
        room = None if rows >= WHOLE else 2
        lines += map(Text, told_in(ended.sentence, width, room))
    if rows >= WHOLE:
        lines += [Text(line, style=palette.dim) for line in flowed(steps, width)]
    return Text("\n").join(lines)
