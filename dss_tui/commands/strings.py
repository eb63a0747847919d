"""The commands `dss-tui export` and `dss-tui verify`: write a string file, and check one."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dss_tui.viewing.waiting import Waiting
from dss_tui.viewing.words import bytes_of
from engine.errors import InputError
from engine.record import string_file
from engine.record.events import Outcome, dump_json
from engine.record.finding import find, resume_command
from engine.record.lock import is_live
from engine.record.reading import check_regular
from engine.spec.level import multiple, too_high
from engine.spec.trust import check_run

#: The outcomes after which a search does not go on, so that its string file is its last word.
FINAL = (Outcome.CONNECTED, Outcome.NOT_CONNECTED, Outcome.ENDPOINT_NOT_TRAINED)

if TYPE_CHECKING:
    from engine.path.certificate.proof import Proof
    from engine.record.rundir import RunDir
    from engine.run.certify import Certificate
    from engine.run.verify import Check


def export(run: str, out: Path, *, with_data: bool, force: bool, run_factories: bool) -> int:
    """Writes a run's newest string to a file and returns 0.

    A run that was killed before it wrote a string has one in its checkpoint. Raises InputError
    where the run has no string yet, or the file cannot be written.
    """
    directory = find(run)
    if out.exists() and not force:
        raise InputError("exists; choose another name or give --force", file=out, key="--out")
    if not out.absolute().parent.is_dir():
        raise InputError("its folder does not exist; make it first", file=out, key="--out")
    if out.suffix not in string_file.WRITERS:
        known = ", ".join(string_file.WRITERS)
        raise InputError(f"ends in {out.suffix!r}; choose one of {known}", key="--out")
    held = _newest(directory)
    if with_data:
        said_by = directory.string if check_regular(directory.string) else directory.spec
        check_run(held.header.problem.data, said_by, run_factories=run_factories)
        from engine.problem.training_data import training_data

        held = replace(held, data=training_data(held.header.problem))
    with Waiting("written") as told:
        size = string_file.write(held, out, told)
    header = held.header
    print(
        f"{out}: {len(held.string.beads)} beads, {header.outcome}, as of {header.elapsed_s:.1f} s "
        f"of the run, {bytes_of(size)}"
    )
    print(f"check it with: dss-tui verify {out}")
    return 0


def _newest(run: RunDir) -> string_file.StringFile:
    """Returns the newest string of a run, out of its checkpoint where that is newer than its file.

    Raises InputError where there is none.
    """
    held = string_file.read(run.string) if check_regular(run.string) else None
    if held is None or held.header.outcome not in FINAL:
        held = _of_checkpoint(run, held) or held
    if held is not None:
        return held
    remedy = "wait until its first segment is measured"
    if not is_live(run):
        remedy = f"go on with `{resume_command(run)}`"
    raise InputError(f"has no string yet; {remedy}", file=run.path)


def _of_checkpoint(
    run: RunDir, held: string_file.StringFile | None
) -> string_file.StringFile | None:
    """Returns the string in a run's checkpoint, or None where there is none that is newer.

    `held` is the string in the run's file. Raises InputError where there is no such file either,
    and the checkpoint cannot be read.
    """
    if not check_regular(run.checkpoint):
        return None
    from engine.run.checkpoint_string import string_of_checkpoint

    try:
        return string_of_checkpoint(run, -inf if held is None else held.header.elapsed_s)
    except InputError as error:
        if held is None:
            raise
        print(f"dss-tui: only the string file is taken, since {error}", file=sys.stderr)
        return None


def verify(path: Path, *, points: int, as_json: bool, run_factories: bool, device: str) -> int:
    """Measures a string file's path and returns 0 where it holds, 3 where it does not.

    Raises InputError where the file, the number of points or the device cannot be used.
    """
    if points < 5:
        raise InputError(f"is {points}, but must be at least 5", key="--grid")
    held = string_file.read(path)
    from engine.run.verify import verify as measure_again

    try:
        with Waiting("measured") as told:
            check = measure_again(
                held, points, run_factories=run_factories, device=device, told=told
            )
    except InputError as error:
        raise InputError(str(error), file=path) from None
    if as_json:
        print(dump_json({"holds": check.holds, "level_from": held.header.bracket} | _tree(check)))
    else:
        for line in [*_report(path, check), *_level_told(held.header)]:
            print(line)
    return 0 if check.holds else 3


def certify(
    path: Path,
    *,
    level: str | None,
    straight: bool,
    as_json: bool,
    with_cells: bool,
    run_factories: bool,
) -> int:
    """Proves a string file's path from scratch and returns 0 where it is proven, 3 where not.

    Raises InputError where there is no proof for its network.
    """
    wanted = _level(level)
    held = string_file.read(path)
    from engine.run.certify import certify as prove

    try:
        with Waiting("proven") as told:
            found = prove(
                held, level=wanted, straight=straight, run_factories=run_factories, told=told
            )
    except InputError as error:
        raise InputError(str(error), file=path) from None
    if as_json:
        print(dump_json(_certificate_tree(found, with_cells=with_cells)))
    else:
        for line in [*_certificate(path, found, with_cells=with_cells), *_level_told(held.header)]:
            print(line)
    return 0 if found.certified else 3


def _level_told(header: string_file.Header) -> list[str]:
    """Returns the line that tells how the file's level came about in its search, if it did."""
    return [] if header.bracket is None else [header.bracket.told(header.level)]


