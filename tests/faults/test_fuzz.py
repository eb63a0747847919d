"""Inputs from hell: each is accepted, or refused in one sentence.

`python -m tests.support.faults.fuzz` draws them by the thousand; docs/reliability.md has its
counts. What it found is here, as small as it can be.
"""

from __future__ import annotations

import pickle
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.data import pickled_arrays
from engine.errors import InputError
from engine.problem.checkpoints import inert_pickle
from engine.record import string_file
from engine.spec.shipped import source
from engine.spec.yaml_file import with_overrides
from tests.support.faults.fuzz import exit_status
from tests.support.faults.inputs import KINDS, PLAUSIBLE, taken
from tests.support.faults.trial import LARGEST

EXAMPLES = 25
#: Commands that take longer than all others together.
LONG = ("run", "shorten", "align", "compare", "components")


@pytest.mark.parametrize("name", KINDS)
def test_each_is_accepted_or_refused(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    kind = KINDS[name]
    seen: set[str] = set()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def each(data: st.DataObject) -> None:
        seen.add(taken(kind, data.draw(kind.drawn())))

    each()
    assert "refused" in seen


@pytest.mark.parametrize("line", [line for line in PLAUSIBLE if line[0] not in LONG], ids=" ".join)
def test_command_lines_begin_with_what_is_accepted(
    line: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSS_TUI_RUNS", str(tmp_path))
    assert taken(KINDS["command lines"], list(line)) == (
        "refused" if line[0] in ("attach", "stop") else "accepted"
    )


def test_too_much_memory_is_a_failure_too() -> None:
    assert [exit_status(0, LARGEST), exit_status(1, 0), exit_status(0, LARGEST + 1)] == [0, 1, 1]


# ---------------------------------------------------------------- findings


@pytest.mark.parametrize("line", ['description="\n', "description=\x1f\n"])
def test_a_line_end_in_an_override_is_no_line_end_in_the_sentence(line: str) -> None:
    with pytest.raises(InputError) as caught:
        with_overrides({}, [line])
    assert str(caught.value).startswith("--set description=") and "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [2**31, 2**32 - 1])
def test_a_pickle_does_not_fill_the_memory_with_its_numbers_of_objects(number: int) -> None:
    content = b"\x80\x02}r" + struct.pack("<I", number) + b"."
    assert pickled_arrays.read(content) == {}

    assert inert_pickle.load(BytesIO(content)) == {}
    assert pickle.loads(b"\x80\x02}r" + struct.pack("<I", 3) + b".") == {}


@pytest.mark.parametrize("shape", [(0,), (1, 3), (3,), ()])
def test_what_is_carried_is_of_both_ends(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    whole = Path(__file__).parents[1] / "fixtures/6706f4a/strings/quadratic.npz"
    with np.load(whole) as held:
        arrays: dict[str, Any] = dict(held) | {"carried.mean": np.zeros(shape)}
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=r"carried\.mean holds no value for each end"):
        string_file.read(path)


def test_a_preset_that_is_no_text_is_not_printed(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(b"a\x9f")
    with pytest.raises(InputError, match="cannot be read: it is not UTF-8 text"):
        source(str(path))
