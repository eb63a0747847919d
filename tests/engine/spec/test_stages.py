"""Keys that are null: from which block they are taken, and that they can be set apart."""

from __future__ import annotations

import pytest

from engine.spec.optimizers import Sgd
from engine.spec.stages import Stages, stages_of
from engine.spec.training import PartialTraining, Training
from engine.spec.yaml_file import parse, read_yaml, with_overrides

#: Every block differs from every other in each of its keys.
PRESET = """\
problem:
  data: {kind: polynomial, coefficients: [0.3, 0.25]}
  network: {kind: mlp, sizes: [1, 3, 1]}
  loss: mse
endpoints:
  {optimizer: {kind: sgd, lr: 0.1}, batch_size: 11, max_steps: 101, patience: 12, check_every: 13,
   restarts: 4}
search:
  level: 0.02
  greedy:
    {optimizer: {kind: sgd, lr: 0.2}, batch_size: 21, max_steps: 201, patience: 22, check_every: 23,
     margin: 0.07, grid: 17}
  constrained:
    {optimizer: {kind: sgd, lr: 0.3}, batch_size: 31, max_steps: 301, patience: 32, check_every: 33,
     grid: 19}
  auto: {patience: 42}
"""


def stages(*overrides: str) -> Stages:
    return stages_of(parse(with_overrides(read_yaml(PRESET, "p.yaml"), overrides)))


def block(lr: float, batch_size: int, max_steps: int, patience: int, check_every: int) -> Training:
    return Training(
        optimizer=Sgd(kind="sgd", lr=lr),
        batch_size=batch_size,
        max_steps=max_steps,
        patience=patience,
        check_every=check_every,
    )


def plain(training: Training) -> Training:
    """The training block without the other keys of its stage."""
    return PartialTraining().over(training)


def test_a_partial_block_has_every_key_of_a_whole_one() -> None:
    assert set(PartialTraining.model_fields) == set(Training.model_fields)


def test_what_is_left_out_is_taken_from_where_it_is_documented() -> None:
    found = stages()
    assert plain(found.endpoints) == block(0.1, 11, 101, 12, 13)
    assert plain(found.greedy) == block(0.2, 21, 201, 22, 23)
    assert plain(found.constrained) == block(0.3, 31, 301, 32, 33)
    assert found.polish == block(0.2, 21, 201, 32, 23)
    assert found.detour == block(0.1, 11, 101, 42, 13)
    assert found.detour_restarts == 4
    assert found.constrained_margin == 0.07
    assert found.audit.batch_size == 21


@pytest.mark.parametrize(
    ("method", "grid", "patience"),
    [("greedy", 17, 12), ("linear", 17, 12), ("constrained", 19, 12), ("auto", 17, 42)],
)
def test_some_depends_on_the_method(method: str, grid: int, patience: int) -> None:
    found = stages(f"search.method={method}")
    assert (found.grid, found.endpoints.patience) == (grid, patience)


@pytest.mark.parametrize("name", ["polish", "detour"])
@pytest.mark.parametrize(
    ("key", "value"),
    [("batch_size", 51), ("max_steps", 52), ("patience", 53), ("check_every", 54)],
)
def test_a_blocks_own_key_goes_first(name: str, key: str, value: int) -> None:
    before, found = stages(), stages(f"search.{name}.{key}={value}")
    own: Training = getattr(found, name)
    assert own == getattr(before, name).model_copy(update={key: value})
    assert found.greedy == before.greedy and found.endpoints == before.endpoints


def test_single_keys_go_first() -> None:
    found = stages(
        "search.grid=25",
        "search.constrained.margin=0.11",
        "search.polish.optimizer={kind: sgd, lr: 0.6}",
        "search.detour.restarts=7",
        "search.audit.batch_size=full",
    )
    assert (found.grid, found.constrained_margin, found.detour_restarts) == (25, 0.11, 7)
    assert found.polish == block(0.6, 21, 201, 32, 23)
    assert found.audit.batch_size == "full"


def test_the_trainings_are_those_of_every_stage() -> None:
    sizes = {training.batch_size for training in stages("search.detour.batch_size=61").trainings}
    assert sizes == {11, 21, 31, 61}
