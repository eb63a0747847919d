"""States packed into tensors and JSON, and unpacked to the same bits or refused with the place."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

from engine.record.decoding import parse_json
from engine.record.marks import Count, Length
from engine.record.packing import instances, pack, unpack
from engine.record.reading import Damaged

FILE = Path("checkpoint.safetensors")


class Mood(StrEnum):
    CALM = "calm"
    EAGER = "eager"


@dataclass(frozen=True)
class Rows:
    theta: Float[Tensor, "row param"]
    loss: tuple[float, ...]
    steps: Annotated[tuple[Count, ...], Length(1)]


@dataclass(frozen=True)
class Resting:
    kind: Literal["resting"]
    since: float


@dataclass(frozen=True)
class Moving:
    kind: Literal["moving"]
    rows: Rows | None
    ahead: dict[int, Rows]


@dataclass(frozen=True)
class Search:
    name: str
    mood: Mood
    stuck: bool
    random: int
    level: float | None
    stream: Tensor
    stage: Resting | Moving
    places: dict[tuple[int, int], float]
    counts: dict[str, int]
    pair: tuple[int, str]
    rows: tuple[Rows, ...]

    def __post_init__(self) -> None:
        if self.name == "nameless":
            raise ValueError("has no name")


def through_json(plain: Any) -> Any:
    """The plain part as a file of Python's own JSON brings it back."""
    return parse_json(json.dumps(plain))


