"""The matrix of marks: a row for each thing of one kind, a column for each of another.

It knows nothing of what the marks mean. A sweep shows levels × pairs with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from dss_tui.tui.palette import Palette, fitting, styled

#: The columns of the screen between the labels, the marks and each fact.
GAP = 2
#: The marks that are shown at least where facts would take their room.
LEAST_MARKS = 16


@dataclass(frozen=True)
class Mark:
    """One cell of a matrix: a glyph of one column of the screen, and its style."""

    glyph: str
    style: str


@dataclass(frozen=True)
class MatrixRow:
    """One row of a matrix."""

    label: str
    marks: tuple[Mark, ...]
    facts: tuple[str, ...]
    """What is said of the row as a whole, in the order of the matrix's titles."""


@dataclass(frozen=True)
class MatrixData:
    """A matrix as it is shown."""

    corner: str
    """The title over the labels of the rows."""
    columns: tuple[str, ...]
    """The label of each column of marks."""
    titles: tuple[str, ...]
    """The titles of the facts, the most important first: the last are left out for want of room."""
    rows: tuple[MatrixRow, ...]

    @property
    def size(self) -> tuple[int, int]:
        """The number of rows and of columns of marks."""
        return len(self.rows), len(self.columns)


@dataclass(frozen=True)
class Place:
    """The row and the column of a mark, from 0."""

    row: int = 0
    column: int = 0


@dataclass(frozen=True)
class Frame:
    """What of a matrix is on the screen, and where."""

    label: int
    """The width of the labels."""
    facts: tuple[int, ...]
    """The widths of the facts that are shown."""
    step: int
    """The columns of the screen from one mark to the next: 2, or 1 where they are many."""
    columns: range
    """The columns of marks that are shown."""
    rows: range
    """The rows that are shown."""

    @property
    def start(self) -> int:
        """The column of the screen of the first mark."""
        return self.label + GAP

    def place_at(self, x: int, y: int) -> Place | None:
        """Returns the place of the mark at a column and a line of the screen, or None."""
        row, column = y - 1, (x - self.start) // self.step
        if not (0 <= row < len(self.rows) and 0 <= column < len(self.columns)):
            return None
        return Place(self.rows[row], self.columns[column])


