"""Checkpoints of versions 2 and 3, put into the layout of version 4.

Version 2 had the tensors of each part under a prefix of its own, dicts with their keys as words,
and the rows of a trainer one by one. Version 3 had the beads of a string as one tensor beside their
ids, and the rows of a trainer in one part. Nothing is checked here: what is made is read as any
state is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from engine.methods.base import Stage
from engine.methods.stage import TrainingStage
from engine.record.packing import REFERENCE, ROW, Packed
from engine.record.unfit import Unfit
from engine.training.trainer import Trainer

Tensors = dict[str, Tensor]

#: What wrong values raise where they are put elsewhere.
WRONG = (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError)


def from_version_3(old: Packed) -> Packed:
    """Returns the state of a search in the present layout.

    Raises Unfit where what is to be translated is not there.
    """
    tensors, plain = old
    try:
        return tensors, _with_parts(plain)
    except WRONG as error:
        raise Unfit(f"it is not laid out as version 3 ({type(error).__name__}: {error})") from None


def _with_parts(plain: Any) -> Any:
    """Returns a plain value with the beads of strings, and the rows of trainers, in parts."""
    if isinstance(plain, list):
        return [_with_parts(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    made = {name: _with_parts(item) for name, item in plain.items()}
    if {"order", "beads", "depths"} <= plain.keys():
        made["beads"] = [
            {"bead": bead, "weights": plain["beads"] | {ROW: row}}
            for row, bead in enumerate(plain["order"])
        ]
    if {"sizes", "rows"} <= plain.keys():
        made["rows"] = [] if plain["rows"] is None else [made["rows"]]
    return made


def from_version_2(old: Packed, stages: Sequence[Stage[Any]]) -> Packed:
    """Returns the state of a search with these stages in the present layout.

    Raises Unfit where what is to be translated is not there.
    """
    return from_version_3(_version_3(old, stages))


def _version_3(old: Packed, stages: Sequence[Stage[Any]]) -> Packed:
    """Returns the state of a search with these stages in the layout of version 3.

    Raises Unfit where what is to be translated is not there.
    """
    tensors, plain = old
    try:
        made = dict(tensors)
        order = plain["chain"]["now"]["order"]
        parts = zip(stages, plain["stages"], strict=True)
        return made, {
            "current": plain["current"],
            "chain": _chain(plain["chain"], made),
            "trials": plain["trials"],
            "stages": [
                _stage(stage, part, f"stage.{number}", order, made)
                for number, (stage, part) in enumerate(parts)
            ],
        }
    except WRONG as error:
        raise Unfit(f"it is not laid out as version 2 ({type(error).__name__}: {error})") from None


def _chain(plain: Any, tensors: Tensors) -> dict[str, Any]:
    """Returns the state of a chain."""
    lowest = plain.get("lowest")
    return {
        **plain,
        "now": _string(plain["now"], "chain.now", tensors),
        "lowest": None if lowest is None else _string(lowest, "chain.lowest", tensors),
    }


def _string(plain: Any, name: str, tensors: Tensors) -> dict[str, Any]:
    """Returns a string whose tensors have names that begin with `name`."""
    return {
        "order": plain["order"],
        "beads": _named(f"{name}.beads", tensors),
        "depths": plain["depths"],
        "segments": [
            _segment(segment, f"{name}.{number}", tensors)
            for number, segment in enumerate(plain["segments"])
        ],
    }


def _segment(plain: Any, name: str, tensors: Tensors) -> dict[str, Any]:
    """Returns a segment whose tensors have names that begin with `name`."""
    measured = {
        "t": _named(f"{name}.t", tensors),
        "losses": _named(f"{name}.losses", tensors),
        "peak": plain["peak"],
        "t_star": plain["t_star"],
    }
    return {**plain, "measured": measured}


# ---------------------------------------------------------------- stages


def _stage(
    stage: Stage[Any], plain: Any, name: str, order: Any, tensors: Tensors
) -> dict[str, Any]:
    """Returns a stage's state, by the kind of the stage."""
    kind = stage.state.kind
    if kind == "constrained":
        part = _constrained(plain, name, order, tensors)
    elif kind == "linear":
        part = {"places": _by_id(plain["places"])}
    elif kind == "shorten":
        before = plain.get("before")
        kept = None if before is None else _string(before, f"{name}.before", tensors)
        part = {**plain, "before": kept}
    elif isinstance(stage, TrainingStage):
        part = _training(kind, stage.trainer, plain, name, tensors)
    else:
        part = {}
    return {**part, "kind": kind}


