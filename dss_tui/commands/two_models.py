"""What commands about two models have in common: what these are of, and files to write."""

from __future__ import annotations

import argparse
from pathlib import Path

from dss_tui.commands.trusted import check_part, preset_of
from engine.errors import InputError
from engine.spec.keys import Spec
from engine.spec.problem import ProblemSpec


def models_of(asked: argparse.Namespace) -> Spec | ProblemSpec | None:
    """Returns what two models are of; None where a string is to say it. Raises InputError."""
    parts = {key: getattr(asked, key) for key in ("network", "data", "loss")}
    given = [key for key, text in parts.items() if text is not None]
    if asked.preset is not None:
        if given:
            raise InputError(
                "is what the preset says; leave one of the two out", key=f"--{given[0]}"
            )
        return preset_of(asked.preset, asked.overrides, run_factories=asked.run_factories)
    if asked.overrides:
        raise InputError("changes a key of a preset; give --preset too", key="--set")
    if not given:
        return None
    if len(given) < len(parts):
        missing = next(key for key in parts if key not in given)
        raise InputError("is missing; network, data and loss go together", key=f"--{missing}")
    from engine.spec.parts import problem_of_parts

    found = problem_of_parts(**parts)
    for key, text in parts.items():
        check_part(getattr(found, key), text, run_factories=asked.run_factories)
    return found


def anchored(name: str) -> str:
    """Returns the name of a model, with the full path where it is the path of a file."""
    path = Path(name).expanduser()
    return str(path.absolute()) if path.exists() else name


def check_writable(path: Path, option: str, *endings: str) -> None:
    """Raises InputError where a file with one of some endings cannot be written to a path."""
    if path.suffix not in endings:
        raise InputError(
            f"must end in {' or '.join(endings)}; choose another name", file=path, key=option
        )
    if not path.absolute().parent.is_dir():
        raise InputError("its folder does not exist; make it first", file=path, key=option)
