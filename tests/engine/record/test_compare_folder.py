"""Variants of methods, and the plan of a comparison in its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import InputError
from engine.record.compare_folder import ComparePlan, Variant, read_plan, variants_of
from engine.record.finding import COMPARISON
from engine.record.plans import plan_file, read_any_plan
from engine.record.sweep_folder import write_plan
from presets import load_preset


def test_plus_signs_and_free_variants_become_keys() -> None:
    free = ["fast:search.method=greedy, search.greedy.optimizer={kind: adam, lr: 0.1}"]
    assert variants_of(" constrained, greedy+align+shorten ", free) == (
        Variant("constrained", ("search.method=constrained",)),
        Variant(
            "greedy+align+shorten",
            ("search.method=greedy", "endpoints.align=weights", "search.shorten=true"),
        ),
        Variant("fast", ("search.method=greedy", "search.greedy.optimizer={kind: adam, lr: 0.1}")),
    )


def plan_of(tmp_path: Path) -> ComparePlan:
    variants = variants_of("greedy+align", ["slow:search.greedy.optimizer.lr=0.25"])
    plan = ComparePlan(load_preset("quadratic", seed=5), variants, 3, (), 33)
    write_plan(plan.text(), tmp_path, COMPARISON)
    return plan


def test_a_plan_comes_back_from_its_file(tmp_path: Path) -> None:
    assert read_any_plan(tmp_path) is None
    plan = plan_of(tmp_path)
    assert read_plan(tmp_path) == read_any_plan(tmp_path) == plan
    assert plan_file(tmp_path).name == "compare.yaml"
    names = [cell.run.path.relative_to(tmp_path).as_posix() for cell in plan.cells(tmp_path)]
    assert names[0] == "greedy+align/pair-0000" and names[-1] == "slow/pair-0002"


def test_a_cell_has_the_ends_of_its_pair_and_the_keys_of_its_method(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    plain, slow = (plan.spec_of(name, 2, tmp_path) for name in plan.names)
    assert plain.seed == slow.seed == 7
    assert plain.endpoints.a == slow.endpoints.a == str(tmp_path / plan.models_of(2)[0])
    assert (plain.endpoints.kind, plain.endpoints.align) == ("files", "weights")
    assert slow.endpoints.align is None and slow.search.greedy.optimizer.lr == 0.25
    trained = plan.ends_spec(2)
    assert trained.endpoints.kind == "random" and trained.seed == 7


@pytest.mark.parametrize(
    "text",
    ["[]", "compare: {}", "compare: {methods: {a/b: []}, pairs: 1, models: [], points: 9}"],
)
def test_what_no_comparison_wrote_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / COMPARISON).write_text(text)
    with pytest.raises(InputError, match="is not what `dss-tui compare` wrote"):
        read_plan(tmp_path)