def _training(
    kind: str, trainer: Trainer, plain: Any, name: str, tensors: Tensors
) -> dict[str, Any]:
    """Returns the state of a stage that trains beads."""
    patience, slots = trainer.training.patience, trainer.slots
    held = _trainer(plain.get("trainer", plain), name, patience, slots, tensors)
    part = {**plain, "trainer": held}
    if kind in ("endpoints", "even_beads"):
        part["attempts"] = _by_id(plain["attempts"])
    if kind == "endpoints":
        part["steps"] = _by_id(plain["steps"])
        names = ((bead, f"{name}.trained.{bead}") for bead, _ in part["attempts"])
        part["trained"] = [[bead, {REFERENCE: of}] for bead, of in names if of in tensors]
    return part


def _trainer(
    plain: Any, name: str, patience: int, slots: Sequence[str], tensors: Tensors
) -> dict[str, Any]:
    """Returns the state of a trainer; `patience` is that of rows that name none."""
    rows: list[Any] = plain["rows"]
    made: dict[str, Any] = {"bead_steps": plain["bead_steps"]}
    if not rows:
        return made
    theta = tensors[f"{name}.theta"]

    def column(of: str, dtype: torch.dtype, missing: int = 0) -> dict[str, str]:
        values = [missing if row.get(of) is None else row[of] for row in rows]
        tensors[f"{name}.rows.{of}"] = torch.tensor(values, dtype=dtype)
        return {REFERENCE: f"{name}.rows.{of}"}

    columns = {of: column(of, theta.dtype) for of in ("target", "loss", "best")}
    columns |= {of: column(of, torch.int64) for of in ("steps", "best_step")}
    columns["patience"] = column("patience", torch.int64, patience)
    columns["end"] = column("end", torch.int8)
    made["beads"] = [row["bead"] for row in rows]
    made["sizes"] = plain.get("groups", [1] * len(rows))
    made["rows"] = columns | {
        "theta": _named(f"{name}.theta", tensors),
        "state": [[slot, _named(f"{name}.{slot}", tensors)] for slot in slots],
        "seeds": [row["seed"] for row in rows],
    }
    return made


def _constrained(plain: Any, name: str, order: Any, tensors: Tensors) -> dict[str, Any]:
    """Returns the state of constrained DSS; its rows are left out where the string has changed."""
    rows: Any = None
    if plain["beads"] == order and len(tensors[f"{name}.loss"]) == len(order):
        prefix = f"{name}.state."
        slots = [of.removeprefix(prefix) for of in tensors if of.startswith(prefix)]
        columns = ("steps", "loss", "best", "best_step")
        rows = {of: _named(f"{name}.{of}", tensors) for of in columns}
        rows["state"] = [[slot, _named(f"{prefix}{slot}", tensors)] for slot in slots]
    attempts = _by_id(plain["attempts"])
    return {**plain, "evaluated": plain["looked"], "attempts": attempts, "rows": rows}


# ---------------------------------------------------------------- small things


def _named(name: str, tensors: Tensors) -> dict[str, str]:
    """Returns a reference to a tensor. Raises KeyError where there is none of that name."""
    if name not in tensors:
        raise KeyError(name)
    return {REFERENCE: name}


def _by_id(plain: Any) -> list[list[Any]]:
    """Returns a dict by beads' ids, which stood as words, as pairs."""
    return [[int(bead), value] for bead, value in plain.items()]
