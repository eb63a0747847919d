"""The screen of a run, which shows what the run's directory holds, live or not."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from time import monotonic
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import DataTable, Footer, RichLog, Static, TabbedContent, TabPane

from dss_tui.tui import curves
from dss_tui.tui.device import device_line
from dss_tui.tui.messages import LeaveRun
from dss_tui.tui.palette import Palette, palette_of
from dss_tui.tui.plots import Plot
from dss_tui.tui.screens.confirm import Confirm
from dss_tui.tui.screens.export import ExportDialog
from dss_tui.tui.screens.zoom import Zoom, Zoomed
from dss_tui.tui.widgets.chain import Bead, Link, chain
from dss_tui.tui.widgets.plot_view import PlotView
from dss_tui.tui.widgets.segment_table import SegmentTable
from dss_tui.viewing import counters, session
from dss_tui.viewing.follow import Follower, Snapshot
from dss_tui.viewing.view_state import sentence
from dss_tui.viewing.words import clock
from engine.errors import SaveError
from engine.record.commands import Command, send
from engine.record.events import Continued, RunStarted
from engine.record.lines import LineTail
from engine.record.progress import TRAINING_LOSS, SegmentProgress
from engine.record.rundir import RunDir
from engine.record.runs import tried
from engine.spec.level import LevelOn

#: The columns and rows below which only the counters and the chain are shown (see app.tcss).
SMALLEST = (60, 16)

#: The number of lines of the log that are kept.
LOGGED = 1000
#: The seconds between redrawn plots while nobody presses a key.
PLOTS_EVERY_S = 2.0

VIEWS = ("segments", "path", "depth", "history", "projection", "log")


class RunScreen(Screen[None]):
    """The screen of a run: its counters, its string as a chain of beads, and six views."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,escape", "leave", "leave", id="run.leave"),
        Binding("p", "pause", "pause", id="run.pause"),
        Binding("x", "stop", "stop", id="run.stop"),
        Binding("r", "resume", "resume", id="run.resume"),
        Binding("e", "export", "export", id="run.export"),
        Binding("f", "freeze", "freeze the view", id="run.freeze", show=False),
        Binding("s", "sort", "sort the segments", id="run.sort", show=False),
        Binding("a", "follow", "follow the action", id="run.follow", show=False),
        Binding("l", "log_scale", "linear or log scale", id="run.scale", show=False),
        Binding(
            "left,h",
            "select(-1)",
            "previous bead or segment",
            id="run.previous",
            show=False,
            priority=True,
        ),
        Binding(
            "right", "select(1)", "next bead or segment", id="run.next", show=False, priority=True
        ),
        *(
            Binding(str(number), f"tab('{name}')", name, id=f"run.{name}", show=False)
            for number, name in enumerate(VIEWS, 1)
        ),
    ]

    def __init__(self, run: RunDir, *, launched: bool = False, every_s: float = 0.5) -> None:
        """Makes the screen, which reads the run every `every_s` seconds.

        `launched` says that an engine has just been launched on the run.
        """
        super().__init__()
        self._every_s = every_s
        self.run = run
        self.follower = Follower(run, launched)
        self.snapshot = self.follower.look()
        self.frozen = False
        self.following = True
        self.log_scale = False
        self.selected: int | None = None
        """The selected place along the string: 2k is bead k, and 2k+1 the segment after it."""
        self._shown: object = None
        self._plots_due_s = 0.0
        self._engine_log = LineTail(run.log)

    def compose(self) -> ComposeResult:
        """Lays out the head, the chain and the views over a row of keys."""
        yield Static(id="head")
        yield Static(id="chain")
        with TabbedContent(id="views"):
            with TabPane("1 segments", id="segments"), Horizontal():
                yield SegmentTable(id="table")
                yield PlotView(id="profile")
            with TabPane("2 path", id="path"):
                yield PlotView(id="path-plot")
            with TabPane("3 depth", id="depth"):
                yield Static(id="depths")
            with TabPane("4 history", id="history"):
                yield PlotView(id="history-plot")
            with TabPane("5 projection", id="projection"):
                yield PlotView(id="projection-plot")
            with TabPane("6 log", id="log"):
                yield RichLog(id="sentences", wrap=True, max_lines=LOGGED)
        yield Footer()

    @property
    def palette(self) -> Palette:
        """The colours that go with the theme."""
        return palette_of(self.app)

    def on_mount(self) -> None:
        """Shows what is known at once, and then reads the run from time to time."""
        self.query_one(SegmentTable).focus()
        self._log(self.snapshot)
        self._show(plots=False)
        self.set_timer(0.05, self._draw_all)
        self.set_interval(self._every_s, self._look)

    def _draw_all(self) -> None:
        """Draws everything, after the first frame, because the library of plots loads slowly."""
        self._shown = None
        self._show()

    def on_resize(self) -> None:
        """Draws everything anew."""
        self._shown = None
        self.call_after_refresh(self._show)

    # ------------------------------------------------------------ drawing

    def _look(self) -> None:
        """Reads the run and shows what is new."""
        if self.frozen:
            return
        self.snapshot = self.follower.look()
        self._log(self.snapshot)
        self._show(plots=not self.snapshot.going or monotonic() >= self._plots_due_s)

    def _show(self, *, plots: bool = True) -> None:
        """Draws everything if anything has changed.

        Plots cost most of the bytes on a slow line, so a caller may leave them out.
        """
        now = self.snapshot
        key = (
            now.state,
            now.view.seq,
            now.progress and (now.progress.time, now.progress.seq),
            now.damaged,
            self.selected,
            self.log_scale,
            self.frozen,
            self.following,
            self.app.theme,
        )
        if key == self._shown or not self.is_mounted:
            return
        self._shown = key
        if self.following and now.going:
            self._follow_the_action()
        self._show_head()
        self._show_chain()
        table, level, bound = self.query_one(SegmentTable), now.level or 0.0, now.bound or 0.0
        table.show(now.segments, level, bound, self.palette, self._selected_pair())
        if plots:
            self._show_plots()
            self._plots_due_s = monotonic() + PLOTS_EVERY_S
        self.refresh_bindings()

    def _show_head(self) -> None:
        """Draws the lines of counters, limits and faults."""
        now, started = self.snapshot, self.snapshot.view.started
        seconds = max(now.view.time_s, now.progress.time if now.progress else 0.0)
        about = _about(started) if started else ""
        if started and self.size.width >= 100:
            about += f" · seed {started.seed} · {', '.join(started.devices)}"
        state = now.state + (" · view frozen" if self.frozen else "")
        lines = [counters.title(self.run.name, about, state, seconds, self.size.width)]
        if self.size.width < SMALLEST[0] or self.size.height < SMALLEST[1]:
            lines.append(Text(f"too small for table and plots: {SMALLEST[0]}×{SMALLEST[1]}"))
        if now.progress:
            said = counters.words(now.progress, now.steps_per_s if now.live else None)
            phase = [now.progress.phase] if now.going else []
            lines.append(Text("   ".join([*phase, *said])))
        else:
            lines.append(Text("waiting for the engine" if now.going else "no progress recorded"))
        if now.view.finished is not None:
            lines.append(Text(now.view.finished.sentence, style="bold"))
        elif now.state == "interrupted":
            lines.append(Text("Its process is gone. r resumes it from its checkpoint.", "bold"))
        elif now.progress is not None:
            lines.append(Text(counters.limits(now.progress, seconds), style="dim"))
        lines += [Text(damaged.short, style="bold red") for damaged in now.damaged]
        gpu = device_line(self.run)
        lines += [Text(gpu, style="dim")] if gpu else []
        self.query_one("#head", Static).update(Text("\n").join(lines))

    def _show_chain(self) -> None:
        """Draws the chain of beads, and a line about the selected one."""
        now, level = self.snapshot, self.snapshot.level or 1.0
        order = now.progress.order if now.progress else ()
        losses = now.progress.losses if now.progress else ()
        bound = now.bound or 1.0
        beads = [Bead(bead, loss / bound) for bead, loss in zip(order, losses, strict=True)]
        links = [
            Link(segment.state, segment.peak / bound, segment.bound is not None)
            for segment in now.segments
        ]
        width = max(10, self.query_one("#chain").content_size.width or self.size.width - 2)
        drawn = chain(beads, links, width, self.selected, self.palette)
        if not beads and now.progress is not None and now.progress.training:
            drawn = Text("\n").join(counters.training(now.progress))
        about = self._about_selected(order, losses, level)
        self.query_one("#chain", Static).update(Text("\n").join([drawn, about]))

    def _about_selected(
        self, order: tuple[int, ...], losses: tuple[float, ...], level: float
    ) -> Text:
        """Returns a line about the bead or segment that is selected."""
        at, segments = self.selected, self.snapshot.segments
        if at is not None and at % 2 == 0 and at // 2 < len(order):
            loss = losses[at // 2]
            on = self.snapshot.progress.level_on if self.snapshot.progress else TRAINING_LOSS
            about = f"bead {order[at // 2]}  {on.words}"
            return Text(f"{about} {loss:.5g} = {loss / level:.3f} × level")
        if at is not None and at % 2 == 1 and at // 2 < len(segments):
            return Text(curves.about(segments[at // 2], level))
        return Text("")

    def _show_plots(self) -> None:
        """Draws the plot of the active view."""
        now, log = self.snapshot, self.log_scale
        views = self.query_one("#views", TabbedContent).active
        segment = self._selected_segment()
        level, on = now.level, now.progress.level_on if now.progress else TRAINING_LOSS
        if views == "segments":
            plot = curves.EMPTY
            if segment is not None and now.progress is not None:
                plot = curves.profile(segment, now.progress, level, log)
            self.query_one("#profile", PlotView).show(plot, self.palette)
        elif views == "path":
            plot = curves.path(now.segments, on, self._selected_pair(), level, log)
            self.query_one("#path-plot", PlotView).show(plot, self.palette)
        elif views == "depth":
            text = curves.depths(now.view.beads_per_depth, now.view.depth_times, self.size.width)
            self.query_one("#depths", Static).update(text)
        elif views == "history":
            plot = curves.history(now.view.history, on, level, log)
            self.query_one("#history-plot", PlotView).show(plot, self.palette)
        elif views == "projection":
            self._show_projection()

    def _show_projection(self) -> None:
        """Draws the projection of the string."""
        plot = curves.projection(self.run, self.snapshot.level)
        self.query_one("#projection-plot", PlotView).show(plot, self.palette)

    def _log(self, snapshot: Snapshot) -> None:
        """Adds new events and warnings of the engine to the log."""
        if not snapshot.new and not self.is_mounted:
            return
        log = self.query_one(RichLog)
        for record in snapshot.new[-LOGGED:]:
            style = "dim" if isinstance(record.event, Continued) else ""
            log.write(Text(f"{clock(record.time)}  {sentence(record)}", style=style))
        for line in tried(self._engine_log.new_lines, []) or []:
            text = line.decode(errors="replace")
            if " INFO " not in text:
                log.write(Text(text, style="yellow"))

    # ------------------------------------------------------------ selection

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

    def _follow_the_action(self) -> None:
        """Selects the highest segment that is not closed."""
        segments = self.snapshot.segments
        open_ones = [n for n, s in enumerate(segments) if s.state in ("training", "open")]
        if open_ones:
            worst = max(open_ones, key=lambda n: _height(segments[n]))
            self.selected = 2 * worst + 1

    def action_select(self, step: int) -> None:
        """Goes `step` beads and segments along the string, and stops following."""
        count = 2 * len(self.snapshot.segments) + 1
        if count == 1:
            return
        self.following = False
        at = 0 if self.selected is None and step > 0 else (self.selected or 0) + step
        self.selected = min(max(0, at), count - 1)
        self._show()

    @on(SegmentTable.Moved)
    def _moved(self) -> None:
        """Selects the segment under the table's cursor."""
        key = self.query_one(SegmentTable).key_at_cursor()
        for number, segment in enumerate(self.snapshot.segments):
            if f"{segment.left}-{segment.right}" == key:
                self.following = False
                self.selected = 2 * number + 1
                self._show()

    @on(DataTable.RowSelected)
    def _zoom(self) -> None:
        """Shows the selected segment over the whole screen."""
        zoomed = Zoomed(self._zoomed, self.action_log_scale, self.action_select, self._every_s)
        self.app.push_screen(Zoom(zoomed))

    def _zoomed(self) -> Plot | None:
        """Returns the plot of the selected segment under a line about it, or None."""
        segment, now = self._selected_segment(), self.snapshot
        if segment is None or now.progress is None:
            return None
        plot = curves.profile(segment, now.progress, now.level, self.log_scale)
        return replace(plot, title=curves.about(segment, now.level or 1.0))

    @on(TabbedContent.TabActivated)
    def _tab_changed(self) -> None:
        """Draws the new view."""
        self._shown = None
        self.call_after_refresh(self._show)

    def action_tab(self, name: str) -> None:
        """Shows one of the views."""
        self.query_one("#views", TabbedContent).active = name
        if name == "segments":
            self.query_one(SegmentTable).focus()

    # ------------------------------------------------------------ keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hides the keys of commands that the run cannot take now."""
        if action in ("pause", "stop"):
            return self.snapshot.live
        if action == "resume":
            return self.snapshot.can_resume
        return True

    def _ask(self, command: Command) -> None:
        """Gives a command to the engine of the run."""
        try:
            send(self.run, command)
        except SaveError as error:
            self.notify(str(error), severity="error")

    def action_pause(self) -> None:
        """Asks the engine to pause, or to go on."""
        self._ask("continue" if self.snapshot.state == "paused" else "pause")
        self.notify("asked to go on" if self.snapshot.state == "paused" else "asked to pause")

    @work
    async def action_stop(self) -> None:
        """Asks the engine to stop, after a question."""
        answers = {"n": "go on", "y": "stop it"}
        question = "Stop the search? Its checkpoint is written and it can be resumed."
        if await self.app.push_screen_wait(Confirm(question, answers)) == "y":
            self._ask("stop")
            self.notify("asked to stop")

    def action_resume(self) -> None:
        """Launches an engine that goes on with the run, or says why it cannot go on."""
        problem = session.resume(self.run)
        if problem:
            self.notify(problem, severity="warning")
            return
        self.follower.launched_now()
        self._look()

    def action_export(self) -> None:
        """Opens the export dialog."""
        self.app.push_screen(ExportDialog(self.run))

    def action_freeze(self) -> None:
        """Holds the view still, or lets it go on. The run goes on in any case."""
        self.frozen = not self.frozen
        self._show()

    def action_follow(self) -> None:
        """Keeps the highest open segment selected, or leaves that to the user."""
        self.following = not self.following
        self.notify("following the highest open segment" if self.following else "not following")
        self._show()

    def action_sort(self) -> None:
        """Sorts the segments in the next of the table's orders."""
        sorting = self.query_one(SegmentTable).next_sorting()
        self._shown = None
        self._show()
        self.notify(f"sorted by {sorting}")

    def action_log_scale(self) -> None:
        """Changes between a linear and a logarithmic scale."""
        self.log_scale = not self.log_scale
        self._show()

    @work
    async def action_leave(self) -> None:
        """Leaves the run, after a question where its engine is at work."""
        if self.snapshot.going:
            answers = {"l": "leave it running", "x": "stop it"}
            question = "The search is running. It goes on by itself if you leave."
            answer = await self.app.push_screen_wait(Confirm(question, answers))
            if answer is None:
                return
            if answer == "x":
                self._ask("stop")
        self.post_message(LeaveRun(self, self.run, self.snapshot.exit_status))


def _height(segment: SegmentProgress) -> float:
    """Returns the peak of a segment, or 0 where it is not finite."""
    return segment.peak if isfinite(segment.peak) else 0.0


def _about(started: RunStarted) -> str:
    """Returns the method, its level and tolerance, and the objective if not the training loss."""
    on = "" if started.level_on == LevelOn().words else f" {started.level_on}"
    tolerance = f", tolerance {started.tolerance:g}" if started.tolerance else ""
    return f"{started.method} · level {started.level:g}{on}{tolerance}"
