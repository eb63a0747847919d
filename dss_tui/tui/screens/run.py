"""The screen of a run, which shows what the run's directory holds, live or not."""

from __future__ import annotations

from time import monotonic
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static, TabbedContent

from dss_tui.tui.copying import copy
from dss_tui.tui.device import Gauge, Gpus
from dss_tui.tui.messages import LeaveRun
from dss_tui.tui.palette import fitting
from dss_tui.tui.screens.confirm import Confirm
from dss_tui.tui.screens.ended import KEYS as NEXT_STEPS
from dss_tui.tui.screens.ended import STEPS, Ended
from dss_tui.tui.screens.export import ExportDialog
from dss_tui.tui.screens.replaying import ACTIONS as REPLAY_ACTIONS
from dss_tui.tui.screens.replaying import KEYS as REPLAY_KEYS
from dss_tui.tui.screens.selecting import HIGH
from dss_tui.tui.screens.selecting import KEYS as SELECTING_KEYS
from dss_tui.tui.screens.steering import Steering
from dss_tui.tui.screens.views import VIEWS, Looked, Views
from dss_tui.tui.widgets.arc import rail_line, same
from dss_tui.tui.widgets.card import card, tone
from dss_tui.tui.widgets.head import Frame, head
from dss_tui.tui.widgets.key_row import KeyRow
from dss_tui.tui.widgets.segment_table import SegmentTable
from dss_tui.tui.widgets.selection import about
from dss_tui.viewing import counters, session
from dss_tui.viewing.engine_log import EngineLog, warned
from dss_tui.viewing.follow import Follower, Snapshot
from dss_tui.viewing.view_state import sentence
from dss_tui.viewing.words import short_clock
from engine.record.rundir import RunDir

#: The columns and rows below which only the head and the rail are shown (see app.tcss).
SMALLEST = (60, 16)
#: The actions whose keys come and go with the state of the run.
CHANGING = ("pause", "stop", "resume", "scrub", *(action for action, _ in STEPS))
#: The seconds between redrawn plots while nobody presses a key.
PLOTS_EVERY_S = 2.0


