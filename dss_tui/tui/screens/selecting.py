"""The part of a run's screen that selects beads and segments, by keys, clicks and the table."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from operator import is_not

from textual import on
from textual.binding import Binding
from textual.events import Click, Leave, MouseEvent, MouseMove
from textual.widgets import DataTable, Static, TabbedContent

from dss_tui.tui import curves
from dss_tui.tui.palette import Palette, palette_of
from dss_tui.tui.plot import Plot
from dss_tui.tui.screens.along import AlongScreen
from dss_tui.tui.screens.find import FIND, Finding
from dss_tui.tui.screens.plane import PlaneScreen, three_around
from dss_tui.tui.screens.replaying import Replaying
from dss_tui.tui.screens.views import Looked, Views
from dss_tui.tui.screens.zoom import Zoom, Zoomed
from dss_tui.tui.widgets.arc import ArcView, Spot, spot
from dss_tui.tui.widgets.log_view import LogView
from dss_tui.tui.widgets.segment_table import SegmentTable, state_words
from dss_tui.tui.widgets.selection import about
from dss_tui.viewing.scene import Scene, scene_of
from dss_tui.viewing.text_search import Hit, next_hit, segment_has
from engine.record.progress import SegmentProgress
from engine.record.rundir import RunDir

#: The degrees by which a key turns the projection.
STEP = 15
#: The keys of this part.
KEYS = (
    FIND,
    Binding("a", "follow", "follow the action", id="run.follow", show=False),
    Binding("L", "log_scale", "linear or log scale", id="run.scale", show=False),
    Binding("enter", "zoom", "zoom", id="run.zoom", show=False),
    Binding("P", "plane", "loss plane of the segment", id="run.plane", show=False),
    Binding("m", "along", "measure along the string", id="run.along", show=False),
    Binding(
        "left,h",
        "select(-1)",
        "previous bead or segment",
        id="run.previous",
        show=False,
        priority=True,
    ),
    Binding(
        "right,l", "select(1)", "next bead or segment", id="run.next", show=False, priority=True
    ),
    *(
        Binding(key, f"turn({turn},{tilt})", words, id=f"run.{words.replace(' ', '-')}", show=False)
        for key, words, turn, tilt in (
            ("left_square_bracket", "turn left", -STEP, 0),
            ("right_square_bracket", "turn right", STEP, 0),
            ("left_curly_bracket", "tilt down", 0, -STEP),
            ("right_curly_bracket", "tilt up", 0, STEP),
        )
    ),
    Binding("0", "front", "first two components", id="run.front", show=False),
)
#: The rows from which on the meanings of glyphs have a line.
HIGH = 30


class Selecting(Finding, Replaying):
    """The part of a run's screen that knows which bead or segment is selected, and shows it."""

    run: RunDir

    def __init__(self, every_s: float) -> None:
        """Makes the screen, with nothing selected. It is drawn every `every_s` seconds."""
        super().__init__(every_s)
        self._every_s = every_s
        self.following = True
        self.log_scale = False
        self.side = curves.FRONT
        """The side from which the projection is seen."""
        self.selected: int | None = None
        """The selected place along the string: 2k is bead k, and 2k+1 the segment after it."""
        self.cursor_t: float | None = None
        """The t on the selected segment that was clicked, or None for that of its peak."""
        self._mouse: Spot | None = None
        """The place on the string that the mouse is at."""
        self._scene: tuple[tuple[object, ...], Scene | None] = ((), None)

    @property
    def palette(self) -> Palette:
        """The colours that go with the theme."""
        return palette_of(self.app)

    @property
    def scene(self) -> Scene | None:
        """The string along its axis of distance, made anew only for another moment."""
        now = self.snapshot
        made_of = (now.progress, now.view.parents, now.whole)
        before, scene = self._scene
        if len(before) != len(made_of) or any(map(is_not, before, made_of)):
            scene = scene_of(now.progress, now.view, whole=now.whole)
            self._scene = made_of, scene
        return scene

    def looked(self) -> Looked:
        """Returns what the views show now."""
        now, segment, scene = self.snapshot, self._selected_segment(), self.scene
        return Looked(
            run=self.run,
            now=now,
            scene=scene,
            selected=self.selected,
            segment=segment,
            cursor=None if scene is None else scene.cursor(self.selected, self.cursor_t),
            side=self.side,
            log_scale=self.log_scale,
            legend=self.size.height >= HIGH,
            palette=self.palette,
        )

    def _selected_segment(self) -> SegmentProgress | None:
        """Returns the selected segment, or the one after the selected bead, or None."""
        segments = self.snapshot.segments
        if not segments:
            return None
        at = 1 if self.selected is None else self.selected
        return segments[min(at // 2, len(segments) - 1)]

    def _selected_pair(self) -> tuple[int, int] | None:
        """Returns the ids of the beads of the selected segment, or None."""
        segment = self._selected_segment()
        return segment.pair if segment else None

    def _select(self, at: int | None, t: float | None = None) -> None:
        """Selects a bead, or a segment with the cursor at t, and stops following."""
        self.following, self.selected, self.cursor_t = False, at, t
        self.moved()

    def follow_the_action(self) -> None:
        """Selects the highest segment that is not closed."""
        segments = self.snapshot.segments
        open_ones = [n for n, s in enumerate(segments) if s.state in ("training", "open")]
        if open_ones:
            worst = max(open_ones, key=lambda n: _height(segments[n]))
            self.selected, self.cursor_t = 2 * worst + 1, None

    def action_select(self, step: int) -> None:
        """Goes `step` beads and segments along the string, and stops following."""
        count = 2 * len(self.snapshot.segments) + 1
        if count > 1:
            at = 0 if self.selected is None and step > 0 else (self.selected or 0) + step
            self._select(min(max(0, at), count - 1))

    @on(ArcView.Picked)
    def _picked(self, picked: ArcView.Picked) -> None:
        """Selects what was clicked: a bead, or a segment with the cursor at the place."""
        self._select_spot(picked.spot)

    @on(ArcView.Pointed)
    def _pointed(self, pointed: ArcView.Pointed) -> None:
        """Tells the values at the place of the mouse."""
        self._point(pointed.spot)

    @on(Click, "#rail")
    def _rail_clicked(self, click: Click) -> None:
        """Selects what was clicked on the rail."""
        self._select_spot(self._spot_on_rail(click))

    @on(MouseMove, "#rail")
    def _rail_pointed(self, move: MouseMove) -> None:
        """Tells the values at the place of the mouse on the rail."""
        self._point(self._spot_on_rail(move))

    @on(Leave, "#rail")
    def _rail_left(self) -> None:
        """Tells no values any more."""
        self._point(None)

    def _spot_on_rail(self, event: MouseEvent) -> Spot | None:
        """Returns the place on the string of an event of the mouse on the rail, or None."""
        rail = self.query_one("#rail", Static)
        offset = event.get_content_offset(rail)
        if offset is None or self.scene is None:
            return None
        return spot(self.scene, offset.x, rail.content_size.width, True)

    def _select_spot(self, place: Spot | None) -> None:
        """Selects what stands at a place."""
        if place is not None and self.scene is not None:
            self._select(*place.selected(self.scene))

    @on(TabbedContent.TabActivated)
    def _left(self) -> None:
        """Tells no values of a view that is not seen any more."""
        self._point(None)

    def _point(self, place: Spot | None) -> None:
        """Takes another place of the mouse."""
        if place != self._mouse and self.query("#event"):  # the screen may be going
            self._mouse = place
            self.tell_event()

    def pointed_at(self, width: int) -> str:
        """Returns what stands where the mouse is, in one line, or nothing where it is elsewhere."""
        scene = self.scene
        if self._mouse is None or scene is None:
            return ""
        what = self.looked().what
        return about(scene, what, *self._mouse.selected(scene), width)

    def tell_event(self) -> None:
        """Draws the line of the newest event, or of what stands where the mouse is."""
        raise NotImplementedError

    @on(DataTable.RowHighlighted)
    def _row_moved(self) -> None:
        """Selects the segment under the table's cursor, however the cursor came there."""
        self._select_row(self.query_one(SegmentTable).key_at_cursor())

    def _select_row(self, key: str | None) -> None:
        """Selects the segment of a row, and stops following if it is another than before."""
        pairs = [segment.pair for segment in self.snapshot.segments]
        keys = [f"{left}-{right}" for left, right in pairs]
        if key in keys and self._selected_pair() != pairs[keys.index(key)]:
            self._select(2 * keys.index(key) + 1)

    @on(DataTable.RowSelected)
    def _row_zoomed(self, row: DataTable.RowSelected) -> None:
        """Shows the segment of a row over the whole screen."""
        self._select_row(row.row_key.value)
        self.action_zoom()

    def action_zoom(self) -> None:
        """Shows the selected segment over the whole screen, once there is one."""
        if self._zoomed() is None:
            self.notify("there is no segment to show yet", severity="warning")
            return
        zoomed = Zoomed(self._zoomed, self.action_log_scale, self.action_select, self._every_s)
        self.app.push_screen(Zoom(zoomed))

    def find(self, text: str, step: int) -> Hit | None:
        """See `Finding`. Finds entries of the log, else segments in the order that is shown."""
        view = self.query_one(Views).active
        if view == "log":
            return self.query_one(LogView).find(text, step)
        segments, here = self.snapshot.segments, self._selected_segment()
        table = self.query_one(SegmentTable)
        order = list(table.in_order(segments) if view == "segments" else segments)
        fits = [segment_has(segment, state_words(segment), text) for segment in order]
        at = order.index(here) if here is not None and self.selected is not None else None
        hit = next_hit(fits, at, step)
        if hit is not None:
            self._select(2 * segments.index(order[hit.number]) + 1)
        return hit

    def action_plane(self) -> None:
        """Shows the loss in the plane through the beads of the selected segment and one more."""
        pair, progress = self._selected_pair(), self.seen.progress
        beads = three_around(progress, pair) if progress is not None and pair else None
        if beads is None:
            self.notify("a plane needs three beads", severity="warning")
        else:
            self.app.push_screen(PlaneScreen(self.run, beads))

    def action_along(self) -> None:
        """Shows what was measured along the string, with keys to measure it."""
        self.app.push_screen(AlongScreen(self.run))

    def _zoomed(self) -> Plot | None:
        """Returns the plot of the selected segment under a line about it, or None."""
        looked, now = self.looked(), self.snapshot
        if looked.segment is None or now.progress is None or looked.scene is None:
            return None
        plot = curves.profile(looked.segment, now.progress, now.level, self.log_scale)
        number = 2 * now.segments.index(looked.segment) + 1
        return replace(plot, title=about(looked.scene, looked.what, number, None, self.size.width))

    def action_log_scale(self) -> None:
        """Changes between a linear and a logarithmic scale."""
        self.log_scale = not self.log_scale
        self.moved()

    @property
    def projected(self) -> bool:
        """Whether the projection is the view that is open."""
        return any(views.active == "projection" for views in self.query(Views))

    def action_turn(self, turn: int, tilt: int) -> None:
        """Turns the projection by so many degrees."""
        self.side = self.side.by(turn, tilt)
        self.moved()

    def action_front(self) -> None:
        """Shows the first two components again."""
        self.side = curves.FRONT
        self.moved()

    def action_follow(self) -> None:
        """Keeps the highest open segment selected, or leaves that to the user."""
        self.following = not self.following
        self.notify("following the highest open segment" if self.following else "not following")
        self.moved()


def _height(segment: SegmentProgress) -> float:
    """Returns the peak of a segment, or 0 where it is not finite."""
    return segment.peak if isfinite(segment.peak) else 0.0
