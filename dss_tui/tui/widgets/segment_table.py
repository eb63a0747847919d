"""The table of the segments of a string, whose sparklines share one loss scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from dss_tui.tui.keymap import moving
from dss_tui.tui.palette import Palette
from dss_tui.tui.widgets.sparkline import sparkline
from engine.record.progress import SegmentProgress
from engine.spec.level import multiple

Sorting = Literal["position", "peak", "depth"]
SORTINGS: tuple[Sorting, ...] = ("position", "peak", "depth")

COLUMNS = ("pair", "γ(t)", "peak/L0", "t*", "length", "depth", "state")
#: The number of cells of a sparkline.
SPARKLINE = 18
STATES = {"closed": "closed", "open": "open", "training": "◌ training", "failed": "✕ failed"}
#: The state of a closed segment whose loss is proven to stay below the level for every t.
PROVEN = "✓ proven"


class SegmentTable(DataTable[Text]):
    """The table of segments, in their order along the string, by height or by depth."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "zoom", id="segments.zoom"),
        *moving("scroll_top", "scroll_bottom"),
    ]

    def __init__(self, *, id: str) -> None:
        """Makes an empty table with an id."""
        super().__init__(id=id, cursor_type="row", zebra_stripes=False)
        self.sorting: Sorting = "position"
        self._rows: dict[str, tuple[Text, ...]] = {}
        self._segments: Sequence[SegmentProgress] | None = None
        self._shown_in: object = None
        self._drawn: dict[str, tuple[SegmentProgress, tuple[Text, ...]]] = {}
        self._drawn_in: object = None

    def on_mount(self) -> None:
        """Makes the columns."""
        for title in COLUMNS:
            self.add_column(title, key=title)

    def next_sorting(self) -> Sorting:
        """Takes the next of `SORTINGS` and returns it."""
        self.sorting = SORTINGS[(SORTINGS.index(self.sorting) + 1) % len(SORTINGS)]
        return self.sorting

    def show(
        self,
        segments: Sequence[SegmentProgress],
        level: float,
        bound: float,
        palette: Palette,
        selected: tuple[int, int] | None,
    ) -> None:
        """Shows segments, with the cursor on the selected one.

        Peaks are shown as multiples of the level, in a colour that tells the side of the bound.
        """
        if not self.columns:
            return
        shown_in = (level, bound, palette, self.sorting)
        if segments is not self._segments or shown_in != self._shown_in:
            rows = self._rows_of(segments, level, bound, palette)
            if rows.keys() != self._rows.keys():
                self.clear()
                for key, row in rows.items():
                    self.add_row(*row, key=key)
            else:
                self._update(rows)
                self._order(rows)
            self._segments, self._shown_in, self._rows = segments, shown_in, rows
        if selected is not None:
            key = f"{selected[0]}-{selected[1]}"
            if key in self._rows and key != self.key_at_cursor():
                self.move_cursor(row=self.get_row_index(key), animate=False)

    def key_at_cursor(self) -> str | None:
        """Returns `left-right` of the row under the cursor, or None in an empty table."""
        if not self.row_count:
            return None
        return self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value

    def in_order(self, segments: Sequence[SegmentProgress]) -> Sequence[SegmentProgress]:
        """Returns segments in the order in which the table shows them."""
        return segments if self.sorting == "position" else sorted(segments, key=self._key)

    def _rows_of(
        self, segments: Sequence[SegmentProgress], level: float, bound: float, palette: Palette
    ) -> dict[str, tuple[Text, ...]]:
        """Returns a row for each segment, in order. Unchanged segments keep their rows."""
        scale = _scale(segments, level)
        shown_in = (level, bound, palette, scale)
        before = self._drawn if shown_in == self._drawn_in else {}
        self._drawn, self._drawn_in = {}, shown_in
        rows = {}
        for segment in self.in_order(segments):
            key = f"{segment.left}-{segment.right}"
            old, row = before.get(key, (None, ()))
            if old != segment:
                row = _row(segment, level, bound, scale, palette)
            self._drawn[key] = (segment, row)
            rows[key] = row
        return rows

    def _update(self, rows: dict[str, tuple[Text, ...]]) -> None:
        """Draws the cells that have changed."""
        for key, row in rows.items():
            for title, old, new in zip(COLUMNS, self._rows[key], row, strict=True):
                if (old, old.style) != (new, new.style):  # texts are equal in whatever colour
                    self.update_cell(key, title, new, update_width=True)

    def _order(self, rows: dict[str, tuple[Text, ...]]) -> None:
        """Puts the rows into their new order, which costs less than to make them anew."""
        if list(rows) != list(self._rows):
            places = {row[0].plain: place for place, row in enumerate(rows.values())}
            self.sort(COLUMNS[0], key=lambda pair: places[pair.plain])

    def _key(self, segment: SegmentProgress) -> float:
        """Returns the number by which a segment is sorted."""
        value = segment.peak if self.sorting == "peak" else segment.depth
        return -value if math.isfinite(value) else -math.inf


def state_words(segment: SegmentProgress) -> str:
    """Returns the state of a segment as the table tells it, such as ✓ proven."""
    return PROVEN if segment.bound is not None else STATES[segment.state]


def _scale(segments: Sequence[SegmentProgress], level: float) -> tuple[float, float]:
    """Returns the shared scale, from below the lowest loss to the highest peak or 5 × level."""
    lows = [value for s in segments for value in s.profile if math.isfinite(value)]
    peaks = [s.peak for s in segments if math.isfinite(s.peak)]
    return 0.9 * min([*lows, level]), min(max([*peaks, level]), 5 * level) if level else 1.0


def _row(
    segment: SegmentProgress,
    level: float,
    bound: float,
    scale: tuple[float, float],
    palette: Palette,
) -> tuple[Text, ...]:
    """Returns the cells of a segment."""
    peak, state = segment.peak, segment.state
    style = getattr(palette, state) if state != "open" else palette.above
    ratio = multiple(peak / level, 3) if math.isfinite(peak) and level else "–"
    return (
        Text(f"{segment.left}–{segment.right}"),
        sparkline(segment.profile, SPARKLINE, *scale, bound, palette),
        Text(ratio, style=palette.below if peak <= bound else palette.above),
        Text(f"{segment.t_star:.2f}" if math.isfinite(segment.t_star) else "–"),
        Text(f"{segment.length:.3g}"),
        Text(str(segment.depth)),
        Text(state_words(segment), style=style),
    )
