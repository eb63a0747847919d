"""The dashboard of a sweep or a comparison of methods: what its folder holds, live or not."""

from __future__ import annotations

from time import monotonic
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Static

from dss_tui.tui import sweep_parts as parts
from dss_tui.tui.copying import copy
from dss_tui.tui.messages import LeaveRun, WatchRun
from dss_tui.tui.palette import Palette, palette_of
from dss_tui.tui.screens.confirm import Confirm
from dss_tui.tui.screens.find import FIND, Finding
from dss_tui.tui.screens.run import RunScreen
from dss_tui.tui.screens.steering import Steering
from dss_tui.tui.widgets.head import apart, style_of
from dss_tui.tui.widgets.key_row import KeyRow
from dss_tui.tui.widgets.matrix import Mark, Matrix, MatrixData, legend
from dss_tui.tui.widgets.plot_view import PlotView
from dss_tui.viewing import sweeps
from dss_tui.viewing.text_search import Hit, has, next_hit
from dss_tui.viewing.words import clock, flowed, told_in
from engine.record.finding import kind_of
from engine.record.progress import Progress
from engine.record.rundir import RunDir
from engine.record.sweep_folder import Plan
from engine.record.sweeps import CellState, LevelState
from engine.spec.published import Published, published_for

#: The seconds between redrawn plots while nobody presses a key.
PLOTS_EVERY_S = 2.0
#: The most lines about the level and the cell under the cursor (see app.tcss).
ABOUT = 4
#: The lines of the screen that are left to the plots at least where both are shown.
LEAST_PLOTS = 8


