"""The widget that shows a string along one axis of distance: its landscape, rail and tree."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text
from textual.events import Click, Leave, MouseEvent, MouseMove
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from dss_tui.tui.palette import Palette, fitting, styled
from dss_tui.tui.widgets.landscape import LEFT, RIGHT, landscape
from dss_tui.tui.widgets.rail import BEADS, column, crowd, rail
from dss_tui.tui.widgets.tree import rows as tree_rows
from dss_tui.tui.widgets.tree import tree
from dss_tui.viewing.glossary import GLYPHS
from dss_tui.viewing.scene import Scene

#: The fewest lines of a landscape beside a tree, and the fewest lines in which there is a title.
LANDSCAPE, TITLED = 5, 7


@dataclass(frozen=True)
class Shown:
    """What the widget draws, apart from its size."""

    scene: Scene
    what: str
    """The objective in words, such as training loss."""
    selected: int | None
    """The selected bead or segment: 2k is bead k, and 2k+1 the segment after it."""
    at: float | None
    """The place of the cursor as a share of the length, or None for no cursor."""
    turned: bool
    """Whether the scale is the other one of linear and logarithmic than by default."""
    legend: bool
    """Whether a line at the foot tells the meaning of the glyphs."""
    palette: Palette


@dataclass(frozen=True)
class Layout:
    """How many lines each part of the widget has."""

    title: int
    landscape: int
    tree: int
    legend: int

    @classmethod
    def of(cls, height: int, depths: int, *, legend: bool) -> Layout:
        """Returns the layout for a height in lines and a number of depths of the tree.

        The rail always has its line. The landscape comes next, then a title, three depths of the
        tree, and more of both in turn.
        """
        title = int(height >= TITLED)
        foot = int(legend and height >= 2 * TITLED)
        room = height - 1 - title - foot
        below = min(depths, max(min(3, room - LANDSCAPE), room // 3, 0))
        return cls(title, max(room - below, 0), below, foot)


def columns_of(width: int) -> int:
    """Returns the number of columns of the axis in a widget of a width."""
    return max(width - LEFT - RIGHT, 10)


def picture(shown: Shown, width: int, height: int) -> list[Text]:
    """Returns the lines of the widget, at most `height` of them."""
    scene, palette, columns = shown.scene, shown.palette, columns_of(width)
    depths = len(tree_rows(scene, height))
    layout = Layout.of(height, depths, legend=shown.legend)
    cursor = None if shown.at is None else column(shown.at, columns)
    area, log = landscape(
        scene, columns, layout.landscape, palette, turned=shown.turned, cursor=cursor
    )
    lines = [styled([(title(shown, log, width, columns), palette.dim)])] * layout.title
    lines += [*area, rail_line(scene, width, shown.selected, palette)]
    lines += tree(scene, columns, layout.tree, palette, shown.selected)
    lines += [legend(width, palette)] * layout.legend
    return lines[:height]


def title(shown: Shown, log: bool, width: int, columns: int) -> str:
    """Returns the line above the landscape, with as much as fits into the width."""
    scene = shown.scene
    aim = f"aim {scene.aim:.4g} → {scene.level:g}" if scene.aim is not None else ""
    crowded = crowd(scene, columns)
    parts = [
        f"{shown.what} along the string{'' if scene.whole else ', as far as events tell it'}",
        aim,
        "" if scene.to_scale else "beads evenly spaced: their distances are not known",
        "" if scene.whole else "straight lines between beads and peaks",
        "log" if log else "",
        f"distance {scene.length:.3g}" if scene.to_scale else "",
        f"up to {crowded} beads a column" if crowded > 1 else "",
    ]
    said = [part for part in parts if part]
    wordings = [" · ".join(said[:count]) for count in range(len(said), 0, -1)]
    return fitting(width, *wordings)


def legend(width: int, palette: Palette) -> Text:
    """Returns the line of the meanings of glyphs, with as many as fit into the width."""
    parts = [f"{each.glyph} {each.word}" for each in GLYPHS]
    while len(parts) > 1 and len("  ".join(parts)) > width:
        parts.pop()
    return styled([(fitting(width, "  ".join(parts)), palette.dim)])


def rail_line(scene: Scene, width: int, selected: int | None, palette: Palette) -> Text:
    """Returns the rail between the names of the ends, in a width."""
    left, right = f"{'θ₁':>{LEFT - 1}} ", " θ₂"
    drawn = rail(scene, columns_of(width), selected, palette)
    return Text.assemble((left, palette.axis), drawn, (right, palette.axis), no_wrap=True, end="")


@dataclass(frozen=True)
class Spot:
    """A place on a string that the mouse is at."""

    share: float
    """The place as a share of the length."""
    bead: int | None
    """The number along the string of the bead whose glyph was hit, or None."""

    def selected(self, scene: Scene) -> tuple[int, float | None]:
        """Returns the bead or segment at the place, as in `Shown`, and the t on a segment."""
        if self.bead is not None and self.bead < len(scene.beads):
            return 2 * self.bead, None
        number, t = scene.locate(self.share)
        return 2 * number + 1, t


class ArcView(Widget):
    """The widget that is filled by a string's landscape, rail and tree."""

    class Picked(Message):
        """Tells that a place on the string was clicked."""

        def __init__(self, spot: Spot) -> None:
            """Makes the message."""
            super().__init__()
            self.spot = spot

    class Pointed(Message):
        """Tells that the mouse is at another place on the string, or at none any more."""

        def __init__(self, spot: Spot | None) -> None:
            """Makes the message."""
            super().__init__()
            self.spot = spot

    def __init__(self, *, id: str) -> None:
        """Makes an empty widget with an id."""
        super().__init__(id=id)
        self._shown: Shown | None = None
        self._words = Text("")
        self._lines: list[Text] = []
        self._drawn_for = (0, 0)

    def show(self, shown: Shown | Text) -> None:
        """Draws a string, or words where there is none, and only the lines that have changed."""
        self._shown = shown if isinstance(shown, Shown) else None
        self._words = Text("") if isinstance(shown, Shown) else shown
        before, self._lines = self._lines, self._drawn()
        for y in range(max(len(before), len(self._lines))):
            if not same(_line(before, y), _line(self._lines, y)):
                self.refresh(Region(0, y, self.size.width, 1))

    def _drawn(self) -> list[Text]:
        """Returns the lines in the size that the widget has now."""
        width, height = self._drawn_for = self.size.width, self.size.height
        if self._shown is None:
            return list(self._words.split("\n"))[:height]
        return picture(self._shown, width, height) if width and height else []

    def render_line(self, y: int) -> Strip:
        """Returns one line of the widget."""
        if self._drawn_for != (self.size.width, self.size.height):
            self._lines = self._drawn()
        drawn = _line(self._lines, y).render(self.app.console)
        strip = Strip(drawn).adjust_cell_length(self.size.width)
        return strip.apply_style(self.rich_style)  # the colours of the theme, below the others

    def on_click(self, event: Click) -> None:
        """Tells which place of the string was clicked."""
        spot = self._spot(event)
        if spot is not None:
            self.post_message(self.Picked(spot))

    def on_mouse_move(self, event: MouseMove) -> None:
        """Tells which place of the string the mouse is at."""
        self.post_message(self.Pointed(self._spot(event)))

    def on_leave(self, event: Leave) -> None:
        """Tells that the mouse is at no place of the string."""
        self.post_message(self.Pointed(None))

    def _spot(self, event: MouseEvent) -> Spot | None:
        """Returns the place on the string of an event of the mouse, or None beside it."""
        offset = event.get_content_offset(self)
        if self._shown is None or offset is None or offset.y >= len(self._lines):
            return None
        glyph = self._lines[offset.y].plain[offset.x : offset.x + 1]
        return spot(self._shown.scene, offset.x, self.size.width, glyph in BEADS)


def spot(scene: Scene, x: int, width: int, bead: bool) -> Spot | None:
    """Returns what stands in column `x` of a widget of a width, or None beside the axis.

    `bead` says whether a bead is taken, where one is in that column, before the segment.
    """
    columns = columns_of(width)
    at = x - LEFT
    if not 0 <= at < columns:
        return None
    here = [k for k, share in enumerate(scene.at) if column(share, columns) == at]
    return Spot((at + 0.5) / columns, here[0] if bead and here else None)


def _line(lines: list[Text], y: int) -> Text:
    """Returns a line, empty beyond the last one."""
    return lines[y] if y < len(lines) else Text("")


def same(one: Text, other: Text) -> bool:
    """Returns whether two texts have the same glyphs in the same styles."""
    return (one.plain, one.style, one.spans) == (other.plain, other.style, other.spans)
