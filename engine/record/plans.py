"""The plans of all grids of runs: sweeps, and comparisons of methods. No torch here."""

from __future__ import annotations

from pathlib import Path

from engine.record import compare_folder, sweep_folder
from engine.record.compare_folder import ComparePlan, MethodCell
from engine.record.compare_tables import MethodRow
from engine.record.finding import COMPARISON, PLAN, is_comparison
from engine.record.sweep_folder import Cell, Plan
from engine.record.sweep_tables import LevelRow

AnyPlan = Plan | ComparePlan
AnyCell = Cell | MethodCell
AnyRow = LevelRow | MethodRow


def plan_file(folder: Path) -> Path:
    """Returns the path of the file that holds, or would hold, the plan of a folder."""
    return folder / (COMPARISON if is_comparison(folder) else PLAN)


def read_any_plan(folder: Path) -> AnyPlan | None:
    """Returns the plan in a folder, or None where there is none. Raises InputError."""
    if is_comparison(folder):
        return compare_folder.read_plan(folder)
    return sweep_folder.read_plan(folder)
