"""Whether the functions that a file names are run without being asked for: the one decision.

A preset names functions of a user's own, which make its network, its data or its loss, and any
installed function could stand there. Those of a file that this user wrote are run; those of anybody
else's only where `--run-factories` is given. What the user names on the command line counts as
asked for. No torch here.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine.errors import InputError, listed
from engine.owners import belongs_to_another, written_by_another
from engine.part import Part, named_functions
from engine.spec.keys import Spec
from engine.spec.shipped import FOLDER

#: The options by which a user agrees.
RUN_FACTORIES, NOT_MINE = "--run-factories", "--not-mine"
#: The conditions on which one agrees.
THIS_FILE, THIS_FOLDER = "you trust this file", "you trust this folder"


class Asked(InputError):
    """Raised where a user is to agree first. Screens ask; the command line names an option."""

    def __init__(
        self, what: str, condition: str, option: str, *, file: object = None, key: str | None = None
    ) -> None:
        """Makes the error of clauses: what would come, and on which condition a user agrees.

        `option` is what agrees on the command line.
        """
        self.what_comes, self.option = what, option
        super().__init__(f"{what}; if {condition}, give {option}", file=file, key=key)


def functions_of(part: Part, overrides: Iterable[str] = ()) -> list[str]:
    """Returns the functions that a file names, without those that `a.b=value` overrides name.

    `part` is what both together say.
    """
    named_here = [line.partition("=")[0].strip() for line in overrides]
    return [
        name
        for key, name in named_functions(part)
        if not any(f"{key}.".startswith(f"{each}.") for each in named_here)
    ]


def check_file(
    part: Part, file: Path, *, run_factories: bool, overrides: Iterable[str] = ()
) -> None:
    """Raises Asked where a preset's file names functions and somebody else may have written it.

    `part` is what it says together with the overrides. Presets that ship are as good as dss-tui.
    """
    if file.parent == FOLDER:
        return
    _check(functions_of(part, overrides), file, written_by_another(file), THIS_FILE, run_factories)


def check_run(
    part: Part, file: Path, *, run_factories: bool, overrides: Iterable[str] = ()
) -> None:
    """Raises Asked as `check_file`, for a file in the folder of a run or a sweep.

    The folder, too, must belong to this user.
    """
    why = belongs_to_another(file.parent) or written_by_another(file)
    _check(functions_of(part, overrides), file, why, THIS_FOLDER, run_factories)


def check_string(part: Part, *, run_factories: bool) -> None:
    """Raises Asked where a string file names functions.

    Such files are made to be passed on, and belong to whoever has fetched them.
    """
    named = functions_of(part)
    if named and not run_factories:
        raise Asked(f"to measure it, {_run(named)}", THIS_FILE, RUN_FACTORIES, key="dss.problem")


def check_of_plan(found: Spec, plan: Spec, file: Path) -> None:
    """Raises InputError where the preset of a cell runs other functions than the plan's.

    Whoever let the plan run was told of its own alone.
    """
    if functions_of(found) and _parts(found) != _parts(plan):
        raise InputError(
            "runs other functions than the plan does; take the file away, and it is written anew",
            file=file,
            key="problem",
        )


def _parts(spec: Spec) -> tuple[object, ...]:
    """Returns the parts of a preset in which functions are named."""
    return spec.problem.network, spec.problem.data, spec.problem.loss


def check_mine(folder: Path, *, not_mine: bool) -> None:
    """Raises Asked where a folder that is to be written to belongs to somebody else."""
    other = belongs_to_another(folder)
    if other is not None and not not_mine:
        what = f"{other}, and what is written there from now on would belong to you"
        raise Asked(what, "that is meant", NOT_MINE, file=folder)


def _check(
    named: list[str], file: Path, why: str | None, condition: str, run_factories: bool
) -> None:
    """Raises Asked where functions are named, somebody else may have done so, and none agreed."""
    if named and why is not None and not run_factories:
        raise Asked(f"{_run(named)}, and {why}", condition, RUN_FACTORIES, file=file, key="problem")


def _run(named: list[str]) -> str:
    """Returns a clause that says which functions would be run."""
    return f"{listed(dict.fromkeys(named), most=6)} would be imported and run"
