"""The commands `dss-tui export` and `dss-tui verify`: write a string file, and check one."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dss_tui.viewing.words import bytes_of
from engine.errors import InputError
from engine.record import string_file, writing
from engine.record.events import dump_json
from engine.record.finding import find
from engine.record.reading import check_regular
from engine.spec.level import too_high

if TYPE_CHECKING:
    from engine.run.verify import Check


def export(run: str, out: Path, *, with_data: bool, force: bool) -> int:
    """Writes a run's newest string to a file and returns 0.

    Raises InputError where the run has no string yet, or the file cannot be written.
    """
    directory = find(run)
    if not check_regular(directory.string):
        raise InputError(
            "has no string yet; wait until its first segment is measured", file=directory.path
        )
    if out.exists() and not force:
        raise InputError("exists; choose another name or give --force", file=out, key="--out")
    if not out.absolute().parent.is_dir():
        raise InputError("its folder does not exist; make it first", file=out, key="--out")
    held = string_file.read(directory.string)
    if with_data:
        from engine.problem.training_data import training_data

        held = replace(held, data=training_data(held.header.problem))
    content = string_file.encode(held, out.suffix)
    writing.replace(out, content)
    header = held.header
    print(
        f"{out}: {len(held.string.beads)} beads, {header.outcome}, as of {header.elapsed_s:.1f} s "
        f"of the run, {bytes_of(len(content))}"
    )
    print(f"check it with: dss-tui verify {out}")
    return 0


def verify(path: Path, *, points: int, as_json: bool, run_factories: bool) -> int:
    """Measures a string file's path and returns 0 where it holds, 3 where it does not.

    Raises InputError where the file or the number of points cannot be used.
    """
    if points < 5:
        raise InputError(f"is {points}, but must be at least 5", key="--grid")
    held = string_file.read(path)
    from engine.run.verify import verify as measure_again

    try:
        check = measure_again(held, points, run_factories=run_factories)
    except InputError as error:
        raise InputError(str(error), file=path) from None
    if as_json:
        print(dump_json({"holds": check.holds} | _tree(check)))
    else:
        for line in _report(path, check):
            print(line)
    return 0 if check.holds else 3


def _report(path: Path, check: Check) -> list[str]:
    """Returns the lines of a check's results for a person."""
    worst, level = check.worst, too_high(check.level, check.level_tolerance)
    tolerance = f" with tolerance {check.level_tolerance:g}" if check.level_tolerance else ""
    lines = [
        f"{path}: {check.beads} beads, {check.beads - 1} segments measured on {check.points} "
        f"points each, in {check.precision}",
        f"  highest {check.level_on.words:<18} {max(check.peaks):.6g}  = "
        f"{max(check.peaks) / check.level:.4f} × level {check.level:g}{tolerance}, on segment "
        f"{worst + 1} at t = {check.t_stars[worst]:.4f}",
        f"  {'normalized length':<26} {check.normalized_length:.4f}"
        + (
            f", turning {check.turning_angle[0]:.0f}° at a bead in the mean, "
            f"{check.turning_angle[1]:.0f}° at most"
            if check.turning_angle
            else ""
        ),
        *(
            [
                f"  {'by frequencies alone':<26} {check.by_frequencies:.4g}, of a model that knows "
                "only how often each class occurs"
            ]
            if check.by_frequencies is not None
            else []
        ),
        *([f"  {'batch normalization':<26} by {check.batch_norm}"] if check.batch_norm else []),
        f"along the whole path, at {check.along_points} points a segment:",
        *(f"  {on.words:<26} {low:.4g} … {high:.4g}" for on, low, high in check.along),
    ]
    above = sum(peak > check.bound for peak in check.peaks)
    if not check.agrees:
        lines.append(
            f"DOES NOT HOLD: the file's profiles differ from those measured by "
            f"{check.disagreement:.2g} (allowed: {check.tolerance:g}); it was changed or damaged."
        )
    elif check.mirror is not None and not check.mirror.agrees:
        lines.append(f"DOES NOT HOLD: {check.mirror.words}.")
    elif above:
        lines.append(f"DOES NOT HOLD: {above} of {len(check.peaks)} segments exceed {level}.")
    else:
        lines.append(f"HOLDS: no measured point of the path exceeds {level}.")
    return lines


def _tree(check: Check) -> dict[str, Any]:
    """Returns a check's results as plain values for JSON."""
    along = [
        on.model_dump(mode="json") | {"lowest": low, "highest": high}
        for on, low, high in check.along
    ]
    return asdict(check) | {"level_on": check.level_on.model_dump(mode="json"), "along": along}
