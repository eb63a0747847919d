"""`dss-tui export` and `dss-tui verify`."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dss_tui.words import bytes_of
from engine import rundir, string_file
from engine.errors import InputError
from engine.events import dump_json

if TYPE_CHECKING:
    from engine.verify import Check


def export(run: str, out: Path, *, with_data: bool, force: bool) -> int:
    """Writes a run's newest string. Raises InputError, with nothing written."""
    directory = rundir.find(run)
    if not directory.string.exists():
        raise InputError("has no string yet; wait for its first checkpoint", file=directory.path)
    if out.exists() and not force:
        raise InputError("exists; choose another name or give --force", file=out, key="--out")
    if not out.absolute().parent.is_dir():
        raise InputError("its folder does not exist; make it first", file=out, key="--out")
    held = string_file.read(directory.string)
    if with_data:
        held = _with_data(held)
    content = string_file.encode(held, out.suffix)
    rundir.replace(out, content)
    header = held.header
    print(
        f"{out}: {len(held.string.beads)} beads, {header.outcome}, as of {header.elapsed_s:.1f} s "
        f"of the run, {bytes_of(len(content))}"
    )
    print(f"check it with: dss-tui verify {out}")
    return 0


def _with_data(held: string_file.StringFile) -> string_file.StringFile:
    from engine.problem import build_problem

    train = build_problem(held.header.problem).train
    return replace(held, data=(train.x.numpy(), train.y.numpy()))


def verify(path: Path, *, points: int, as_json: bool) -> int:
    """Measures a string file's path; 0 where it holds, 3 where not."""
    if points < 5:
        raise InputError(f"is {points}, but must be at least 5", key="--grid")
    held = string_file.read(path)
    from engine.verify import verify as measure_again

    try:
        check = measure_again(held, points)
    except InputError as error:
        raise InputError(str(error), file=path) from None
    holds = check.below_level and check.agrees
    if as_json:
        print(dump_json({"holds": holds} | asdict(check)))
    else:
        for line in _report(path, check):
            print(line)
    return 0 if holds else 3


def _report(path: Path, check: Check) -> list[str]:
    worst = check.worst
    lines = [
        f"{path}: {check.beads} beads, {check.beads - 1} segments measured on {check.points} "
        "points each, in float64",
        f"  highest loss       {max(check.peaks):.6g}  = {max(check.peaks) / check.level:.4f} × "
        f"level {check.level:g}, on segment {worst + 1} at t = {check.t_stars[worst]:.4f}",
        f"  normalized length  {check.normalized_length:.4f}"
        + (
            f", turning {check.turning_angle[0]:.0f}° at a bead in the mean, "
            f"{check.turning_angle[1]:.0f}° at most"
            if check.turning_angle
            else ""
        ),
        f"  loss of beads      {_range(check.bead_loss)} in training"
        + (f", {_range(check.held_out_loss)} held out" if check.held_out_loss else ""),
    ]
    if check.accuracy:
        held_out = check.held_out_accuracy
        lines.append(
            f"  accuracy of beads  {_range(check.accuracy)} in training"
            + (f", {_range(held_out)} held out" if held_out else "")
        )
    above = sum(peak > check.level for peak in check.peaks)
    if not check.agrees:
        lines.append(
            f"DOES NOT HOLD: the file's losses differ from those measured by "
            f"{check.disagreement:.2g} (allowed: {check.tolerance:g}); it was changed or damaged."
        )
    elif above:
        lines.append(f"DOES NOT HOLD: {above} of {len(check.peaks)} segments exceed the level.")
    else:
        lines.append("HOLDS: no measured point of the path exceeds the level.")
    return lines


def _range(values: tuple[float, float]) -> str:
    return f"{values[0]:.4g} … {values[1]:.4g}"
