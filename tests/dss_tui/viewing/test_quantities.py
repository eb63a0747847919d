"""The tables and the CSV of quantities."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from rich.console import Console

from dss_tui.viewing import quantities as words
from engine.record.quantity import Quantity, Row, Series, Table

FOUND = Quantity(
    name="swa",
    title="the average",
    time=3.5,
    precision="float64",
    beads=(1, None, 2),
    arc=(0.0, 0.25, 1.0),
    series=(
        Series("train_loss", "training", "loss", (0.5, math.nan, 0.1234567)),
        Series("train_error", "training", "error rate", (0.0, 0.25, 0.125)),
    ),
    table=Table(("training loss",), (Row("average", (0.25,)), Row("first end", (math.nan,)))),
    notes=("A note.",),
)


def printed(table: Any) -> list[str]:
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return [" ".join(line.split()) for line in capture.get().splitlines()]


def test_tables_have_a_line_for_each_place() -> None:
    models, loss, error = words.tables(FOUND)
    assert printed(models) == ["training loss", "average 0.25", "first end –"]
    assert printed(loss) == [
        "loss",
        "bead at training",
        "1 0.000 0.5",
        "· 0.250 –",
        "2 1.000 0.1235",
    ]
    assert printed(error)[0] == "error rate"
    assert words.heading(FOUND) == "swa: the average (2 beads, 1 points between, float64)"


def test_many_series_have_a_line_each() -> None:
    series = [Series(str(k), f"class {k}", "accuracy", (0.5, math.nan, k / 9)) for k in range(9)]
    (table,) = words.tables(replace(FOUND, series=tuple(series), table=None))
    said = printed(table)
    assert said[0] == "accuracy first end last end lowest highest"
    assert said[1] == "class 0 0.5 0 0 0.5" and len(said) == 10


def test_a_table_of_each_two_of_many_beads_fits_a_terminal() -> None:
    rows = tuple(Row(f"bead {k}", (0.0123456,) * 40) for k in range(40))
    wide = replace(FOUND, table=Table(tuple(f"to {k}" for k in range(40)), rows))
    said = printed(words.models_table(wide))
    assert said[0] == "to 0 to 6 to 11 to 17 to 22 to 28 to 33 to 39"
    assert said[1] == "bead 0" + 8 * " 0.012"
    assert said[-1].startswith("bead 39") and len(said) == 17


def test_a_long_string_is_shown_in_part() -> None:
    count = 100
    long = replace(
        FOUND,
        beads=tuple(range(count)),
        arc=tuple(k / 99 for k in range(count)),
        series=(Series("a", "a", "loss", tuple(float(k) for k in range(count))),),
    )
    said = printed(words.chart_table(long, "loss"))
    assert len(said) == 2 + words.PLACES
    assert said[2] == "0 0.000 0" and said[-1] == "99 1.000 99"
    assert words.notes(long, cut=True)[-1].startswith("16 of 100 places are shown")
    assert words.notes(long, cut=False) == words.notes(FOUND, cut=True) == ["A note."]


def test_csv_has_a_column_for_each_series() -> None:
    other = replace(FOUND, name="b", series=FOUND.series[1:])
    assert words.as_csv({"swa": FOUND, "b": other}).splitlines() == [
        "bead,at,swa_train_loss,swa_train_error,b_train_error",
        "1,0.0,0.5,0.0,0.0",
        ",0.25,,0.25,0.25",
        "2,1.0,0.1234567,0.125,0.125",
    ]
