"""The screen with a loss plane, which it asks a live engine for or has measured after the end."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from dss_tui.tui.palette import palette_of
from dss_tui.tui.screens.dialog import Dialog
from dss_tui.tui.widgets.key_row import KeyRow
from dss_tui.tui.widgets.picture_view import Pictured
from dss_tui.tui.widgets.plane import PlaneView
from dss_tui.tui.widgets.plane_picture import PlanePainting
from dss_tui.viewing.process import POLL, finished
from engine.errors import InputError, SaveError
from engine.record.commands import PlaneThrough, send
from engine.record.lock import is_live
from engine.record.loss_plane import Answer, LossPlane, Triple, path_of, read_answer
from engine.record.progress import Progress
from engine.record.reading import Damaged, stamp
from engine.record.rundir import RunDir

#: The option by which the command line is allowed to run functions that a string file names.
TRUST = "--run-factories"


def three_around(progress: Progress, pair: tuple[int, int]) -> Triple | None:
    """Returns the ids of the beads whose plane shows a segment best, its own two first.

    The third is the bead in training between them, or else the next one along the string, or the
    one before. Returns None where there is none, or no such segment.
    """
    segment = next((each for each in progress.segments if each.pair == pair), None)
    if segment is None:
        return None
    order = progress.order
    at = order.index(segment.left) if segment.left in order else len(order)
    beside = [*order[at + 2 : at + 3], *order[max(0, at - 1) : at]]
    third = next((bead for bead in (segment.bead, *beside) if bead is not None), None)
    return None if third is None else (*pair, third)


class PlaneScreen(Dialog[None]):
    """A screen with the loss plane through three beads of a run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "close"),
        Binding("r", "again", "measure again", id="plane.again"),
        Binding("y", "trust", "run its functions", id="plane.trust"),
    ]

    def __init__(self, run: RunDir, beads: Triple) -> None:
        """Makes the screen of the plane through the beads with these ids."""
        super().__init__()
        self._run, self._beads = run, beads
        self._plane: LossPlane | None = None
        self._asks_for_trust = False

    def compose(self) -> ComposeResult:
        """Lays out the plane, or a sentence in its place, over a row of keys."""
        yield Static(id="said", markup=False)
        yield Pictured(PlaneView(id="plane-text"), id="plane")
        yield KeyRow()

    def on_mount(self) -> None:
        """Asks for the plane, and draws it anew where the theme changes."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw())
        self.action_again()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Shows the key that allows functions of the user's own only where they are asked for."""
        return self._asks_for_trust if action == "trust" else True

    def action_again(self) -> None:
        """Measures the plane, of the present weights where the run is live."""
        self._measure(trusted=False)

    def action_trust(self) -> None:
        """Measures the plane by functions that the run names."""
        self._measure(trusted=True)

    @work(exclusive=True)
    async def _measure(self, *, trusted: bool) -> None:
        """Gets the plane, and shows it or the reason why there is none."""
        self._say("measuring the plane …")
        try:
            answer = await self._asked() if is_live(self._run) else None
            if answer is None:
                answer = await self._measured(trusted=trusted)
        except (SaveError, InputError) as error:
            self._say(error.short if isinstance(error, Damaged) else str(error))
            return
        if isinstance(answer, LossPlane):
            self._plane = answer
            self._draw()
        elif answer is not None:
            self._say(f"No plane: {answer.reason}.")

    async def _asked(self) -> Answer | None:
        """Returns the answer of the run's engine, or None where it ended without one.

        Raises SaveError where it cannot be asked, and Damaged where its answer cannot be read.
        """
        self._say("asked the engine for the plane; it answers between two rounds …")
        file = path_of(self._run, self._beads)
        before = stamp(file)
        send(self._run, PlaneThrough(self._beads))
        live = True
        while live:
            live = is_live(self._run)  # before the look, which then sees a last answer
            if stamp(file) not in (None, before):
                return read_answer(self._run, self._beads)
            await asyncio.sleep(POLL)
        return None

    async def _measured(self, *, trusted: bool) -> Answer | None:
        """Returns the plane as the command line measures it, or says why it does not.

        It is a process of its own, which ends with this screen. Raises Damaged.
        """
        self._say("measuring the plane of the newest string …")
        beads = ",".join(map(str, self._beads))
        command = [sys.executable, "-P", "-m", "dss_tui", "measure", str(self._run.path)]
        command += ["--plane", beads, *([TRUST] if trusted else [])]
        with tempfile.TemporaryFile() as output:
            status = await finished(command, output)
            output.seek(0)
            words = output.read().decode(errors="replace").strip()
        answer = read_answer(self._run, self._beads) if status == 0 else None
        if status == 0:
            # Nothing is written to the folder of a run with which an engine goes on meanwhile.
            self._say("The search goes on; r asks its engine for the plane.")
            return answer
        asks = TRUST in words
        self._say(words.replace(f"give {TRUST}", "press y"), asks=asks)
        return None

    def _say(self, words: str, *, asks: bool = False) -> None:
        """Shows a sentence in place of the plane, and whether the user is asked for trust."""
        if asks != self._asks_for_trust:
            self._asks_for_trust = asks
            self.refresh_bindings()
        self._plane = None
        self.query_one("#said", Static).update(words)
        self._draw()

    def _draw(self) -> None:
        """Draws the plane, or leaves its room to the sentence."""
        said, view = self.query_one("#said", Static), self.query_one(Pictured)
        said.display, view.display = self._plane is None, self._plane is not None
        palette = palette_of(self.app)
        if self._plane is not None and not view.show(PlanePainting(self._plane), palette):
            self.query_one(PlaneView).show(self._plane, palette)
