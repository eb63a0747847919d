"""The keys that play a run that has ended from its events."""

from __future__ import annotations

from textual.binding import Binding
from textual.screen import Screen
from textual.timer import Timer

from dss_tui.viewing.follow import Follower, Snapshot
from dss_tui.viewing.replay import Player, Replay
from dss_tui.viewing.words import short_clock

#: The shares of the whole that a key goes back or on.
STRIDE = 1 / 40
#: The actions that there are only during a replay.
ACTIONS = ("scrub", "scrub_event", "scrub_to", "faster")

#: The keys of this part.
KEYS = (
    Binding("space", "replay", "replay", id="run.replay"),
    Binding("comma", "scrub(-1)", "back", id="replay.back"),
    Binding("full_stop", "scrub(1)", "on", id="replay.on"),
    Binding("less_than_sign", "scrub_event(-1)", "event back", show=False),
    Binding("greater_than_sign", "scrub_event(1)", "event on", show=False),
    Binding("home", "scrub_to(0.0)", "start", show=False, priority=True),
    Binding("end", "scrub_to(1.0)", "end", show=False, priority=True),
    Binding("plus,equals_sign", "faster(1)", "faster", id="replay.faster"),
    Binding("minus", "faster(-1)", "slower", id="replay.slower"),
)


class Replaying(Screen[None]):
    """The part of a run's screen that replays it."""

    follower: Follower
    seen: Snapshot
    """The run as its folder shows it now."""

    def __init__(self, every_s: float) -> None:
        """Makes the screen, whose replays are drawn a few times as often as every `every_s` s."""
        super().__init__()
        self.player: Player | None = None
        """How far the replay is, or None while there is none."""
        self._replay: Replay | None = None
        self._tick_s = 0.4 * every_s
        self._ticks: Timer | None = None
        self._past: tuple[float, Snapshot] | None = None

    @property
    def snapshot(self) -> Snapshot:
        """The moment of the run that is shown."""
        if self.player is None or self._replay is None:
            return self.seen
        if self._past is None or self._past[0] != self.player.place:
            self._past = self.player.place, self._replay.at(self.player.place)
        return self._past[1]

    @property
    def shown_s(self) -> float:
        """The running time of that moment in seconds."""
        now = self.seen
        if self.player is not None and self._replay is not None:
            return self._replay.seconds(self.player.place)
        seconds = max(now.view.time_s, now.progress.time if now.progress else 0.0)
        at_work = now.live and now.state != "paused" and now.view.seq > 0
        return seconds + (now.silent_s if at_work else 0.0)

    @property
    def replay_words(self) -> str:
        """How far the replay is, in words, or nothing where there is none."""
        if self.player is None or self._replay is None:
            return ""
        held = "" if self.player.playing else " held"
        speed = "" if self.player.speed == 1 else f" ×{self.player.speed:g}"
        whole = short_clock(self._replay.duration_s)
        return f"replay {short_clock(self.shown_s)} of {whole}{speed}{held}"

    def replays(self, action: str) -> bool:
        """Returns whether an action of a replay can be taken now."""
        if action == "replay":
            return self.player is not None or (not self.seen.going and self.seen.view.seq > 0)
        return self.player is not None

    def end_replay(self) -> None:
        """Shows the run as it is now."""
        if self._ticks is not None:
            self._ticks.stop()
        self.player = self._replay = self._ticks = self._past = None
        self.moved()

    def moved(self) -> None:
        """Draws the moment that is shown now."""
        raise NotImplementedError

    def _tick(self) -> None:
        """Goes on with the replay."""
        if self.player is not None and self.player.playing:
            self.player = self.player.after(self._tick_s)
            self.moved()

    def action_replay(self) -> None:
        """Plays the run from its start, or ends the replay."""
        if self.player is not None:
            self.end_replay()
            return
        self._replay = Replay(self.follower.records, self.seen)
        self.player = Player()
        self._ticks = self.set_interval(self._tick_s, self._tick)
        self.moved()

    def hold_replay(self) -> None:
        """Holds the replay still, or lets it go on."""
        self._to(self.player and self.player.toggled())

    def _to(self, player: Player | None) -> None:
        """Goes on with another place or speed."""
        if player is not None:
            self.player = player
            self.moved()

    def action_scrub(self, strides: int) -> None:
        """Goes some strides back or on, and stands still there."""
        self._to(self.player and self.player.to(self.player.place + strides * STRIDE))

    def action_scrub_event(self, events: int) -> None:
        """Goes some events back or on, and stands still there."""
        if self.player is not None and self._replay is not None:
            self._to(self.player.to(self._replay.event(self.player.place, events)))

    def action_scrub_to(self, place: float) -> None:
        """Goes to a place, and stands still there."""
        self._to(self.player and self.player.to(place))

    def action_faster(self, step: int) -> None:
        """Goes on at another speed."""
        self._to(self.player and self.player.faster(step))
