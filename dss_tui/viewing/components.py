"""Puts components into words: what is known of each pair of models at each level."""

from __future__ import annotations

from collections.abc import Mapping

from dss_tui.viewing.sweeps import word_of
from dss_tui.viewing.words import thousands
from engine.record.components_folder import ComponentsPlan, PairCell
from engine.record.components_tables import Components, ComponentsRow
from engine.record.merging import Pair
from engine.record.progress import Progress
from engine.record.rundir import RunDir
from engine.record.sweeps import CellState, LevelState, SweepView

#: What a pair is called at a level where its search found no path, and where it was none.
NOT_FOUND, JOINED, NOT_SEARCHED, NO_MODEL = "not found", "joined", "not searched", "above the level"

#: What outcomes are called here. A search without success proves nothing.
WORDS = {"not connected": NOT_FOUND, "endpoint not trained": "an end above the level"}


def found_of(view: SweepView, folder: RunDir) -> Components | None:
    """Returns all that follows from the searches of components, or None before the models."""
    assert isinstance(view.plan, ComponentsPlan)
    return view.plan.found(folder.path, view.results)


def words_of(level: LevelState, found: Components | None) -> list[str]:
    """Returns what each pair is called at a level, in the order of its cells."""
    assert isinstance(level.row, ComponentsRow)
    groups = {model: number for number, each in enumerate(level.row.components) for model in each}
    left = set() if found is None else set(found.decided.left)
    refuted = set() if found is None else _refuted(found)
    return [_word(cell, groups, left, refuted) for cell in level.cells]


def _refuted(found: Components) -> set[tuple[float, Pair]]:
    """Returns the searches whose path the evaluator has found above the level."""
    return {
        (each.level, each.pair)
        for each in found.searches
        if not each.connected and each.outcome == "connected"
    }


def _word(
    cell: CellState,
    groups: Mapping[int, int],
    left: set[tuple[float, Pair]],
    refuted: set[tuple[float, Pair]],
) -> str:
    """Returns what the pair of a cell is called."""
    here = cell.cell
    assert isinstance(here, PairCell)
    key = here.level, here.models
    if key in refuted:
        return NOT_FOUND
    word = word_of(cell)
    if word != "waiting":
        return WORDS.get(word, word)
    if key in left:
        return "waiting"
    if groups and not all(model in groups for model in here.models):
        return NO_MODEL
    a, b = here.models
    return JOINED if groups and groups[a] == groups[b] else NOT_SEARCHED


def counted(view: SweepView, folder: RunDir) -> list[str]:
    """Returns how far models and searches have come, in clauses."""
    plan = view.plan
    assert isinstance(plan, ComponentsPlan)
    there = plan.models_there(folder.path)
    if there < plan.models:
        return [f"{there} of {plan.models} models are there"]
    found = sum(level.row.connected for level in view.levels)
    proven = sum(level.row.proven for level in view.levels)
    under_way = view.count("running", "paused")
    said = [f"{view.ended} of {view.asked} searches ended", f"{found} found ({proven} proven)"]
    said += [f"{under_way} under way"] if under_way else []
    return [*said, f"{plan.pairs} pairs of models"]


def about_level(level: LevelState) -> str:
    """Returns the sentence on a level, and where its searches stand."""
    assert isinstance(level.row, ComponentsRow)
    row = level.row
    if not row.components and not row.absent:
        return f"level {row.label}: the models are not there yet"
    return row.sentence


def about_pair(
    cell: CellState, word: str, found: Components | None, progress: Progress | None
) -> list[str]:
    """Returns what is known of a pair at a level, in clauses that are not to be broken."""
    here = cell.cell
    assert isinstance(here, PairCell)
    a, b = here.models
    said = [word]
    if found is not None:
        said.insert(0, f"distance {found.told.distances[a][b]:.4g}")
    end = cell.brief.ended
    if end is not None and cell.ended:
        said.append(f"{thousands(end.totals.bead_steps)} steps")
    elif progress is not None:
        counters = progress.counters
        said += [
            progress.phase,
            f"{counters.beads} beads",
            f"{thousands(counters.bead_steps)} steps",
        ]
    way = None if found is None else found.between(a, b)
    if way is not None:
        paths = "1 path" if way[1] == 1 else f"{way[1]} paths"
        said.append(f"barrier ≤ {way[0]:.4g} over {paths}")
    return [f"models {a} and {b}:", *(f"{each}," for each in said[:-1]), said[-1]]
