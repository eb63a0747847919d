"""Which parameters weight decay leaves alone."""

from __future__ import annotations

import pytest
from torch import nn

from engine.errors import InputError
from engine.problem.batch_norm import explicit
from engine.problem.exempt import decaying, which_decay
from engine.spec.optimizers import Exempt


class OwnNorm(nn.Module):
    """A scale of a user's own, as models from the Hub have it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(nn.init.ones_(nn.Linear(3, 1).weight.detach()[0]))


def network() -> nn.Module:
    return nn.ModuleDict(
        {
            "first": nn.Linear(4, 3),
            "batch": nn.BatchNorm1d(3),
            "layer": nn.LayerNorm(3),
            "own": OwnNorm(),
            "cell": nn.LSTM(3, 2),
        }
    )


NAMES = [name for name, _ in network().named_parameters()]
CELL = ["cell.weight_ih_l0", "cell.weight_hh_l0"]
CELLS_BIAS = ["cell.bias_ih_l0", "cell.bias_hh_l0"]


@pytest.mark.parametrize(
    ("exempt", "left"),
    [
        ((), NAMES),
        (("bias",), ["first.weight", "batch.weight", "layer.weight", "own.scale", *CELL]),
        (("norm",), ["first.weight", "first.bias", *CELL, *CELLS_BIAS]),
        (("bias", "norm"), ["first.weight", *CELL]),
        (("vectors",), ["first.weight", *CELL]),
        (("first.*", "own.scale", "bias"), ["batch.weight", "layer.weight", *CELL]),
        (("*.weight", "cell.*", "own*"), ["first.bias", "batch.bias", "layer.bias"]),
    ],
    ids=["none", "bias", "norm", "both", "vectors", "patterns", "stars"],
)
def test_by_their_own_names_and_the_classes_of_their_layers(
    exempt: tuple[Exempt, ...], left: list[str]
) -> None:
    for made in (network(), explicit(network())):
        which = which_decay(made, exempt)
        assert [name for name, decays in which.items() if decays] == left
        count = sum(p.numel() for name, p in made.named_parameters() if name in left)
        weights = decaying(made, exempt, list(which))
        assert weights.sum() == count
        assert len(weights) == sum(p.numel() for p in made.parameters())


def test_a_pattern_that_fits_nothing_is_refused() -> None:
    with pytest.raises(InputError) as error:
        which_decay(network(), ("embedding.*",))
    assert str(error.value) == (
        "decay_exempt: the pattern embedding.* fits no parameter; there are first.weight, "
        "first.bias, batch.weight, batch.bias and 7 more"
    )
