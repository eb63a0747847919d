"""The module of the recurrent network that predicts the next token."""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.networks.lstm import LstmNetwork
from engine.networks.modules.vmapped import under_vmap

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class LanguageModel(nn.Module):
    """The module of a language model: an embedding, an LSTM, and a linear layer.

    Each sample starts from a state of zeros.
    """

    def __init__(self, spec: LstmNetwork) -> None:
        """Draws all weights as the key `init_scale` says."""
        super().__init__()
        self.embedding = nn.Embedding(spec.vocabulary, spec.embedding)
        self.lstm = Lstm(spec.embedding, spec.hidden, spec.layers)
        self.output = nn.Linear(spec.hidden, spec.vocabulary)
        if spec.init_scale is not None:
            for parameter in self.parameters():
                nn.init.uniform_(parameter, -spec.init_scale, spec.init_scale)

    def forward(self, tokens: Tensor) -> Tensor:  # (sample, time) -> (sample, vocabulary, time)
        """Returns the logits of the token that follows each of these tokens."""
        states = self.lstm(self.embedding(tokens))  # (sample, time, hidden)
        return self.output(states).transpose(1, 2)  # type: ignore[no-any-return]


class Lstm(nn.Module):
    """An LSTM with the names, shapes and random weights of nn.LSTM, which also works under vmap.

    torch's kernel is faster for one weight vector, but does not batch. Under vmap, steps are
    written out.
    """

    def __init__(self, inputs: int, hidden: int, layers: int) -> None:
        """Draws weights and biases uniform within ±hidden^(-1/2), as nn.LSTM does."""
        super().__init__()
        self.hidden = hidden
        self.layers = layers
        for layer, i in enumerate([inputs, hidden][:layers]):
            for name, shape in zip(
                WEIGHTS,
                [(4 * hidden, i), (4 * hidden, hidden), (4 * hidden,), (4 * hidden,)],
                strict=True,
            ):
                drawn = torch.empty(shape).uniform_(-(hidden**-0.5), hidden**-0.5)
                self.register_parameter(f"{name}_l{layer}", nn.Parameter(drawn))

    def forward(self, x: Tensor) -> Tensor:  # (sample, time, inputs) -> (sample, time, hidden)
        """Returns the last layer's states at each time."""
        weights = [
            [getattr(self, f"{name}_l{layer}") for name in WEIGHTS] for layer in range(self.layers)
        ]
        flat = list(chain.from_iterable(weights))
        if under_vmap(x, *flat):
            for of_layer in weights:
                x = written_out(x, *of_layer)
            return x
        zero = x.new_zeros(self.layers, len(x), self.hidden)
        states, _, _ = torch.lstm(
            x,
            (zero, zero),
            flat,
            has_biases=True,
            num_layers=self.layers,
            dropout=0.0,
            train=torch.is_grad_enabled(),  # cuDNN has no way back otherwise
            bidirectional=False,
            batch_first=True,
        )
        return states


def written_out(x: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> Tensor:
    """Returns the states (sample, time, hidden) of one layer for inputs (sample, time, inputs).

    It computes in operations that batch under vmap.
    """
    driven = functional.linear(x, w_ih, b_ih + b_hh)  # (sample, time, 4 · hidden)
    state = cell = x.new_zeros(len(x), w_hh.shape[1])
    states = []
    for now in driven.unbind(1):
        i, f, g, o = (now + functional.linear(state, w_hh)).chunk(4, dim=1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        state = o.sigmoid() * cell.tanh()
        states.append(state)
    return torch.stack(states, 1)
