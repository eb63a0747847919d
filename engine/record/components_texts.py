"""The files of components: their tables as CSV, and all of them as one JSON object. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields
from typing import Any

from engine.record.components_tables import Components, ComponentsRow, Searched
from engine.record.events import dump_json
from engine.record.sweep_tables import as_csv


def texts(found: Components) -> dict[str, str]:
    """Returns the content of each table's file, by its name."""
    lowest_first = sorted(found.rows(), key=lambda row: row.level)
    makers: dict[str, Callable[[Components, Sequence[ComponentsRow]], str]] = {
        "components.json": json_of,
        "components.csv": _csv_of_components,
        "levels.csv": _csv_of_levels,
        "searches.csv": _csv_of_searches,
        "disconnectivity.csv": _csv_of_nodes,
    }
    return {name: make(found, lowest_first) for name, make in makers.items()}


def json_of(found: Components, rows: Sequence[ComponentsRow]) -> str:
    """Returns all tables as one JSON object, with a line's end."""
    asked = found.asked
    tree = {
        "models": [{"model": k, **asdict(each)} for k, each in enumerate(found.told.models)],
        "pairs": found.pairs,
        "objective": asked.objective,
        "aligned": asked.aligned,
        "tolerance": asked.tolerance,
        "tries": asked.tries,
        "ended": not found.decided.left,
        "levels": [_level(row) for row in rows],
        "tree": [
            {
                "a": each.a,
                "b": each.b,
                "barrier": each.peak,
                "upper_bound": True,
                "proven": each.barrier.proven,
                "bound": each.bound,
                "level": each.level,
                "run": each.run,
            }
            for each in found.tree()
        ],
        "searches": found.searches,
        "disconnectivity": [asdict(node) | {"models": list(node.models)} for node in found.nodes()],
        "said": found.said(),
    }
    return dump_json(tree) + "\n"


def _level(row: ComponentsRow) -> dict[str, Any]:
    """Returns what JSON tells of a level."""
    return {
        "level": row.level,
        "components": row.components,
        "upper_bound": len(row.components) > 1,
        "ended": not row.more,
        "absent": row.absent,
        "searches": row.pairs,
        "found": row.connected,
        "proven": row.proven,
        "failed": dict(row.failed),
        "sentence": row.sentence,
    }


def _csv_of_levels(found: Components, rows: Sequence[ComponentsRow]) -> str:
    """Returns a line for each level."""
    head = ["level", "present", "absent", "components", "searches", "found", "failed"]
    return as_csv(
        head,
        [
            [
                row.level,
                sum(map(len, row.components)),
                len(row.absent),
                len(row.components),
                row.pairs,
                row.connected,
                row.pairs - row.connected,
            ]
            for row in rows
        ],
    )


def _csv_of_components(found: Components, rows: Sequence[ComponentsRow]) -> str:
    """Returns a line for each component at each level."""
    lines = [
        [row.level, number, len(models), _listed(models)]
        for row in rows
        for number, models in enumerate(row.components)
    ]
    return as_csv(["level", "component", "size", "models"], lines)


def _csv_of_searches(found: Components, rows: Sequence[ComponentsRow]) -> str:
    """Returns a line for each search."""
    names = [each.name for each in fields(Searched) if each.name != "sentence"]
    lines = [[getattr(each, name) for name in names] for each in found.searches]
    return as_csv(names, lines)


def _csv_of_nodes(found: Components, rows: Sequence[ComponentsRow]) -> str:
    """Returns a line for each node of the disconnectivity graph."""
    head = ["graph", "node", "parent", "height", "kind", "loss", "proven", "a", "b", "models"]
    lines = [
        [
            each.graph,
            each.node,
            each.parent,
            each.height,
            each.kind,
            each.loss,
            each.proven,
            *((None, None) if each.pair is None else each.pair),
            _listed(each.models),
        ]
        for each in found.nodes()
    ]
    return as_csv(head, lines)


def _listed(models: Iterable[int]) -> str:
    """Returns models by their numbers, with blanks between."""
    return " ".join(map(str, models))
