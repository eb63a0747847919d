"""The views of a run: its landscape, the table of its segments, its plots and its log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Static, TabbedContent, TabPane

from dss_tui.tui import curves
from dss_tui.tui.palette import Palette
from dss_tui.tui.widgets.arc import ArcView, Shown
from dss_tui.tui.widgets.log_view import LOGGED, LogView
from dss_tui.tui.widgets.plot_view import PlotView
from dss_tui.tui.widgets.projection_view import ProjectionView
from dss_tui.tui.widgets.segment_table import SegmentTable
from dss_tui.viewing.engine_log import COMPUTING
from dss_tui.viewing.follow import Snapshot
from dss_tui.viewing.scene import Scene
from dss_tui.viewing.view_state import Pair, sentence
from dss_tui.viewing.words import clock
from engine.record.events import Continued, Record
from engine.record.progress import TRAINING_LOSS, SegmentProgress
from engine.record.rundir import RunDir

VIEWS = ("landscape", "segments", "path", "depth", "history", "projection", "log")
#: Their names on screens that are too narrow for the whole ones side by side.
SHORT = ("land", "segm", "path", "depth", "hist", "proj", "log")


@dataclass(frozen=True)
class Looked:
    """What the views show: a run at a moment, and what the user has chosen."""

    run: RunDir
    now: Snapshot
    scene: Scene | None
    """The string along its axis of distance, or None while there is none."""
    selected: int | None
    """The selected bead or segment: 2k is bead k, and 2k+1 the segment after it."""
    segment: SegmentProgress | None
    """The selected segment, or the one beside the selected bead."""
    cursor: float | None
    """The place of the cursor as a share of the string's length."""
    side: curves.Side
    """The side from which the projection is seen."""
    log_scale: bool
    legend: bool
    palette: Palette

    @property
    def pair(self) -> Pair | None:
        """The ids of the beads of that segment."""
        return self.segment.pair if self.segment else None

    @property
    def what(self) -> str:
        """The objective in words."""
        return (self.now.progress.level_on if self.now.progress else TRAINING_LOSS).words


class Views(Vertical):
    """The tabs of a run's screen."""

    def compose(self) -> ComposeResult:
        """Lays out a tab for each of `VIEWS`."""
        with TabbedContent(id="views"):
            with TabPane("1 landscape", id="landscape"):
                yield ArcView(id="arc")
                yield PlotView(id="ends-plot")
            with TabPane("2 segments", id="segments"), Horizontal():
                yield SegmentTable(id="table")
                yield PlotView(id="profile")
            with TabPane("3 path", id="path"):
                yield PlotView(id="path-plot")
            with TabPane("4 depth", id="depth"):
                yield Static(id="depths")
            with TabPane("5 history", id="history"):
                yield PlotView(id="history-plot")
            with TabPane("6 projection", id="projection"):
                yield ProjectionView()
            with TabPane("7 log", id="log"):
                yield LogView(id="sentences")

    def on_resize(self) -> None:
        """Names the tabs in words that fit side by side."""
        names = [f"{number} {name}" for number, name in enumerate(VIEWS, 1)]
        if sum(map(len, names)) + 2 * len(names) > self.size.width:
            names = [f"{number} {name}" for number, name in enumerate(SHORT, 1)]
        tabs = self.query_one("#views", TabbedContent)
        for view, name in zip(VIEWS, names, strict=True):
            tab = tabs.get_tab(view)
            if tab.label_text != name:
                tab.label = name

    @property
    def active(self) -> str:
        """The name of the view that is open."""
        return self.query_one("#views", TabbedContent).active

    def open(self, name: str) -> None:
        """Opens a view, and puts the cursor into it where it takes keys."""
        self.query_one("#views", TabbedContent).active = name
        if name in ("segments", "log"):
            self.query_one(SegmentTable if name == "segments" else LogView).focus()
        else:
            self.screen.set_focus(None)

    def show(self, looked: Looked, *, plots: bool) -> None:
        """Draws the open view; its plot only with `plots`."""
        now = looked.now
        if self.active == "landscape":
            self._show_arc(looked)
        elif self.active == "segments":
            table, level, bound = self.query_one(SegmentTable), now.level or 0.0, now.bound or 0.0
            table.show(now.segments, level, bound, looked.palette, looked.pair)
        elif self.active == "depth":
            shown = self.query_one("#depths", Static)
            counts = () if now.progress is None else now.progress.counters.beads_per_depth
            shown.update(curves.depths(counts, now.view.depth_times, *shown.content_size))
        if plots:
            self._show_plot(looked)

    def _show_arc(self, looked: Looked) -> None:
        """Draws the string along its axis, or while there is none, how its ends are trained."""
        arc, ends, now = self.query_one(ArcView), self.query_one("#ends-plot"), looked.now
        training = looked.scene is None and now.progress is not None and bool(now.trails.losses)
        arc.display, ends.display = not training, training
        if looked.scene is not None:
            shown = Shown(
                looked.scene,
                looked.what,
                looked.selected,
                looked.cursor,
                looked.log_scale,
                looked.legend,
                looked.palette,
            )
            arc.show(shown)
        elif not training:
            waiting = "no string yet; its ends are in training" if now.progress else "no string yet"
            arc.show(Text(waiting, style=looked.palette.dim))

    def _show_plot(self, looked: Looked) -> None:
        """Draws the plot of the open view."""
        now, log, palette = looked.now, looked.log_scale, looked.palette
        on = now.progress.level_on if now.progress else TRAINING_LOSS
        if self.active == "landscape" and looked.scene is None and now.progress is not None:
            self.query_one("#ends-plot", PlotView).show(
                curves.ends(now.trails, now.progress, log), palette
            )
        elif self.active == "segments":
            plot = curves.EMPTY
            if looked.segment is not None and now.progress is not None:
                plot = curves.profile(looked.segment, now.progress, now.level, log)
            self.query_one("#profile", PlotView).show(plot, palette)
        elif self.active == "path":
            plot = curves.path(now.segments, on, looked.pair, now.level, log)
            self.query_one("#path-plot", PlotView).show(plot, palette)
        elif self.active == "history":
            plot = curves.history(now.view, now.progress, now.level, log)
            self.query_one("#history-plot", PlotView).show(plot, palette)
        elif self.active == "projection":
            plot = curves.projection(looked.run, now.progress, looked.pair, looked.side)
            self.query_one(ProjectionView).show(plot, palette)

    def log_events(self, records: Sequence[Record], lines: Sequence[str]) -> None:
        """Adds events, and lines of the engine's own log, to the log."""
        log = self.query_one(LogView)
        for record in records[-LOGGED:]:
            style = "dim" if isinstance(record.event, Continued) else ""
            log.add(Text(f"{clock(record.time)}  {sentence(record)}", style=style))
        for line in lines:
            log.add(Text(line, style="dim" if COMPUTING in line else "yellow"))
