"""The nudged elastic band: improved tangents, springs along the band, and the bead that climbs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from engine.steps.bands import Band, tangents

DOUBLE = torch.float64
AFTER, BEFORE = torch.tensor([[0.0, 2.0]], dtype=DOUBLE), torch.tensor([[1.0, 0.0]], dtype=DOUBLE)


@pytest.mark.parametrize(
    ("loss", "wanted"),
    [
        ([1.0, 2.0, 3.0], [0.0, 1.0]),  # it rises: the way to the higher neighbour
        ([3.0, 2.0, 1.0], [1.0, 0.0]),  # it falls
        ([1.0, 3.0, 2.0], [1.0, 4.0]),  # a maximum, whose higher neighbour is the next: 1 and 2
        ([2.0, 3.0, 1.0], [2.0, 2.0]),
        ([3.0, 1.0, 2.0], [2.0, 2.0]),  # a minimum, whose higher neighbour is the one before
        ([1.0, 1.0, 1.0], [1.0, 2.0]),
    ],
)
def test_tangents_go_by_the_losses_of_the_neighbours(
    loss: list[float], wanted: list[float]
) -> None:
    found = tangents(BEFORE, AFTER, torch.tensor(loss, dtype=DOUBLE))
    torch.testing.assert_close(found, normalize(torch.tensor([wanted], dtype=DOUBLE)))


def band_and_gradients(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    theta = torch.randn(6, 4, dtype=DOUBLE, generator=generator).cumsum(0)
    grad = torch.randn(6, 4, dtype=DOUBLE, generator=generator)
    return theta, grad, torch.rand(6, dtype=DOUBLE, generator=generator)


@pytest.mark.parametrize("seed", range(5))
def test_gradients_act_across_the_band_and_springs_along_it(seed: int) -> None:
    theta, grad, loss = band_and_gradients(seed)
    along = tangents(theta[1:-1] - theta[:-2], theta[2:] - theta[1:-1], loss)
    free = Band(0.0).steer(theta, grad, loss)
    assert ((free[1:-1] * along).sum(1).abs() < 1e-12).all()
    across = grad[1:-1] - (grad[1:-1] * along).sum(1, keepdim=True) * along
    torch.testing.assert_close(free[1:-1], across)
    assert torch.equal(free[[0, -1]], grad[[0, -1]])
    pulls = Band(2.0).steer(theta, grad, loss)[1:-1] - free[1:-1]
    lengths = (theta[1:] - theta[:-1]).norm(dim=1)
    wanted = -2.0 * (lengths[1:] - lengths[:-1])[:, None] * along
    torch.testing.assert_close(pulls, wanted)


@pytest.mark.parametrize("seed", range(5))
def test_the_highest_inner_bead_climbs_along_the_band(seed: int) -> None:
    theta, grad, loss = band_and_gradients(seed)
    loss[0], top = 0.0, 1 + int(loss[1:-1].argmax())
    loss[-1] = 0.0
    held, climbing = (Band(1.0, climbs).steer(theta, grad, loss) for climbs in (False, True))
    along = tangents(theta[1:-1] - theta[:-2], theta[2:] - theta[1:-1], loss)[top - 1]
    torch.testing.assert_close(climbing[top], grad[top] - 2 * (grad[top] @ along) * along)
    rest = [bead for bead in range(6) if bead != top]
    assert torch.equal(climbing[rest], held[rest])
    loss[0] = 2.0  # where an end is the highest of all, nothing climbs
    held, climbing = (Band(1.0, climbs).steer(theta, grad, loss) for climbs in (False, True))
    assert torch.equal(climbing, held)


def test_a_band_without_inner_beads_stays_as_it_is() -> None:
    theta, grad, loss = band_and_gradients(1)
    assert torch.equal(Band(1.0).steer(theta[:2], grad[:2], loss[:2]), grad[:2])
