"""Pieces of strings that are worked on at once."""

from __future__ import annotations

import pytest
import torch

from engine.steps.pieces import beads_at_once, moved, pieces


@pytest.mark.parametrize(("room", "at_once"), [(1, 1), (12, 1), (24, 2), (35, 2), (10**6, 83333)])
def test_pieces_hold_what_there_is_room_for_and_one_bead_at_least(
    room: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    theta = torch.zeros(9, 3)  # 12 bytes a bead
    monkeypatch.setattr("engine.steps.pieces.PIECE", room)
    assert beads_at_once(theta) == at_once
    found = pieces(theta, 1, 8)
    assert [row for piece in found for row in range(9)[piece]] == list(range(1, 8))
    assert all(len(range(9)[piece]) <= at_once for piece in found)


def test_beads_without_weights_have_a_piece() -> None:
    assert pieces(torch.zeros(4, 0), 0, 4) != []


def test_neighbours_lie_beside_a_piece() -> None:
    assert (moved(slice(2, 5), -1), moved(slice(2, 5), 1)) == (slice(1, 4), slice(3, 6))