class SweepScreen(Finding, Steering):
    """The screen of a sweep: its cells, its levels, and the plots against the level.

    A comparison has methods instead of levels, and plots against what they have computed.
    """

    LEGEND = parts.LEGEND
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,escape", "leave", "leave", id="sweep.leave"),
        Binding("p", "pause", "pause/go on", id="sweep.pause"),
        Binding("x", "stop", "stop", id="sweep.stop"),
        Binding("r", "resume", "resume", id="sweep.resume"),
        Binding("1", "view('')", "matrix", id="sweep.matrix", show=False),
        Binding("2", "view('-plots')", "plots alone", id="sweep.plots"),
        FIND,
        Binding("y", "copy", "copy the path of the pair's run", id="sweep.copy", show=False),
        Binding("L", "log_scale", "linear or log scale", id="sweep.scale", show=False),
    ]

    def __init__(self, folder: RunDir, *, launched: bool = False, every_s: float = 0.5) -> None:
        """Makes the screen, which reads the sweep every `every_s` seconds.

        `launched` says that an engine has just been launched on the sweep.
        """
        super().__init__()
        self.folder, self._every_s = folder, every_s
        self.follower = sweeps.SweepFollower(folder, launched)
        self.sweep = self.follower.look()
        """The state of the sweep as it was read last."""
        self.log_scale = True
        self._shown: object = None
        self._plots_due_s = 0.0
        self._published: tuple[Plan | None, Published | None] = (None, None)

    def compose(self) -> ComposeResult:
        """Lays out the head, the matrix, a line about the cursor and the plots over the keys."""
        yield Static(id="head")
        yield Matrix(id="matrix")
        yield Static(id="about")
        yield from self.compose_below()
        yield Static(id="legend")
        yield KeyRow()

    def compose_below(self) -> ComposeResult:
        """Lays out what stands below the matrix."""
        with Horizontal(id="plots"):
            yield PlotView(id="length-plot")
            yield PlotView(id="beads-plot")

    @property
    def palette(self) -> Palette:
        """The colours that go with the theme."""
        return palette_of(self.app)

    def on_mount(self) -> None:
        """Shows what is known at once, and then reads the sweep from time to time."""
        self.query_one(Matrix).focus()
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

    def on_screen_resume(self) -> None:
        """Reads the sweep at once where a run's screen was left."""
        self._look()

    # ------------------------------------------------------------ drawing

    def _look(self) -> None:
        """Reads the sweep and shows what is new, unless another screen is on top."""
        if not self.is_current:
            return
        self.sweep = self.follower.look()
        self._show(plots=not self.sweep.going or monotonic() >= self._plots_due_s)

    def _show(self, *, plots: bool = True) -> None:
        """Draws everything if anything has changed.

        Plots cost most of the bytes on a slow line, so a caller may leave them out.
        """
        heads = self.query("#head")
        now, here = self.sweep, self._cell()
        progress = self.follower.progress(here) if here is not None and not here.ended else None
        place = self.query_one(Matrix).cursor if heads else None
        key = (now, place, progress and progress.seq, self.log_scale, self.app.theme, self.size)
        if key == self._shown or not heads:
            return  # nothing is new, or the screen is going
        self._shown = key
        self._share_out()
        self._show_head()
        self.query_one(Matrix).show(self.matrix(), self.palette)
        self._show_about(progress)
        marks = self.marks()
        self.query_one("#legend", Static).update(legend(marks, self.size.width - 2, self.palette))
        if plots:
            self._show_plots()
            self._plots_due_s = monotonic() + PLOTS_EVERY_S
        self.refresh_bindings()

    def matrix(self) -> MatrixData:
        """Returns the matrix of the cells."""
        return parts.matrix(self.sweep, self.palette)

    def marks(self) -> list[tuple[Mark, str]]:
        """Returns the marks that the matrix holds, each with its meaning."""
        return parts.legend_of(self.sweep, self.palette)

    def about(
        self, level: LevelState, cell: CellState, progress: Progress | None
    ) -> tuple[list[str], list[str]]:
        """Returns what is known of a level and of a cell, in clauses that are not to be broken."""
        assert self.sweep.plan is not None
        spec = self.sweep.plan.spec
        said = parts.about_level(level, spec.search.tolerance)
        return said, parts.about_cell(cell, spec.seed, progress)

    def counted(self) -> list[str]:
        """Returns the counts of the cells in clauses."""
        return parts.counted(self.sweep)

    def word_of(self, cell: CellState) -> str:
        """Returns the state of a cell in words."""
        return sweeps.word_of(cell)

    def _show_about(self, progress: Progress | None) -> None:
        """Draws the lines about the level and the cell under the cursor."""
        level, cell = self._level(), self._cell()
        lines: list[str] = []
        if level is not None and cell is not None:
            width = self.size.width - 2
            for said in self.about(level, cell, progress):
                lines += flowed(said, width, " ")
            lines += told_in(sweeps.sentence_of(cell), width, ABOUT - len(lines))
        self.query_one("#about", Static).update(Text("\n".join(filter(None, lines))))

    def _share_out(self) -> None:
        """Gives the matrix the lines that it needs, and the plots the rest, or none."""
        rows, others = len(self.sweep.levels) + 1, 8
        room = self.size.height - others
        alone = self.has_class("-plots")
        both = room >= LEAST_PLOTS + min(rows, 4) and self.size.width >= 40
        self.query_one(Matrix).display = not alone
        self.query_one("#plots").display = alone or both
        self.query_one(Matrix).styles.height = min(rows, room - LEAST_PLOTS if both else room)

    def _show_head(self) -> None:
        """Draws the lines of counts and faults."""
        now, width = self.sweep, self.size.width
        about = ""
        if now.plan is not None:
            spec, about = now.plan.spec, now.plan.about
            about += f" · seed {spec.seed} · {spec.device}" if width >= 100 else ""
        name = Text.assemble((self.folder.name, "bold"), f"  {about}")
        state = Text.assemble((now.state, style_of(now.state)), f"  {clock(now.elapsed_s)}")
        lines = [apart(name, state, width - 2)]
        lines += [Text(line) for line in flowed(self.counted(), width - 2)]
        lines += parts.words_below(now, width - 2)
        self.query_one("#head", Static).update(Text("\n").join(lines))

    def _show_plots(self) -> None:
        """Draws both plots, if they are shown."""
        if not self.query_one("#plots").display:
            return
        rows = tuple(level.row for level in self.sweep.levels)
        for number, name in enumerate(("#length-plot", "#beads-plot")):
            plot = parts.plot(rows, self._paper(), number, self.log_scale)
            self.query_one(name, PlotView).show(plot, self.palette)

    def _paper(self) -> Published | None:
        """Returns the paper's points for the problem of this sweep, if there are any."""
        plan = self.sweep.plan if isinstance(self.sweep.plan, Plan) else None
        if self._published[0] is not plan:
            self._published = plan, published_for(plan.spec) if plan is not None else None
        return self._published[1]

    # ------------------------------------------------------------ the cursor

    def _level(self) -> LevelState | None:
        """Returns the level under the cursor, or None where there is none."""
        levels, row = self.sweep.levels, self._row_and_column()[0]
        return levels[row] if row < len(levels) else None

    def _cell(self) -> CellState | None:
        """Returns the cell under the cursor, or None where there is none."""
        level, column = self._level(), self._row_and_column()[1]
        return level.cells[column] if level is not None and column < len(level.cells) else None

    def _row_and_column(self) -> tuple[int, int]:
        """Returns the place of the cursor."""
        found = self.query(Matrix)
        return (found.first().cursor.row, found.first().cursor.column) if found else (0, 0)

    @on(Matrix.Moved)
    def _moved(self) -> None:
        """Tells about the cell under the cursor."""
        self._show(plots=False)

    def action_copy(self) -> None:
        """Copies the path of the run under the cursor."""
        cell = self._cell()
        if cell is not None:
            copy(self.app, str(cell.cell.run.path))

    def find(self, text: str, step: int) -> Hit | None:
        """See `Finding`. Finds cells by the pair's number or the words of their state."""
        matrix, cells = self.query_one(Matrix), self.sweep.cells
        pairs = max(1, self.sweep.plan.pairs if self.sweep.plan is not None else 1)
        fits = [
            cell.cell.pair == int(text) if text.isdecimal() else has(self.word_of(cell), text)
            for cell in cells
        ]
        hit = next_hit(fits, matrix.cursor.row * pairs + matrix.cursor.column, step)
        if hit is not None:
            matrix.go_to(hit.number // pairs, hit.number % pairs)
        return hit

    @on(Matrix.Chosen)
    def _open(self) -> None:
        """Opens the screen of the run under the cursor, where there is one yet."""
        cell = self._cell()
        if cell is None:
            return
        if cell.brief.state == "waiting":
            self.notify(self.no_run_of(cell))
            return
        self.post_message(WatchRun(cell.cell.run, cell=True))

    def no_run_of(self, cell: CellState) -> str:
        """Returns why there is no run of a cell to be opened."""
        return f"pair {cell.cell.pair} waits; its run has not begun"

    # ------------------------------------------------------------ keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hides the keys of commands that the sweep cannot take now."""
        if action == "pause":
            return self.sweep.state in ("running", "paused")
        if action == "stop":
            return self.sweep.going
        if action == "resume":
            return self.sweep.state in ("unfinished", "lost")
        return True

    @property
    def steered(self) -> RunDir:
        """See `Steering`."""
        return self.folder

    @property
    def _kind(self) -> str:
        """The word for what the folder holds."""
        return kind_of(self.folder.path) or "sweep"

    @property
    def stop_question(self) -> str:
        """See `Steering`."""
        return f"Stop the {self._kind}? Its checkpoints are written and it can be resumed."

    @property
    def is_paused(self) -> bool:
        """See `Steering`."""
        return self.sweep.state == "paused"

    def launch_again(self, agreed: bool) -> str:
        """See `Steering`."""
        return sweeps.resume(self.folder, agreed=agreed)

    def launched(self) -> None:
        """See `Steering`."""
        self.follower.launched_now()
        self._look()

    def action_view(self, name: str) -> None:
        """Shows the matrix over the plots, or with "-plots" the plots alone."""
        self.set_class(name == "-plots", "-plots")
        self._shown = None
        self._show(plots=False)
        self.call_after_refresh(self._show_plots)
        self.query_one(Matrix).focus()

    def action_log_scale(self) -> None:
        """Changes between linear and logarithmic scales."""
        self.log_scale = not self.log_scale
        self._show()

    @work
    async def action_leave(self) -> None:
        """Leaves the sweep, after a question where its engine has cells left to search."""
        if self.sweep.going and self.sweep.left:
            answers = {"l": "leave it running", "x": "stop it"}
            question = f"The {self._kind} is running. It goes on by itself if you leave."
            answer = await self.app.push_screen_wait(Confirm(question, answers))
            if answer is None:
                return
            if answer == "x":
                self.ask("stop")
        self.post_message(LeaveRun(self, self.folder, self.sweep.exit_status))


class CellScreen(RunScreen):
    """The screen of the run of a cell, from which the user comes back to the dashboard."""

    def action_leave(self) -> None:  # type: ignore[override]  # the other one is a worker
        """Leaves the run without a question, since its sweep is watched and stopped elsewhere."""
        self.post_message(LeaveRun(self, self.run, self.snapshot.exit_status))