def frame_for(data: MatrixData, width: int, height: int, cursor: Place, before: Place) -> Frame:
    """Returns the frame of a matrix on so many columns and lines of the screen.

    The mark under the cursor is in it. Where not all marks fit, `before` is the first one that was
    shown so far, and the frame moves no further from it than it must.
    """
    label = max(len(text) for text in (data.corner, *(row.label for row in data.rows)))
    count = len(data.columns)
    facts = _facts(data, width - label - GAP, min(count, LEAST_MARKS))
    # Where there are no facts, the arrow after the last mark needs a column of its own.
    room = max(1, width - label - GAP - (sum(GAP + fact for fact in facts) or 1))
    step = 2 if 2 * count <= room else 1
    columns = _window(count, room // step, cursor.column, before.column)
    rows = _window(len(data.rows), max(1, height - 1), cursor.row, before.row)
    return Frame(label, facts, step, columns, rows)


def _facts(data: MatrixData, room: int, marks: int) -> tuple[int, ...]:
    """Returns the widths of the first facts that leave room for so many marks."""
    widths = [
        max(len(title), *(len(row.facts[number]) for row in data.rows), 0)
        for number, title in enumerate(data.titles)
    ]
    while widths and room - sum(GAP + width for width in widths) < marks:
        widths.pop()
    return tuple(widths)


def _window(count: int, room: int, cursor: int, before: int) -> range:
    """Returns the items that are shown of `count`: as many as fit, from near `before`."""
    room = min(max(1, room), count)
    first = min(max(before, cursor - room + 1), cursor)
    first = max(0, min(first, count - room))
    return range(first, first + room)


def draw(data: MatrixData, frame: Frame, cursor: Place | None, palette: Palette) -> list[Text]:
    """Returns the lines of a matrix: its titles, and a line for each row in the frame."""
    head = [(data.corner.ljust(frame.label), "bold"), *_ruler(data, frame, cursor, palette)]
    titles = [
        f"{'':{GAP}}{title:>{width}}"
        for title, width in zip(data.titles, frame.facts, strict=False)
    ]
    head.append(("".join(titles)[1:], "bold"))  # the ruler's arrow takes the first column
    return [styled(head), *(_line(data, frame, row, cursor, palette) for row in frame.rows)]


def _line(
    data: MatrixData, frame: Frame, number: int, cursor: Place | None, palette: Palette
) -> Text:
    """Returns the line of one row."""
    row, here = data.rows[number], cursor is not None and cursor.row == number
    pieces = [(row.label.rjust(frame.label), "bold" if here else ""), (" " * GAP, "")]
    for column in frame.columns:
        mark = row.marks[column]
        chosen = here and cursor is not None and cursor.column == column
        style = f"{mark.style} {palette.selected}".strip() if chosen else mark.style
        pieces += [(mark.glyph, style), (" " * (frame.step - 1), "")]
    pieces += [
        (f"{'':{GAP}}{fact:>{width}}", "")
        for fact, width in zip(row.facts, frame.facts, strict=False)
    ]
    return styled([piece for piece in pieces if piece[0]])


def _ruler(
    data: MatrixData, frame: Frame, cursor: Place | None, palette: Palette
) -> list[tuple[str, str]]:
    """Returns the labels of the columns, as many as fit: that under the cursor, and every fifth.

    An arrow stands at either end where there are more columns beyond.
    """
    width = frame.step * len(frame.columns)
    line = [" "] * width
    at = cursor.column if cursor is not None and cursor.column in frame.columns else None
    wanted = [column for column in frame.columns if column % 5 == 0]
    taken: list[range] = []
    for column in ([] if at is None else [at]) + wanted:
        label = data.columns[column]
        start = frame.step * (column - frame.columns[0])
        start = max(0, min(start, width - len(label)))
        place = range(start, start + len(label))
        if len(label) <= width and not any(_close(place, other) for other in taken):
            taken.append(place)
            line[place.start : place.stop] = label
    more = frame.columns.start > 0, frame.columns.stop < len(data.columns)
    left = "‹" if more[0] else " "
    right = "›" if more[1] else " "
    return [(f"{' ' * (GAP - 1)}{left}{''.join(line)}{right}", palette.dim)]


def _close(one: range, other: range) -> bool:
    """Returns whether two places on a line touch or overlap."""
    return one.start <= other.stop and other.start <= one.stop


class Matrix(Widget, can_focus=True):
    """A matrix with a cursor on one of its marks."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "open", id="matrix.open"),
        Binding("left,h", "move(0,-1)", "previous column", id="matrix.left", show=False),
        Binding("right,l", "move(0,1)", "next column", id="matrix.right", show=False),
        Binding("up,k", "move(-1,0)", "row above", id="matrix.up", show=False),
        Binding("down,j", "move(1,0)", "row below", id="matrix.down", show=False),
        Binding("pageup", "page(-1)", "columns before", id="matrix.before", show=False),
        Binding("pagedown", "page(1)", "columns after", id="matrix.after", show=False),
        Binding("home,g", "end(-1)", "first column", id="matrix.first", show=False),
        Binding("end,G", "end(1)", "last column", id="matrix.last", show=False),
    ]

    class Moved(Message):
        """Tells that the cursor is on another mark."""

    class Chosen(Message):
        """Tells that the mark under the cursor was chosen."""

    def __init__(self, *, id: str) -> None:
        """Makes an empty matrix with an id."""
        super().__init__(id=id)
        self.cursor = Place()
        """The place of the cursor."""
        self._data: MatrixData | None = None
        self._palette: Palette | None = None
        self._frame: Frame | None = None
        self._lines: list[Text] = []

    def show(self, data: MatrixData, palette: Palette) -> None:
        """Shows a matrix, and draws the lines that are other than before."""
        self._data, self._palette = data, palette
        self._move_to(self.cursor.row, self.cursor.column)
        self._draw()

    def _draw(self) -> None:
        """Draws the lines that are other than before."""
        if self._data is None or self._palette is None:
            return
        before = self._frame
        first = Place(before.rows.start, before.columns.start) if before else Place()
        width, height = self.size
        self._frame = frame_for(self._data, width, height, self.cursor, first)
        lines = draw(self._data, self._frame, self.cursor, self._palette)
        changed = [y for y, line in enumerate(lines) if not _same(line, y, self._lines)]
        gone = range(len(lines), len(self._lines))
        self._lines = lines
        regions = [Region(0, y, width, 1) for y in (*changed, *gone)]
        if regions:
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        """Returns one line of the widget."""
        width = self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        segments = list(self._lines[y].render(self.app.console))
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)

    def on_resize(self) -> None:
        """Draws everything in the new size."""
        self._lines = []
        self._draw()
        self.refresh()

    # ------------------------------------------------------------ the cursor

    def _move_to(self, row: int, column: int) -> bool:
        """Puts the cursor on a mark, or the nearest one, and returns whether it has moved."""
        rows, columns = self._data.size if self._data is not None else (1, 1)
        place = Place(max(0, min(row, rows - 1)), max(0, min(column, columns - 1)))
        moved, self.cursor = place != self.cursor, place
        return moved

    def go_to(self, row: int, column: int) -> None:
        """Moves the cursor to a mark, or the nearest one, and tells so where it has moved."""
        if self._move_to(row, column):
            self._draw()
            self.post_message(self.Moved())

    def action_move(self, rows: int, columns: int) -> None:
        """Moves the cursor by so many rows and columns."""
        self.go_to(self.cursor.row + rows, self.cursor.column + columns)

    def action_page(self, sign: int) -> None:
        """Moves the cursor by as many columns as are shown."""
        shown = len(self._frame.columns) if self._frame is not None else 1
        self.go_to(self.cursor.row, self.cursor.column + sign * max(1, shown - 1))

    def action_end(self, sign: int) -> None:
        """Moves the cursor to the first or the last column."""
        columns = self._data.size[1] if self._data is not None else 1
        self.go_to(self.cursor.row, 0 if sign < 0 else columns - 1)

    def action_choose(self) -> None:
        """Tells that the mark under the cursor was chosen."""
        if self._data is not None and self._data.rows:
            self.post_message(self.Chosen())

    def on_click(self, event: Click) -> None:
        """Moves the cursor to a mark, or chooses the mark where the cursor is there already."""
        place = self._frame.place_at(event.x, event.y) if self._frame is not None else None
        if place is None:
            return
        if place == self.cursor:
            self.action_choose()
        else:
            self.go_to(place.row, place.column)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Moves the cursor down."""
        self.action_move(1, 0)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Moves the cursor up."""
        self.action_move(-1, 0)


def _same(line: Text, y: int, lines: Sequence[Text]) -> bool:
    """Returns whether a line is drawn already: the same glyphs in the same styles."""
    return y < len(lines) and (line.plain, line.spans) == (lines[y].plain, lines[y].spans)


def legend(marks: Sequence[tuple[Mark, str]], width: int, palette: Palette) -> Text:
    """Returns glyphs with their meanings in one line, as many as fit."""
    pieces: list[tuple[str, str]] = []
    room = width
    for mark, words in marks:
        said = f" {words}   "
        if len(mark.glyph) + len(said.rstrip()) > room:
            break
        room -= len(mark.glyph) + len(said)
        pieces += [(mark.glyph, mark.style), (fitting(len(said), said), palette.dim)]
    return styled(pieces)
