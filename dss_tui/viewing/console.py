"""The console on which tables and texts are printed: only its own styles are obeyed.

What a terminal would obey in a text is written out, as `shown` does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import rich.console
from rich.cells import cell_len
from rich.segment import Segment

from dss_tui.viewing.shown import is_plain, shown, shown_in_line


class Console(rich.console.Console):
    """A console of rich on whose texts nothing is obeyed, markup of rich's included."""

    def __init__(self, **options: Any) -> None:
        """Makes a console with options of rich's."""
        super().__init__(**({"markup": False, "emoji": False} | options))

    def render(
        self,
        renderable: rich.console.RenderableType,
        options: rich.console.ConsoleOptions | None = None,
    ) -> Iterator[Segment]:
        """Yields the segments of what is printed."""
        yield from _shown_segments(super().render(renderable, options))


def _shown_segments(segments: Iterable[Segment]) -> Iterator[Segment]:
    """Yields segments with their texts as they are shown.

    Those that are commands to the terminal, which only displays themselves make, stay.
    """
    for each in segments:
        yield each if each.control else Segment(shown(each.text), each.style)


def shown_line(segments: list[Segment]) -> list[Segment]:
    """Returns the segments of one line of a screen as they are shown, in the same width.

    What no longer fits is cut off at the right.
    """
    if all(each.control or is_plain(each.text) for each in segments):
        return segments
    width = sum(cell_len(each.text) for each in segments if not each.control)
    whole = [
        each if each.control else Segment(shown_in_line(each.text), each.style) for each in segments
    ]
    return Segment.adjust_line_length(whole, width, pad=False)