def _level(text: str | None) -> float | None:
    """Returns the level that `--level` names, infinity for the lowest. Raises InputError."""
    if text is None:
        return None
    if text == "lowest":
        return inf
    try:
        level = float(text)
    except ValueError:
        level = nan
    if not 0 < level < inf:
        raise InputError(f"is {text}, but must be a number above 0, or lowest", key="--level")
    return level


def _certificate(path: Path, found: Certificate, *, with_cells: bool) -> list[str]:
    proofs = found.proofs
    cells, bounds = (sum(of(proof) for proof in proofs) for of in (_cell_count, _bound_count))
    seconds = sum(each.seconds for each in found.found)
    lines = [
        f"{path}: {len(proofs)} {'segment' if len(proofs) == 1 else 'segments'} between "
        f"{len(found.beads)} beads, {cells} cells proven of {bounds} that were bounded, in "
        f"{seconds:.2f} s of all workers together"
    ]
    for left, right, proof in zip(found.beads, found.beads[1:], proofs, strict=False):
        for cell in proof.cells if with_cells else ():
            lines.append(f"  {left}–{right}  t in [{cell.u:.8g}, {cell.v:.8g}]  ≤ {cell.bound:.8g}")
        if proof.refuted_at is not None:
            lines.append(
                f"  {left}–{right}  refuted at t = {proof.refuted_at:.8g}: "
                f"{proof.refuted_by:.8g} there"
            )
        elif proof.undecided is not None:
            u, v = proof.undecided
            lines.append(
                f"  {left}–{right}  undecided on [{u:.8g}, {v:.8g}] after {proof.bounds} bounds"
            )
    return [*lines, _verdict(found)]


def _verdict(found: Certificate) -> str:
    """Returns the sentence that a check of a proof ends with."""
    if not found.agrees:
        if found.mirror is not None and not found.mirror.agrees:
            return f"NOT PROVEN: {found.mirror.words}."
        return (
            f"NOT PROVEN: the losses at the beads differ from the file's by a share of "
            f"{found.disagreement:.2g} (allowed: {found.allowed:.2g}); it was changed or damaged."
        )
    if found.certified:
        return (
            f"PROVEN: at every point of the path the {found.objective} is at most "
            f"{found.bound:.8g}, {multiple(found.bound / found.level)} × {found.level:.8g}."
        )
    refuted = sum(proof.refuted_at is not None for proof in found.proofs)
    if refuted:
        return (
            f"REFUTED: the {found.objective} exceeds {found.level:.8g} on {refuted} of "
            f"{len(found.proofs)} segments."
        )
    return (
        f"UNDECIDED: whether the {found.objective} stays at or below {found.level:.8g} could not "
        "be decided; the peak is too close to it."
    )


def _cell_count(proof: Proof) -> int:
    return len(proof.cells)


def _bound_count(proof: Proof) -> int:
    return proof.bounds


def _certificate_tree(found: Certificate, *, with_cells: bool) -> dict[str, Any]:
    segments = []
    for left, right, timed in zip(found.beads, found.beads[1:], found.found, strict=False):
        proof = timed.proof
        segments.append(
            {
                "left": left,
                "right": right,
                "bound": proof.bound,
                "cells": [[cell.u, cell.v, cell.bound] for cell in proof.cells]
                if with_cells
                else len(proof.cells),
                "seconds": timed.seconds,
                "refuted_at": proof.refuted_at,
            }
        )
    return {
        "certified": found.certified,
        "level": found.level,
        "bound": found.bound,
        "agrees": found.agrees,
        "segments": segments,
    }


def _report(path: Path, check: Check) -> list[str]:
    """Returns the lines of a check's results for a person."""
    worst = check.worst
    tolerance = f" with tolerance {check.level_tolerance:g}" if check.level_tolerance else ""
    highest = max(check.peaks)
    lines = [
        f"{path}: {check.beads} beads, {check.beads - 1} segments measured on {check.points} "
        f"points each, in {check.precision}",
        f"  highest {check.level_on.words:<18} {highest:.6g}  = "
        f"{multiple(highest / check.level)} × level {check.level:g}{tolerance}, on segment "
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
        *(f"  {'models':<26} {remark}" for remark in check.remarks),
        f"along the whole path, at {check.along_points} points a segment:",
        *(f"  {on.words:<26} {low:.4g} … {high:.4g}" for on, low, high in check.along),
    ]
    return [*lines, _holds(check)]


def _holds(check: Check) -> str:
    """Returns the line that says whether a path holds, or why it does not."""
    level = too_high(check.level, check.level_tolerance)
    if not check.agrees:
        return (
            f"DOES NOT HOLD: the file's profiles differ from those measured by "
            f"{check.disagreement:.2g} (allowed: {check.tolerance:g}); it was changed or damaged."
        )
    if check.mirror is not None and not check.mirror.agrees:
        return f"DOES NOT HOLD: {check.mirror.words}."
    above = sum(peak > check.bound for peak in check.peaks)
    if above:
        return f"DOES NOT HOLD: {above} of {len(check.peaks)} segments exceed {level}."
    return f"HOLDS: no measured point of the path exceeds {level}."


def _tree(check: Check) -> dict[str, Any]:
    """Returns a check's results as plain values for JSON."""
    along = [
        on.model_dump(mode="json") | {"lowest": low, "highest": high}
        for on, low, high in check.along
    ]
    return asdict(check) | {"level_on": check.level_on.model_dump(mode="json"), "along": along}
