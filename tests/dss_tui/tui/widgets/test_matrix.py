"""The matrix of marks as text, whatever its marks mean."""

from __future__ import annotations

import asyncio

import pytest
from textual.app import App, ComposeResult

from dss_tui.tui.palette import Palette
from dss_tui.tui.widgets.matrix import (
    Frame,
    Mark,
    Matrix,
    MatrixData,
    MatrixRow,
    Place,
    draw,
    frame_for,
    legend,
)

PALETTE = Palette.dark()


def matrix(
    rows: int, columns: int, titles: tuple[str, ...] = ("done", "mean ± s.e.")
) -> MatrixData:
    """A matrix whose mark at row r and column c is the last digit of r + c."""
    return MatrixData(
        "model",
        tuple(map(str, range(columns))),
        titles,
        tuple(
            MatrixRow(
                f"m{row}",
                tuple(Mark(str((row + column) % 10), "red") for column in range(columns)),
                tuple(f"{row}.{number}" for number in range(len(titles))),
            )
            for row in range(rows)
        ),
    )


START = Place()


def shown(
    data: MatrixData, width: int, height: int = 9, cursor: Place = START, before: Place = START
) -> list[str]:
    frame = frame_for(data, width, height, cursor, before)
    return [line.plain.rstrip() for line in draw(data, frame, cursor, PALETTE)]


def test_a_matrix_with_room() -> None:
    assert shown(matrix(2, 7), 60) == [
        "model  0         5     done  mean ± s.e.",
        "   m0  0 1 2 3 4 5 6    0.0          0.1",
        "   m1  1 2 3 4 5 6 7    1.0          1.1",
    ]


def test_marks_move_together_where_they_are_many() -> None:
    assert shown(matrix(1, 30), 60) == [
        "model  0    5    10   15   20   25     done  mean ± s.e.",
        "   m0  012345678901234567890123456789   0.0          0.1",
    ]


def test_the_last_facts_are_left_out_for_want_of_room() -> None:
    assert shown(matrix(1, 30), 40)[1] == "   m0  012345678901234567890123456   0.0"
    assert shown(matrix(1, 30), 26)[1] == "   m0  012345678901234567"


@pytest.mark.parametrize(
    ("cursor", "before", "head", "marks"),
    [
        (0, 0, "model  0    5    ›", "   m0  0123456789"),
        (12, 0, "model ‹  5     12›", "   m0  3456789012"),
        (12, 9, "model ‹   12 15  ›", "   m0  9012345678"),
        (39, 9, "model ‹30   35 39", "   m0  0123456789"),
        (2, 9, "model ‹2  5    10›", "   m0  2345678901"),
    ],
)
def test_the_frame_follows_the_cursor_and_no_further(
    cursor: int, before: int, head: str, marks: str
) -> None:
    lines = shown(matrix(1, 40, ()), 18, cursor=Place(0, cursor), before=Place(0, before))
    assert lines == [head.rstrip(), marks]


def test_rows_scroll_too() -> None:
    lines = shown(matrix(9, 3, ()), 30, height=4, cursor=Place(6, 0), before=Place(2, 0))
    assert [line[3:5] for line in lines[1:]] == ["m4", "m5", "m6"]


def test_the_cursor_is_marked_and_nothing_else() -> None:
    data = matrix(3, 9)
    frame = frame_for(data, 60, 9, Place(1, 4), Place())
    lines = draw(data, frame, Place(1, 4), PALETTE)
    marked = [
        (number, line.plain[span.start : span.end])
        for number, line in enumerate(lines)
        for span in line.spans
        if "reverse" in str(span.style)
    ]
    assert marked == [(2, "5")]


def test_a_place_on_the_screen_is_a_mark() -> None:
    frame = Frame(5, (), 2, range(10, 20), range(3, 6))
    assert frame.place_at(7, 1) == Place(3, 10)
    assert frame.place_at(8, 1) == Place(3, 10)
    assert frame.place_at(9, 3) == Place(5, 11)
    assert frame.place_at(7, 0) is None and frame.place_at(6, 1) is None
    assert frame.place_at(27, 1) is None and frame.place_at(7, 4) is None


@pytest.mark.parametrize("width", [1, 5, 9, 300])
@pytest.mark.parametrize("rows", [0, 1, 40])
def test_no_size_is_an_error(width: int, rows: int) -> None:
    data = matrix(rows, 40)
    lines = draw(data, frame_for(data, width, 1, Place(), Place()), Place(), PALETTE)
    assert len(lines) == 1 + min(rows, 1)


def test_a_legend_ends_where_its_room_does() -> None:
    marks = [(Mark("●", ""), "connected"), (Mark("╳", ""), "not connected")]
    assert legend(marks, 40, PALETTE).plain.rstrip() == "● connected   ╳ not connected"
    assert legend(marks, 28, PALETTE).plain.rstrip() == "● connected"
    assert legend(marks, 5, PALETTE).plain == ""


class Shown(App[None]):
    """An application with a matrix of 3 × 40 marks."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.refreshed: list[int] = []

    def compose(self) -> ComposeResult:
        yield Matrix(id="matrix")

    def on_mount(self) -> None:
        self.query_one(Matrix).focus()

    def on_matrix_moved(self) -> None:
        place = self.query_one(Matrix).cursor
        self.told.append(f"moved to {place.row} {place.column}")

    def on_matrix_chosen(self) -> None:
        self.told.append("chosen")


def test_keys_and_clicks() -> None:
    app = Shown()

    async def steps() -> None:
        async with app.run_test(size=(40, 10)) as pilot:
            held = app.query_one(Matrix)
            await pilot.press("enter")  # nothing is shown yet
            await pilot.pause()
            held.show(matrix(3, 40), PALETTE)
            await pilot.pause()
            for key in ("l", "down", "G", "home", "pagedown", "k", "enter"):
                await pilot.press(key)
            await pilot.click(Matrix, offset=(7, 3))
            await pilot.click(Matrix, offset=(7, 3))
            await pilot.click(Matrix, offset=(2, 0))
            await pilot.pause()

    asyncio.run(steps())
    *moves, chosen, clicked, again = app.told
    assert moves[:4] == ["moved to 0 1", "moved to 1 1", "moved to 1 39", "moved to 1 0"]
    assert moves[5] == moves[4].replace("moved to 1", "moved to 0")
    assert (chosen, clicked.rsplit(" ", 1)[0], again) == ("chosen", "moved to 2", "chosen")


def test_only_lines_that_have_changed_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Shown()

    async def steps() -> None:
        async with app.run_test(size=(60, 10)) as pilot:
            held = app.query_one(Matrix)
            held.show(matrix(3, 9), PALETTE)
            await pilot.pause()
            refresh = held.refresh
            drawn: list[int] = []

            def noted(*regions: object, **more: object) -> object:
                drawn.extend(getattr(region, "y", -1) for region in regions)
                return refresh(*regions, **more)  # type: ignore[arg-type]

            monkeypatch.setattr(held, "refresh", noted)
            held.show(matrix(3, 9), PALETTE)
            assert drawn == []
            held.go_to(2, 0)
            assert drawn == [1, 3]  # the rows that the cursor leaves and enters

    asyncio.run(steps())
