"""CUDA_VISIBLE_DEVICES: numbers, identifiers, parts of GPUs, and what is not understood."""

from __future__ import annotations

import pytest

from engine.devices.visible import entries, uuid_of

PART = "MIG-4d2f-11"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, None),
        ("", ()),
        ("-1", ()),
        ("none", ()),
        ("2, 0", ("2", "0")),
        ("1,-1,0", ("1",)),
        ("GPU-8932f937,GPU-ab", ("GPU-8932f937", "GPU-ab")),
        (f"{PART},3", (PART, "3")),
        ("MIG-GPU-8932f937/1/0", ("MIG-GPU-8932f937/1/0",)),
    ],
)
def test_entries_count_up_to_the_first_that_is_not_understood(
    value: str | None, found: tuple[str, ...] | None
) -> None:
    assert entries(value) == found


@pytest.mark.parametrize(
    ("number", "told", "value", "uuid"),
    [
        (0, "8932f937-aa", None, "GPU-8932f937-aa"),
        (1, "8932f937-aa", "3,0", "GPU-8932f937-aa"),
        (0, "GPU-8932f937-aa", "", "GPU-8932f937-aa"),
        (0, "8932f937-aa", PART, PART),
        (0, "MIG-1", None, "MIG-1"),
        (1, None, "3,GPU-89", "GPU-89"),
        (0, None, "3,GPU-89", ""),  # by a number CUDA and the library may mean two GPUs
        (2, None, "3,GPU-89", ""),
        (0, None, None, ""),
    ],
)
def test_the_identifier_of_a_device(
    number: int, told: str | None, value: str | None, uuid: str
) -> None:
    assert uuid_of(number, told, value) == uuid