def same(one: Any, other: Any) -> bool:
    """Whether two values are of one type and equal to the bit, NaNs included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        alike = one.dtype == other.dtype and one.shape == other.shape
        return alike and one.numpy().tobytes() == other.numpy().tobytes()
    if is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, dict):
        return list(one) == list(other) and all(map(same, one.values(), other.values()))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return one.hex() == other.hex()
    return bool(one == other)


def tensors(*shape: int) -> st.SearchStrategy[Tensor]:
    return st.integers(0, 2**32).map(
        lambda seed: torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    )


FLOATS = st.floats()
ROWS = st.builds(
    Rows,
    theta=st.tuples(st.integers(1, 3), st.integers(1, 4)).flatmap(lambda shape: tensors(*shape)),
    loss=st.lists(FLOATS, max_size=3).map(tuple),
    steps=st.lists(st.integers(0, 2**53), min_size=1, max_size=3).map(tuple),
)
STAGES = st.one_of(
    st.builds(Resting, kind=st.just("resting"), since=FLOATS),
    st.builds(
        Moving,
        kind=st.just("moving"),
        rows=st.none() | ROWS,
        ahead=st.dictionaries(st.integers(), ROWS, max_size=2),
    ),
)
SEARCHES = st.builds(
    Search,
    name=st.text().filter(lambda name: name != "nameless"),
    mood=st.sampled_from(Mood),
    stuck=st.booleans(),
    random=st.integers(0, 2**200),
    level=st.none() | FLOATS,
    stream=st.binary(max_size=9).map(lambda b: torch.tensor(list(b), dtype=torch.uint8)),
    stage=STAGES,
    places=st.dictionaries(st.tuples(st.integers(), st.integers()), FLOATS, max_size=3),
    counts=st.dictionaries(st.text(), st.integers(), max_size=3),
    pair=st.tuples(st.integers(), st.text()),
    rows=st.lists(ROWS, max_size=2).map(tuple),
)


@settings(deadline=None, derandomize=True)
@given(SEARCHES)
def test_a_state_comes_back_to_the_bit(state: Search) -> None:
    held, plain = pack(state)
    assert same(unpack(Search, (held, through_json(plain)), FILE), state)


ROW = Rows(torch.ones(2, 3), (0.25, math.nan), (7,))
STATE = Search(
    "greedy",
    Mood.EAGER,
    False,
    11,
    None,
    torch.arange(5),
    Moving("moving", None, {4: ROW}),
    {(1, 2): 0.5},
    {"a": 3},
    (6, "b"),
    (ROW, replace(ROW, steps=(8, 9))),
)


def test_tensors_are_named_by_their_places() -> None:
    held, plain = pack(STATE)
    assert set(held) == {"stream", "stage.ahead.0.1.theta", "rows.0.theta", "rows.1.theta"}
    assert held["stream"] is STATE.stream
    assert plain["rows"][1]["theta"] == {"$tensor": "rows.1.theta"}


@pytest.mark.parametrize(
    ("place", "wrong", "why"),
    [
        ("mood", "angry", "mood is 'angry', but must be one of calm, eager"),
        ("stuck", 0, "stuck is 0, but must be true or false"),
        ("random", 1.5, "random is 1.5, but must be a whole number"),
        ("level", "x", "level is 'x', but must be a number"),
        ("stream", [1, 2], "stream is a list of 2, but must be a Tensor"),
        ("stream", {"$tensor": "rows"}, "it holds no tensor 'rows'"),
        ("stream", {"$tensor": ["rows"]}, "it holds no tensor ['rows']"),
        ("stage", None, "stage is null, but must be an object"),
        ("stage.kind", "flying", "stage.kind is 'flying', but must be one of resting, moving"),
        ("stage.ahead", [[4]], "stage.ahead.0 is a list of 1, but must be a list of 2"),
        ("places", [[[1], 0.5]], "places.0.0 is a list of 1, but must be a list of 2"),
        ("pair", [6], "pair is a list of 1, but must be a list of 2"),
        ("rows.1.steps", [], "rows.1.steps holds 0 items, but must hold 1 at least"),
        ("rows.1.steps", [3, -1], "rows.1.steps.1 is -1, but must be from 0"),
        ("rows.0.theta", {"$tensor": "stream"}, "rows.0.theta is "),
        ("rows.0", {"theta": {"$tensor": "rows.0.theta"}}, "rows.0.loss is missing"),
        ("name", "nameless", "has no name"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_with_its_place(
    place: str, wrong: object, why: str
) -> None:
    held, plain = pack(STATE)
    *steps, last = (int(step) if step.isdigit() else step for step in place.split("."))
    holder = plain
    for step in steps:
        holder = holder[step]
    holder[last] = wrong
    with pytest.raises(Damaged) as caught:
        unpack(Search, (held, through_json(plain)), FILE)
    assert str(caught.value).startswith(f"damaged: {FILE}: its state does not fit: {why}")


def test_another_states_values_are_refused() -> None:
    with pytest.raises(Damaged, match="theta is missing"):
        unpack(Rows, pack(Resting("resting", 0.5)), FILE)


@pytest.mark.parametrize("value", [{3}, [3], object(), b"3", 3j])
def test_what_no_file_can_hold_is_a_mistake_of_ours(value: object) -> None:
    with pytest.raises(TypeError, match="since: no file can hold a"):
        pack(Resting("resting", value))  # type: ignore[arg-type]


# ---------------------------------------------------------------- what is held once


@dataclass(frozen=True)
class Strings:
    now: tuple[Tensor, ...]
    best: tuple[Tensor, ...]
    rows: Tensor


def test_a_vector_that_stands_twice_is_held_once_and_a_row_as_a_row() -> None:
    rows, bead = torch.arange(6.0).reshape(3, 2), torch.tensor([7.0, 8.0])
    equal = bead.clone()
    state = Strings((bead, rows[1], equal), (rows[1], bead), rows)
    tensors, plain = pack(state, {bead: "beads/7.1"})
    assert tensors.keys() == {"beads/7.1", "now.2", "rows"}
    assert plain["now"] == [
        {"$tensor": "beads/7.1"},
        {"$tensor": "rows", "$row": 1},
        {"$tensor": "now.2"},
    ]
    assert plain["best"] == [{"$tensor": "rows", "$row": 1}, {"$tensor": "beads/7.1"}]
    back = unpack(Strings, (tensors, json.loads(json.dumps(plain))), FILE)
    assert back.now[0] is back.best[1]
    for one, other in zip(back.now + back.best, state.now + state.best, strict=True):
        assert torch.equal(one, other)


def test_instances_are_found_wherever_they_stand() -> None:
    tensor = torch.zeros(2)
    state = Strings((tensor, tensor), (), torch.ones(1, 2))
    assert [each is tensor for each in instances(Tensor, state)] == [True, True, False]
    assert list(instances(Mood, {1: (Mood.CALM,), 2: [Mood.EAGER]})) == [Mood.CALM]


@pytest.mark.parametrize("row", [3, -1, 1.0, "1", None])
def test_a_row_that_is_not_there_is_refused(row: object) -> None:
    rows = torch.zeros(3, 2)
    plain = {"now": [{"$tensor": "rows", "$row": row}], "best": [], "rows": {"$tensor": "rows"}}
    with pytest.raises(Damaged, match="its tensor 'rows' has no row"):
        unpack(Strings, ({"rows": rows}, plain), FILE)