class RunScreen(Ended, Steering):
    """The screen of a run: its head, its views along the string, and a line on the newest event."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,escape", "leave", "leave", id="run.leave"),
        Binding("p", "pause", "pause/go on", id="run.pause"),
        Binding("x", "stop", "stop", id="run.stop"),
        Binding("r", "resume", "resume", id="run.resume"),
        *NEXT_STEPS,
        Binding("e", "export", "export", id="run.export"),
        *REPLAY_KEYS,
        Binding("y", "copy", "copy the line of the selection", id="run.copy", show=False),
        Binding("Y", "copy_path", "copy the run's path", id="run.copy-path", show=False),
        Binding("f", "freeze", "freeze the view", id="run.freeze", show=False),
        Binding("s", "sort", "sort the segments", id="run.sort", show=False),
        *SELECTING_KEYS,
        *(
            Binding(str(number), f"tab('{name}')", name, id=f"run.{name}", show=False)
            for number, name in enumerate(VIEWS, 1)
        ),
    ]

    def __init__(self, run: RunDir, *, launched: bool = False, every_s: float = 0.5) -> None:
        """Makes the screen, which reads the run every `every_s` seconds.

        `launched` says that an engine has just been launched on the run.
        """
        super().__init__(every_s)
        self.run = run
        self.follower = Follower(run, launched)
        self.seen = self.follower.look()
        self._gpus = Gpus(run)
        self._gauges: tuple[Gauge, ...] = ()
        self.frozen = False
        self._shown: object = None
        self._plots_due_s = 0.0
        self._keys: list[bool | None] = []
        self._put: dict[str, Text] = {}
        self._engine_log = EngineLog(run)
        self._warning = ""
        """The engine's newest warning, which is told as long as there is no newer event."""
        self._logged = False
        """Whether the log was read before, so that what is new in it was written since then."""

    def compose(self) -> ComposeResult:
        """Lays out the head, the verdict, the views and two lines of words over a row of keys."""
        yield Static(id="head")
        yield Static(id="card")
        yield Static(id="rail")
        yield Views(id="room")
        yield Static(id="selection")
        yield Static(id="event")
        yield KeyRow()

    def on_mount(self) -> None:
        """Shows what is known at once, and then reads the run from time to time."""
        self._log()
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
        went = self.seen.going
        self.seen = self.follower.look()
        started = self.seen.view.started
        self._gauges = self._gpus.look(started.devices) if self.seen.live and started else ()
        self._log()
        if went and not self.seen.going and self.seen.view.finished is not None:
            self.tell_the_end()
        self._show(plots=not self.seen.going or monotonic() >= self._plots_due_s)

    def moved(self) -> None:
        """Draws the moment of a replay."""
        self._show()

    def _show(self, *, plots: bool = True) -> None:
        """Draws everything if anything has changed.

        Plots cost most of the bytes on a slow line, so a caller may leave them out.
        """
        now = self.snapshot
        heads = self.query("#head")
        # The panel of keys takes some of the width.
        key = (*(head.content_size.width for head in heads), *self._drawn_from(now))
        if key == self._shown or not heads:
            return  # nothing is new, or the screen is going
        self._shown = key
        if self.following and (now.going or now.replayed):
            self.follow_the_action()
        looked = self.looked()
        self._show_words(looked)
        self.query_one(Views).show(looked, plots=plots)
        if plots:
            self._plots_due_s = monotonic() + PLOTS_EVERY_S
        self._show_keys()

    def _drawn_from(self, now: Snapshot) -> tuple[object, ...]:
        """Returns all that the screen depends on, besides its size."""
        return (
            now.state,
            now.view.seq,
            now.progress and (now.progress.time, now.progress.seq),
            now.damaged,
            self._warning,
            now.live and int(self.shown_s),
            self.replay_words,
            self.selected,
            self.cursor_t,
            self.log_scale,
            self.side,
            self.frozen,
            self.following,
            self.app.theme,
        )

    def _show_keys(self) -> None:
        """Makes the row of keys anew where keys have come or gone, since that takes its time."""
        keys = [self.check_action(action, ()) for action in CHANGING]
        if keys != self._keys:
            self._keys = keys
            self.refresh_bindings()

    def _show_words(self, looked: Looked) -> None:
        """Draws the lines around the views."""
        now, rows = looked.now, self.size.height
        width = self.query_one("#head", Static).content_size.width or self.size.width - 2
        frame = Frame(
            name=self.run.name,
            seconds=self.shown_s,
            width=width,
            lines=1 if SMALLEST[1] <= rows < 20 else 2 if rows < HIGH else 4,
            frozen=self.frozen,
            replay=self.replay_words,
            gauges=() if now.replayed else self._gauges,
        )
        self._say("head", head(now, frame, looked.palette))
        self._show_card(width)
        self._show_rail(looked, width)
        said = ""
        if looked.scene is not None:
            said = about(looked.scene, looked.what, self.selected, self.cursor_t, width)
        self._say("selection", Text(said, no_wrap=True))
        self.tell_event()

    def tell_event(self) -> None:
        """See `Selecting`. What the mouse is at takes the place of the newest event."""
        newest, words = self.snapshot.view.newest, self._warning
        if newest and not (words and self.seen.live and self.player is None):
            words = f"{short_clock(newest.time)} {sentence(newest)}"
        pointed = self.pointed_at(self.size.width - 2)
        style = self.palette.highlight if pointed else self.palette.dim
        self._say("event", Text(pointed or words, style, no_wrap=True, overflow="ellipsis"))

    def _say(self, place: str, words: Text) -> None:
        """Puts words into a place, unless they stand there in the same styles."""
        before = self._put.get(place)
        if before is None or not same(before, words):
            # The screen is laid out anew only where the place may need another height.
            layout = before is None or before.plain.count("\n") != words.plain.count("\n")
            self.query_one(f"#{place}", Static).update(words, layout=layout)
            self._put[place] = words

    def _show_card(self, width: int) -> None:
        """Draws the verdict on a run that has ended."""
        shown, ended = self.query_one("#card", Static), self.snapshot.view.finished
        shown.display = ended is not None and not self.snapshot.going
        if ended is not None:
            for name in ("good", "bad", "open"):
                shown.set_class(name == tone(ended), f"-{name}")
            steps, rows = self.next_steps(), self.size.height
            self._say("card", card(ended, steps, width - 2, rows, self.palette))

    def _show_rail(self, looked: Looked, width: int) -> None:
        """Draws the rail where the landscape, which has one, is not seen."""
        shown = self.query_one("#rail", Static)
        small = self.size.width < SMALLEST[0] or self.size.height < SMALLEST[1]
        shown.display = small or self.query_one(Views).active != "landscape"
        if looked.scene is not None:
            self._say("rail", rail_line(looked.scene, width, self.selected, looked.palette))
        elif looked.now.progress is not None and looked.now.progress.training:
            self._say("rail", Text("\n").join(counters.training(looked.now.progress)))
        else:
            self._say("rail", Text(fitting(width, "no beads yet")))

    def _log(self) -> None:
        """Adds new events and warnings of the engine to the log."""
        lines = self._engine_log.new_lines()
        if self.seen.new:
            self._warning = ""
        for words in warned(lines) if self._logged or not self.seen.new else ():
            self._warning = words
        self._logged = True
        if self.seen.new or lines:
            self.query_one(Views).log_events(self.seen.new, lines)

    @on(TabbedContent.TabActivated)
    def _tab_changed(self) -> None:
        """Draws the new view."""
        self._shown = None
        self.call_after_refresh(self._show)

    def action_tab(self, name: str) -> None:
        """Shows one of the views."""
        self.query_one(Views).open(name)

    # ------------------------------------------------------------ keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hides the keys of commands that the run cannot take now."""
        if action in ("turn", "front"):
            return self.projected
        if action == "pause":
            return self.player is not None or self.seen.live
        if action == "stop":
            return self.seen.live
        if action == "resume":
            return self.seen.can_resume
        if action == "export":
            progress = self.seen.progress
            return (progress is not None and bool(progress.segments)) or self.run.string.exists()
        if action in ("replay", *REPLAY_ACTIONS):
            return self.replays(action)
        if action in ("diagnose", "verify", "tighten", "again"):
            return self.goes_on_by(action)
        return True

    @property
    def steered(self) -> RunDir:
        """See `Steering`."""
        return self.run

    @property
    def stop_question(self) -> str:
        """See `Steering`."""
        return "Stop the search? It can be resumed from its checkpoint."

    @property
    def is_paused(self) -> bool:
        """See `Steering`."""
        return self.seen.state == "paused"

    def launch_again(self, agreed: bool) -> str:
        """See `Steering`."""
        return session.resume(self.run, agreed=agreed)

    def launched(self) -> None:
        """See `Steering`."""
        self.follower.launched_now()
        self._look()

    def action_pause(self) -> None:
        """Asks the engine to pause, or to go on where it pauses. A replay is held likewise."""
        if self.player is not None:
            self.hold_replay()
        else:
            super().action_pause()

    def action_export(self) -> None:
        """Opens the export dialog."""
        self.app.push_screen(ExportDialog(self.run))

    def action_copy(self) -> None:
        """Copies the line about the selected bead or segment, or how the run ended."""
        ended = self.seen.view.finished
        words = self._put["selection"].plain if "selection" in self._put else ""
        copy(self.app, words.strip() or (ended.sentence if ended is not None else self.run.name))

    def action_copy_path(self) -> None:
        """Copies the path of the run."""
        copy(self.app, str(self.run.path))

    def action_freeze(self) -> None:
        """Holds the view still, or lets it go on. The run goes on in any case."""
        self.frozen = not self.frozen
        self._show()

    def action_sort(self) -> None:
        """Sorts the segments in the next of the table's orders."""
        sorting = self.query_one(SegmentTable).next_sorting()
        self._shown = None
        self._show()
        self.notify(f"sorted by {sorting}")

    @work
    async def action_leave(self) -> None:
        """Ends a replay, or leaves the run, after a question where its engine is at work."""
        if self.player is not None:
            self.end_replay()
            return
        if self.seen.going:
            answers = {"l": "leave it running", "x": "stop it"}
            question = "The search is running. It goes on by itself if you leave."
            answer = await self.app.push_screen_wait(Confirm(question, answers))
            if answer is None:
                return
            if answer == "x":
                self.ask("stop")
        self.post_message(LeaveRun(self, self.run, self.seen.exit_status))
