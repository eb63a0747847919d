"""The command `dss-tui measure`: a loss plane through three beads of a string."""

from __future__ import annotations

import shutil
from pathlib import Path

from dss_tui.tui.palette import Palette
from dss_tui.tui.widgets.plane import draw
from dss_tui.viewing.console import Console
from engine.errors import InputError
from engine.record import string_file, writing
from engine.record.finding import find
from engine.record.lock import is_live
from engine.record.loss_plane import LossPlane, Triple, encode, write_answer
from engine.record.reading import check_regular
from engine.record.rundir import RunDir
from engine.spec.trust import Asked, check_run

#: The columns and lines of a plane that is printed elsewhere than on a terminal.
SIZE = (80, 30)


def measure(name: str, beads: str, *, out: Path | None, as_json: bool, run_factories: bool) -> int:
    """Measures the loss plane through three beads of a string or run, shows it, and returns 0.

    Raises InputError where the string, the beads or the file to write cannot be used.
    """
    wanted = three(beads)
    run, path = string_of(name)
    if out is not None:
        check_writable(out, "--out", ".json")
    held = string_file.read(path)
    plane = plane_of(run, path, held, wanted, run_factories=run_factories)
    if out is not None:
        writing.replace(writing.chosen(out), encode(plane))
    elif run is not None and not as_json and not is_live(run):
        out = write_answer(run, plane)
    if as_json:
        print(encode(plane).decode())
    else:
        _show(plane, out)
    return 0


def plane_of(
    run: RunDir | None,
    path: Path,
    held: string_file.StringFile,
    beads: Triple,
    *,
    run_factories: bool,
) -> LossPlane:
    """Returns the loss plane through three beads of a string, which a run or a file alone holds.

    Raises InputError, which names the string's file, where it cannot be measured, or where its
    functions are to be agreed to first.
    """
    from engine.run.loss_plane import measure_plane

    try:
        return measure_plane(held, beads, run_factories=run_factories or is_trusted(run, held))
    except InputError as error:
        raise InputError(str(error), file=path) from None


def three(text: str) -> Triple:
    """Returns the ids in a text such as 1,7,2. Raises InputError for anything else."""
    parts = text.split(",")
    try:
        a, b, c = (int(part) for part in parts)
    except ValueError:
        a = b = c = -1
    if min(a, b, c) < 0:
        raise InputError(f"is {text}; name three beads by their ids, as in 1,7,2", key="--plane")
    return a, b, c


def string_of(name: str) -> tuple[RunDir | None, Path]:
    """Returns the run of that name, or None for a file, and the path of the string file.

    Raises InputError where there is neither.
    """
    path = Path(name).expanduser()
    if path.suffix in string_file.WRITERS:
        return None, path
    run = find(name)
    if not check_regular(run.string):
        raise InputError(
            "has no string yet; wait until its first segment is measured", file=run.path
        )
    return run, run.string


def is_trusted(run: RunDir | None, held: string_file.StringFile) -> bool:
    """Returns whether the functions that a run's string names are run without being asked for.

    Those of a string file by itself never are.
    """
    if run is None:
        return False
    try:
        check_run(held.header.problem, run.string, run_factories=False)
    except Asked:
        return False
    return True


def check_writable(out: Path, key: str, ending: str) -> None:
    """Raises InputError where what is measured cannot be written to a path of such an ending."""
    if out.suffix != ending:
        raise InputError(f"ends in {out.suffix!r}; choose a name that ends in {ending}", key=key)
    if not out.absolute().parent.is_dir():
        raise InputError("its folder does not exist; make it first", file=out, key=key)


def _show(plane: LossPlane, written: Path | None) -> None:
    """Prints the plane, as large as the terminal allows, and where it was written."""
    console = Console()
    width, height = shutil.get_terminal_size() if console.is_terminal else SIZE
    console = Console(width=width, height=height)
    console.print(draw(plane, palette(console), width, min(height - 2, SIZE[1])))
    if written is not None:
        print(f"written to {written}")


def palette(console: Console) -> Palette:
    """Returns the palette that suits the terminal on stdout."""
    if console.color_system in ("truecolor", "256") and not console.no_color:
        return Palette.dark()
    return Palette.plain()
