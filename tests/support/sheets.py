"""Sheets of figures, written by hand, so that what is drawn of them is known."""

from __future__ import annotations

from typing import Any

from engine.record.figures.kinds import KINDS
from engine.record.figures.sheet import Sheet, table

FACTS = {
    "version": "dss-tui 9.8.7",
    "of": "run made-by-hand",
    "preset": "quadratic",
    "seeds": "3 to 6",
    "objective": "training loss",
    "level": "0.05",
}


Rows = list[dict[str, Any]]
"""The rows of a sheet by the names of their columns."""


def _measured(
    quantity: str, part: str, *points: tuple[float, float, float]
) -> list[dict[str, Any]]:
    head: dict[str, Any] = {"part": part, "quantity": quantity, "pairs": 4, "connected_pairs": 3}
    return [
        head | {"level": level, "value": value, "low": value - error, "high": value + error}
        for level, value, error in points
    ]


LEVELS: Rows = [
    *_measured("normalized_length", "measured", (0.02, 1.5, 0.1), (0.1, 1.25, 0.05)),
    *_measured("normalized_length_weights", "measured", (0.02, 1.6, 0.1), (0.1, 1.3, 0.05)),
    *_measured("beads", "measured", (0.02, 9.0, 1.5), (0.1, 5.0, 0.5), (0.4, 3.0, 0.0)),
    *_measured("beads", "published", (0.02, 8.0, 1.0), (0.1, 5.5, 0.5)),
    *_measured("beads", "measured law", (0.02, 8.5, 1.0), (0.1, 5.5, 0.5), (0.4, 3.0, 0.25)),
    {"part": "outcome", "quantity": "connected", "level": 0.02, "value": 3, "pairs": 4},
    {"part": "outcome", "quantity": "not_connected", "level": 0.02, "value": 1, "pairs": 4},
    {"part": "outcome", "quantity": "connected", "level": 0.1, "value": 4, "pairs": 4},
]
PATH: Rows = [
    *({"part": "level", "place": place, "value": 0.05} for place in (0.0, 1.0)),
    *({"part": "proven bound", "place": place, "value": 0.045} for place in (0.0, 1.0)),
    *(
        {"part": part, "segment": 0, "t": t, "place": t, "value": value}
        for part, values in (("objective", (0.03, 0.04, 0.02)), ("secondary", (0.035, 0.045, 0.03)))
        for t, value in zip((0.0, 0.5, 1.0), values, strict=True)
    ),
    *({"part": "bead", "bead": 1 + at, "place": at, "value": 0.02} for at in (0, 1)),
]
STRING: Rows = [
    {"bead": bead, "place": place, "first": x, "second": y, "third": z, "value": value}
    for bead, place, x, y, z, value in (
        (1, 0.0, -2.0, 0.5, 0.1, 0.02),
        (7, 0.4, 0.25, -1.0, -0.2, 0.03),
        (2, 1.0, 1.75, 0.5, 0.1, 0.04),
    )
]
PLANE: Rows = [
    *(
        {"part": "grid", "x": x, "y": y, "value": 0.01 + (x - 1) ** 2 + y**2}
        for y in (-1.0, 0.0, 1.0, 2.0)
        for x in (-1.0, 0.0, 1.0, 2.0, 3.0)
    ),
    *({"part": "string", "bead": b, "x": b - 1.0, "y": 0.5 * b, "value": 0.03} for b in (1, 2, 3)),
    *({"part": "corner", "bead": b, "x": b - 1.0, "y": 0.5 * b, "value": 0.03} for b in (1, 3, 2)),
]
DEPTHS: Rows = [
    {"level": level, "depth": depth, "value": value, "connected_pairs": 3}
    for level, values in ((0.02, (2, 1, 2, 3.5)), (0.1, (2, 1, 0.5)))
    for depth, value in enumerate(values)
]
METHODS: Rows = [
    *(
        {"part": "pair", "method": method, "pair": pair, "outcome": outcome}
        | {"connected": "true" if outcome == "connected" else "false"}
        | {"sample_gradients": cost, "normalized_length": length, "beads": 5}
        for method, pair, outcome, cost, length in (
            ("greedy", 0, "connected", 4000, 1.5),
            ("greedy", 1, "not_connected", 9000, 1.75),
            ("neb", 0, "connected", 7000, 1.25),
            ("neb", 1, "connected", 8000, 1.3),
        )
    ),
    {"part": "mean", "method": "greedy", "sample_gradients": 4000, "normalized_length": 1.5},
    {"part": "mean", "method": "neb", "sample_gradients": 7500, "normalized_length": 1.275}
    | {"gradients_low": 7000, "gradients_high": 8000, "length_low": 1.25, "length_high": 1.3},
]
QUANTITIES: Rows = [
    {"quantity": "swa", "chart": "loss", "series": series, "bead": bead, "place": place, "value": v}
    for series, values in (("training", (0.2, 0.3, 0.4)), ("held-out", (0.5, 0.6, 0.7)))
    for bead, place, v in zip((1, None, 2), (0.0, 0.5, 1.0), values, strict=True)
]
DISCONNECTIVITY: Rows = [
    {"graph": "peaks", "node": 0, "parent": 3, "height": 0.01, "kind": "model", "x": 0.0},
    {"graph": "peaks", "node": 1, "parent": 3, "height": 0.02, "kind": "model", "x": 1.0},
    {"graph": "peaks", "node": 2, "parent": None, "height": 0.03, "kind": "model", "x": 2.0},
    {"graph": "peaks", "node": 3, "parent": None, "height": 0.06, "kind": "join", "x": 0.5}
    | {"proven": "true", "models": "0 1"},
    {"graph": "peaks", "node": 4, "parent": 6, "height": 0.02, "kind": "model", "x": 3.0},
    {"graph": "peaks", "node": 5, "parent": 6, "height": 0.04, "kind": "model", "x": 4.0},
    {"graph": "peaks", "node": 6, "parent": None, "height": 0.05, "kind": "join", "x": 3.5}
    | {"proven": "false", "models": "4 5"},
]

ROWS: dict[str, Rows] = {
    "levels": LEVELS,
    "path": PATH,
    "string": STRING,
    "plane": PLANE,
    "depths": DEPTHS,
    "methods": METHODS,
    "quantities": QUANTITIES,
    "disconnectivity": DISCONNECTIVITY,
}
MORE = {
    "path": {"secondary": "held-out loss"},
    "string": {"shares of variance": "0.9, 0.08, 0.01"},
}


def by_hand(kind: str) -> Sheet:
    """A sheet of a kind."""
    return table(kind, FACTS | MORE.get(kind, {}), KINDS[kind].columns, ROWS[kind])
