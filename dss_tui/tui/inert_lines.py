"""The filter of all screens: whatever a terminal would obey in their texts is written out."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from dss_tui.viewing.console import shown_line


class InertLines(LineFilter):
    """A filter that every line of every widget passes, so that no widget has to think of it."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Returns the segments of a line with nothing in them that a terminal obeys."""
        return shown_line(segments)


INERT = InertLines()
