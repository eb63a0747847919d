"""The keys of the next steps from a run that has ended, and what tells that it has."""

from __future__ import annotations

from contextlib import suppress

from textual.binding import Binding

from dss_tui.tui.screens.again import NewRun, Plan
from dss_tui.tui.screens.said import Said
from dss_tui.tui.screens.selecting import Selecting
from dss_tui.tui.settings import Settings, settings
from dss_tui.tui.widgets.card import headline
from dss_tui.tui.window import restore_title, set_title
from dss_tui.viewing import diagnosis
from engine.errors import InputError
from engine.owners import belongs_to_another, written_by_another
from engine.record.bracket import LOWEST
from engine.record.events import Outcome
from engine.record.finding import name_after
from engine.record.reading import Damaged, check_regular
from engine.spec.trust import RUN_FACTORIES

#: The actions of this part, by the words of the card.
STEPS = (
    ("diagnose", "d diagnosis"),
    ("verify", "v verify"),
    ("tighten", "t tighten"),
    ("export", "e export"),
    ("again", "n run again with changes"),
    ("replay", "space replay"),
)


#: The keys of this part, but for the export.
KEYS = (
    Binding("d", "diagnose", "diagnosis", id="run.diagnose"),
    Binding("v", "verify", "verify", id="run.verify"),
    Binding("t", "tighten", "tighten", id="run.tighten"),
    Binding("n", "again", "run again", id="run.again"),
)


class Ended(Selecting):
    """The part of a run's screen that goes on from its end."""

    _titled = False
    """Whether the window has a title from this screen."""

    def goes_on_by(self, action: str) -> bool:
        """Returns whether a next step can be taken from where the run is now."""
        ended = self.seen.view.finished
        if action == "again":
            return not self.seen.going
        if ended is None or self.seen.going:
            return False
        if action == "diagnose":
            return True
        return self._has_string() and (action == "verify" or ended.outcome is Outcome.CONNECTED)

    def next_steps(self) -> list[str]:
        """Returns the next steps that can be taken now, with their keys."""
        return [words for action, words in STEPS if self.check_action(action, ())]

    def _has_string(self) -> bool:
        """Returns whether the run has left a string."""
        with suppress(Damaged):
            return check_regular(self.run.string)
        return False

    def action_diagnose(self) -> None:
        """Shows how the run ended and what its diagnosis found."""
        ended = self.seen.view.finished
        if ended is not None:
            words = "\n\n".join(_paragraphs(diagnosis.words(ended)))
            self.app.push_screen(Said(headline(ended), words))

    def action_verify(self) -> None:
        """Measures the run's string from scratch in a process of its own, and shows its answer."""
        waiting = "measuring every segment of the string again …"
        another = belongs_to_another(self.run.path) or written_by_another(self.run.string)
        trusted = () if another else (RUN_FACTORIES,)
        command = ("verify", str(self.run.string), *trusted)
        self.app.push_screen(Said(f"dss-tui verify {self.run.string}", waiting, command))

    def action_tighten(self) -> None:
        """Asks for a lower level, to which a new run brings this run's string."""
        level = self.seen.level or 1.0
        self.app.push_screen(
            NewRun(
                Plan(
                    self.run,
                    name_after(self.run.name, "tight"),
                    f"Bring the string of {self.run.name}, level {level:g}, below a lower level",
                    f"{level / 2:g}",
                    (f"search.string={self.run.string.absolute()}",),
                )
            )
        )

    def action_again(self) -> None:
        """Asks for changes, with which a new run does what this one did."""
        words = f"Run {self.run.name} again, in a new run, with changes"
        started, name = self.seen.view.started, name_after(self.run.name, "again")
        asked = "" if started is None else started.level_asked
        level = LOWEST if asked == LOWEST else f"{self.seen.level or 1.0:g}"
        self.app.push_screen(NewRun(Plan(self.run, name, words, level)))

    def tell_the_end(self) -> None:
        """Rings the bell and names the outcome in the window's title, as the user's settings say.

        Settings that cannot be read are told, and both are done.
        """
        ended = self.seen.view.finished
        if ended is None:
            return
        try:
            wanted = settings()
        except InputError as error:
            self.notify(str(error), severity="warning")
            wanted = Settings()
        if wanted.bell:
            self.app.bell()
        if wanted.title:
            self._give_title_back()
            set_title(self.app, f"{headline(ended)} · {self.run.name}")
            self._titled = True

    def _give_title_back(self) -> None:
        """Brings the window's title back, if this screen has set another one."""
        if self._titled:
            restore_title(self.app)
            self._titled = False

    def on_unmount(self) -> None:
        """Leaves the window with the title that it had."""
        self._give_title_back()


def _paragraphs(lines: list[str]) -> list[str]:
    """Returns the paragraphs of a text, of which one is made of the lines that are indented."""
    facts = [line for line in lines if line.startswith(" ")]
    first, *rest = [line for line in lines if not line.startswith(" ")]
    return [first, *(["\n".join(facts)] if facts else []), *rest]
