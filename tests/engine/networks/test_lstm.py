"""LSTMs against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from engine.networks import build_network
from tests.support.networks import SAMPLES, SPECS, TIME, draw, network_of, spec_of


class Reference(nn.Module):
    """The same language model out of torch's layers."""

    def __init__(self, vocabulary: int, embedding: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.lstm = nn.LSTM(embedding, hidden, layers, batch_first=True)
        self.output = nn.Linear(hidden, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        states, _ = self.lstm(self.embedding(tokens))
        logits: Tensor = self.output(states)
        return logits.permute(0, 2, 1)


@pytest.mark.parametrize(("name", "sizes"), [("lstm", (11, 5, 4, 1)), ("lstm-two", (6, 3, 7, 2))])
def test_an_lstm_is_that_of_torch(name: str, sizes: tuple[int, int, int, int]) -> None:
    """Names, shapes, fresh random weights and outputs; alone and, step by step, under vmap."""
    torch.manual_seed(6)
    reference = Reference(*sizes)
    torch.manual_seed(6)
    network = network_of(name)
    for ours, torchs in zip(network.named_parameters(), reference.named_parameters(), strict=True):
        assert ours[0] == torchs[0]
        assert torch.equal(ours[1], torchs[1])
    torch.manual_seed(7)
    other = Reference(*sizes)
    network.load_state_dict(other.state_dict())
    tokens = torch.randint(sizes[0], (SAMPLES, TIME), generator=draw(), dtype=torch.int32)
    with torch.no_grad():
        torch.testing.assert_close(network(tokens), other(tokens), rtol=1e-5, atol=1e-6)
        assert network(tokens).shape == (SAMPLES, sizes[0], TIME)
        pair = [dict(model.named_parameters()) for model in (reference, other)]
        weights = {key: torch.stack([one[key] for one in pair]) for key in pair[0]}
        batched = vmap(lambda w: functional_call(network, w, (tokens,)))(weights)
        torch.testing.assert_close(batched[0], reference(tokens), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(batched[1], other(tokens), rtol=1e-5, atol=1e-6)


def test_an_output_knows_no_later_token() -> None:
    network = network_of("lstm-two")
    tokens = torch.randint(6, (2, TIME), generator=draw())
    changed = tokens.clone()
    changed[:, 5] = (changed[:, 5] + 1) % 6
    before, after = network(tokens), network(changed)
    torch.testing.assert_close(before[:, :, :5], after[:, :, :5])
    assert ((before - after)[:, :, 5:].abs().amax(1) > 1e-6).all()


def test_fresh_weights_fill_the_interval_that_is_asked_for() -> None:
    torch.manual_seed(8)
    network = build_network(spec_of(SPECS["lstm-two"] | {"hidden": 30, "init_scale": 0.05}))
    drawn = torch.cat([parameter.flatten() for parameter in network.parameters()])
    assert drawn.abs().max() <= 0.05
    assert drawn.std().item() == pytest.approx(0.05 / 3**0.5, rel=0.02)
    for parameter in network.parameters():
        assert parameter.std() > 0
