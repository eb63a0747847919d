"""The log of a run: a line for each event, in which texts can be found."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text
from textual.events import Resize
from textual.strip import Strip
from textual.widgets import RichLog

from dss_tui.viewing.text_search import Hit, has, next_hit

#: The number of entries, and of lines on the screen, that are kept.
LOGGED = 1000
#: The style of a text that is looked for, and of the entry to which the search came.
SOUGHT, CAME_TO = "bold underline", Style(reverse=True)


@dataclass(eq=False)
class _Entry:
    """One entry, and the lines that it takes, counted from the first line that was ever written."""

    words: Text
    lines: range = range(0)


class LogView(RichLog):
    """The log, which follows its end as long as the end is seen."""

    def __init__(self, *, id: str) -> None:
        """Makes an empty log with an id."""
        super().__init__(id=id, wrap=True, min_width=0, max_lines=LOGGED)
        self._entries: deque[_Entry] = deque(maxlen=LOGGED)
        self._follows = True
        """Whether the end is seen, and is to be seen after more is written."""
        self._wrapped_for = 0
        """The width for which the lines are wrapped."""
        self._sought = ""
        self._at: _Entry | None = None
        """The entry to which the search came."""

    def add(self, words: Text) -> None:
        """Adds an entry at the end."""
        self._entries.append(_Entry(words))
        self._put(self._entries[-1], to_end=self._follows)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolls, and notes whether the end is seen."""
        super().watch_scroll_y(old_value, new_value)
        self._follows = new_value >= self.max_scroll_y

    def on_resize(self, event: Resize) -> None:
        """Wraps all lines for the new width, and shows the end if it was seen before."""
        follows = self._follows
        if self.lines and event.size.width != self._wrapped_for:
            self._write_all()
        self._wrapped_for = event.size.width
        if follows:
            self.scroll_end(animate=False, immediate=True)

    def find(self, text: str, step: int) -> Hit | None:
        """Goes to the next entry that has a text, or with -1 to the one before, and returns it."""
        entries, row = list(self._entries), self.scroll_offset.y
        if text != self._sought:
            self._sought, self._at = text, None
            self._write_all()
        at = entries.index(self._at) if self._at in entries else None
        hit = next_hit([has(entry.words.plain, text) for entry in entries], at, step)
        self._at = None if hit is None else entries[hit.number]
        if self._at is not None:
            row = max(0, self._at.lines.start - self._start_line) - self.size.height // 2
        self.scroll_to(y=row, animate=False, immediate=True)
        self.refresh()
        return hit

    def _write_all(self) -> None:
        """Writes all entries anew, which changes nothing of whether the end is to be seen."""
        follows = self._follows
        self.clear()
        for entry in self._entries:
            self._put(entry, to_end=False)
        self._follows = follows

    def _put(self, entry: _Entry, *, to_end: bool) -> None:
        """Writes an entry, with the text that is looked for marked in it."""
        words = entry.words.copy()
        if self._sought:
            words.highlight_regex(re.compile(re.escape(self._sought), re.IGNORECASE), SOUGHT)
        first = self._start_line + len(self.lines)
        self.write(words, expand=True, scroll_end=to_end)
        entry.lines = range(first, self._start_line + len(self.lines))

    def render_line(self, y: int) -> Strip:
        """Returns one line, marked where it is of the entry to which the search came."""
        strip = super().render_line(y)
        if self._at is not None and self.scroll_offset.y + y + self._start_line in self._at.lines:
            return strip.apply_style(CAME_TO)
        return strip
