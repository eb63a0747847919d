"""The plans of all grids of runs: sweeps, comparisons of methods, and components. No torch here."""

from __future__ import annotations

from pathlib import Path

from engine.record import compare_folder, components_folder, sweep_folder
from engine.record.compare_folder import ComparePlan, MethodCell
from engine.record.compare_tables import MethodRow
from engine.record.components_folder import ComponentsPlan, PairCell
from engine.record.components_tables import ComponentsRow
from engine.record.finding import PLAN, is_comparison, is_components, plan_of
from engine.record.sweep_folder import Cell, Plan
from engine.record.sweep_tables import LevelRow

AnyPlan = Plan | ComparePlan | ComponentsPlan
AnyCell = Cell | MethodCell | PairCell
AnyRow = LevelRow | MethodRow | ComponentsRow


def plan_file(folder: Path) -> Path:
    """Returns the path of the file that holds, or would hold, the plan of a folder."""
    return folder / (plan_of(folder) or PLAN)


def read_any_plan(folder: Path) -> AnyPlan | None:
    """Returns the plan in a folder, or None where there is none. Raises InputError."""
    if is_comparison(folder):
        return compare_folder.read_plan(folder)
    if is_components(folder):
        return components_folder.read_plan(folder)
    return sweep_folder.read_plan(folder)
