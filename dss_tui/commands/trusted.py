"""The presets and runs that commands open, refused where a stranger's functions would be run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine.record.rundir import RunDir
from engine.spec.keys import Spec
from engine.spec.shipped import load_preset, path_of
from engine.spec.trust import check_file, check_run


def preset_of(
    name: str,
    overrides: Iterable[str] = (),
    *,
    run_factories: bool,
    seed: int | None = None,
    device: str | None = None,
) -> Spec:
    """Returns what a preset asks for with `a.b=value` overrides.

    Raises InputError where it cannot be read, or names functions that somebody else may have put
    there and `run_factories` is false.
    """
    lines = list(overrides)
    spec = load_preset(name, lines, seed=seed, device=device)
    check_file(spec, path_of(name), run_factories=run_factories, overrides=lines)
    return spec


def spec_of_run(run: RunDir, overrides: Iterable[str] = (), *, run_factories: bool) -> Spec:
    """Returns the preset of a run with `a.b=value` overrides. Raises InputError likewise."""
    lines = list(overrides)
    spec = run.load_spec(lines)
    check_run(spec, run.spec, run_factories=run_factories, overrides=lines)
    return spec


def check_part(part: object, text: str, *, run_factories: bool) -> None:
    """Raises InputError likewise for a part of a problem that a YAML file holds."""
    from engine.part import Part

    if text.endswith((".yaml", ".yml")) and isinstance(part, Part):
        check_file(part, Path(text), run_factories=run_factories)
