"""What a figure is made of: a run, a string file, a sweep, a comparison, or a table of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.errors import InputError
from engine.record import string_file
from engine.record.finding import (
    COMPARISON,
    COMPONENTS,
    PLAN,
    find_any,
    plan_of,
    preset_of,
)
from engine.record.loss_plane import Triple
from engine.record.reading import check_regular
from engine.record.rundir import RunDir
from engine.record.string_file import StringFile
from engine.spec.keys import Spec
from engine.spec.shipped import load_preset, names
from engine.version import __version__

What = Literal["run", "string", "sweep", "comparison", "components", "table"]


@dataclass(frozen=True)
class Source:
    """A place that holds numbers for figures."""

    what: What
    """*run*, *string* for a string file, *sweep*, *comparison*, *components*, or *table* for a
    .csv file."""
    path: Path
    beads: Triple | None = None
    """The beads that span the plane that is asked for; None where none are named."""

    @property
    def run(self) -> RunDir:
        """The folder as a run directory."""
        return RunDir(self.path)

    @property
    def words(self) -> str:
        """What it is, with its article."""
        longer = {"string": "string file", "table": ".csv file", "components": "set of components"}
        return f"a {longer.get(self.what, self.what)}"

    @property
    def string_path(self) -> Path:
        """The path of the string file. Raises InputError where a run has none yet."""
        if self.what == "string":
            return self.path
        if not check_regular(self.run.string):
            raise InputError(
                "has no string yet; wait until its first segment is measured", file=self.path
            )
        return self.run.string


def source_of(name: str, beads: Triple | None = None) -> Source:
    """Returns the source that a text names: the path of a file, or a folder as `find_any` finds it.

    Raises InputError where there is none.
    """
    path = Path(name).expanduser()
    if path.suffix == ".csv":
        return Source("table", path, beads)
    if path.suffix in string_file.WRITERS:
        return Source("string", path, beads)
    folder = find_any(name).path
    known: dict[str | None, What] = {
        PLAN: "sweep",
        COMPARISON: "comparison",
        COMPONENTS: "components",
    }
    return Source(known.get(plan_of(folder), "run"), folder, beads)


def facts_of(
    source: Source, spec: Spec, seeds: Iterable[int], more: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Returns what every sheet says of its numbers: version, preset, seeds, and more facts."""
    seeds = list(seeds)
    told = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"
    named = preset_of(source.path.name) if source.what == "run" else None
    return {
        "version": f"dss-tui {__version__}",
        "of": f"{source.what} {source.path.name}",
        "preset": named or name_of(spec) or spec.description,
        "seeds": told,
        "method": spec.search.method,
        **(more or {}),
    }


def facts_of_string(source: Source, file: StringFile) -> dict[str, str]:
    """Returns what the sheets of a string say of it."""
    header = file.header
    more = {
        "method": header.method,
        "outcome": header.outcome,
        "level": f"{header.level!r}",
        "tolerance": f"{header.tolerance!r}",
        "objective": header.level_on.words,
        "beads": f"{len(file.string.beads)}",
        "seeds": f"{header.seed}",
    }
    if source.what == "run" and check_regular(source.run.spec):
        return facts_of(source, source.run.load_spec(), [header.seed], more)
    head = {"version": f"dss-tui {__version__}", "of": f"string {source.path.name}"}
    same = [name for name in names() if load_preset(name).problem == header.problem]
    return head | {"problem": " or ".join(same) or "of its own"} | more


def name_of(spec: Spec) -> str | None:
    """Returns the name of the shipped preset of that description, or None where there is none."""
    shipped = ((name, load_preset(name)) for name in names())
    return next((name for name, own in shipped if own.description == spec.description), None)
