"""The groups that are found in small forwards, op by op, and that what is unknown is frozen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.alignment.relabelling import relabelled
from engine.networks.modules.aten import traced
from engine.networks.modules.units.found import units_of
from engine.networks.modules.units.groups import Along, Block, Taken, Units
from tests.support.unit_zoo import planted

Body = Callable[[Tensor, "Between"], Tensor]


class Between(nn.Module):
    """A function of hidden values (sample, 6) between two layers, with a vector of its own."""

    def __init__(self, body: Body, width: int = 6) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 6), nn.Linear(width, 2)
        self.vector = nn.Parameter(torch.randn(6))
        self.matrix = nn.Parameter(torch.randn(6, 6))
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.body(self.first(x), self))
        return found


def look(network: nn.Module, samples: int = 4) -> tuple[Units, bool]:
    """The units of a network, and whether a random relabelling keeps its function."""
    draws = torch.Generator().manual_seed(1)
    named = {
        name: torch.randn(each.shape, generator=draws, dtype=torch.float64)
        for name, each in network.double().named_parameters()
    }
    x = torch.randn(samples, 3, generator=draws, dtype=torch.float64)
    graph = traced(network, {name: name for name in named}, named, {}, x)
    units = units_of(graph.graph, list(named), [], 0)
    moved = relabelled(units, named, planted(units, seed=2))
    outputs = [torch.func.functional_call(network, each, (x,)) for each in (named, moved)]
    return units, torch.allclose(outputs[0], outputs[1], rtol=1e-10)


def sizes(units: Units) -> list[int]:
    return [group.size for group in units.groups]


FREE: dict[str, Body] = {
    "relu": lambda x, m: torch.relu(x),
    "gelu": lambda x, m: functional.gelu(x),
    "softmax": lambda x, m: x.softmax(-1),
    "product": lambda x, m: x * m.vector,
    "quotient": lambda x, m: x / (1 + m.vector.abs()),
    "in place": lambda x, m: x.mul_(m.vector).tanh_(),
    "mean of all": lambda x, m: x - x.mean(-1, keepdim=True),
    "root mean square": lambda x, m: x * x.square().mean(-1, keepdim=True).rsqrt() * m.vector,
    "normalized weights": lambda x, m: x @ (m.matrix / m.matrix.norm(dim=1, keepdim=True)),
    "a sum over places": lambda x, m: torch.einsum("si,ij->sj", x, m.matrix).relu(),
    "a constant": lambda x, m: torch.where(x > 0, x, torch.full_like(x, 0.5)),
    "a copy": lambda x, m: torch.zeros_like(x).copy_(x).expand(4, 6),
    "the same layer twice": lambda x, m: torch.relu(torch.relu(x @ m.matrix) @ m.matrix),
    "a padded batch": lambda x, m: functional.pad(x, (0, 0, 1, 2))[1:5],
}


@pytest.mark.parametrize("name", FREE)
def test_units_stay_free(name: str) -> None:
    units, same = look(Between(FREE[name]))
    assert same and sizes(units)[0] == 6


FROZEN: dict[str, Body] = {
    "sorted": lambda x, m: x.sort(-1).values,
    "cumulated": lambda x, m: x.cumsum(-1),
    "reversed": lambda x, m: x.flip(-1),
    "rolled": lambda x, m: x.roll(1, -1),
    "every other": lambda x, m: x[:, ::2].repeat(1, 2),
    "by numbers": lambda x, m: x[:, torch.tensor([1, 0, 2, 3, 4, 5])],
    "several in one": lambda x, m: torch.cat(x.unbind(0)).view(4, 6),
    "a fourier transform": lambda x, m: torch.fft.fft(x).real,
    "known places": lambda x, m: x + torch.arange(6.0).double(),
    "a triangle": lambda x, m: x @ m.matrix.tril() + m.vector,
    "an outer shape": lambda x, m: (x.view(4, 2, 3) - x.view(4, 3, 2).transpose(1, 2)).flatten(1),
}


@pytest.mark.parametrize("name", FROZEN)
def test_what_depends_on_places_freezes_units(name: str) -> None:
    units, same = look(Between(FROZEN[name]))
    assert same and units.groups == ()


def test_a_rectifier_leaves_scales_and_others_do_not() -> None:
    for body, scales in ((FREE["relu"], ["first.weight:0"]), (FREE["gelu"], [])):
        units, _ = look(Between(body))
        assert [each.name for each in units.scales] == scales


def test_parts_of_a_layer_move_by_themselves() -> None:
    """A gated unit: each half of the values is multiplied by the other half's unit."""
    gated = Between(lambda x, m: x[:, :3] * x[:, 3:].sigmoid(), width=3)
    units, same = look(gated)
    assert same and sizes(units) == [3]
    assert [block.narrowed for block in units.blocks["first.bias"]] == [((0, 3),), ((3, 3),)]


def test_several_heads() -> None:
    """Heads of two units each: weights (heads, within) of one matrix."""

    def body(x: Tensor, m: Between) -> Tensor:
        heads = x.view(4, 3, 2)
        return (heads.softmax(-1) * heads.mean(-1, keepdim=True)).flatten(1)

    units, same = look(Between(body))
    assert same
    assert [(group.size, group.parent) for group in units.groups] == [(3, None), (2, 0)]


def test_what_is_never_used_stays() -> None:
    network = Between(FREE["relu"])
    units, _ = look(network)
    assert all(along.group is None for along in units.blocks["vector"][0].axes)


def test_a_block_is_a_view() -> None:
    """Of rows 1 and 2 of a tensor, taken apart into 3 by 2, the third pair."""
    tensor = torch.arange(24.0).reshape(4, 6)
    axes = (Along(2, None), Along(2, None))
    part = Block(((1, 2), (0, 6)), (Taken((2, 3, 2), 1, 2),), axes).of(tensor)
    assert part.tolist() == [[10, 11], [16, 17]]
    part.zero_()
    assert tensor[2].tolist() == [12, 13, 14, 15, 0, 0]
