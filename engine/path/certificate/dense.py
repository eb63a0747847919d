"""Fully connected layers, and the margins of classes that the last one of them gives."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.path.certificate.affine import Moving, affine, bow_of, ends, remainder, rounding
from engine.path.certificate.chord import Chord


def dense(x: Chord, weights: Moving) -> Chord:
    """Returns the model (cell, sample, out) of a fully connected layer on x (cell, sample, in)."""
    return affine(x, weights, _apply, 0)


def margins(x: Chord, weights: Moving, labels: Tensor) -> Chord:
    """Returns the model of z_k − z_y (cell, sample, class) of a layer's outputs z, y the label.

    Differences of the weights come before their absolute values, so that what all classes have in
    common cancels. `labels` is (sample,). A label's own margin is exactly 0.
    """
    slack = 2 * rounding(x, weights).max()
    outputs = ends(x, weights, _apply, 0)
    curved = torch.zeros_like(outputs[0]) if x.exact else bow_of(x, weights, _apply)
    start, end, bow = (part - _of_labels(part, labels) for part in (*outputs, curved))
    low, high = torch.zeros_like(start), torch.zeros_like(start)
    if not x.exact:
        middle, change = weights.middle, weights.change
        for label in sorted(set(labels.tolist())):
            chosen = labels == label
            low[:, chosen], high[:, chosen] = remainder(
                x.map(lambda part, chosen=chosen: part[:, chosen]),  # type: ignore[misc]
                middle - middle[:, label : label + 1],
                change - change[:, label : label + 1],
                _apply,
            )
    own = torch.nn.functional.one_hot(labels, start.shape[-1]).bool()
    low = (low - slack).clamp(max=0).masked_fill(own, 0.0)
    high = (high + slack).clamp(min=0).masked_fill(own, 0.0)
    return Chord(start, end, bow, low, high)


def _of_labels(outputs: Tensor, labels: Tensor) -> Tensor:
    """Returns the label's output of each sample, (cell, sample, 1)."""
    index = labels[None, :, None].expand(len(outputs), -1, 1)
    return outputs.gather(2, index)


def _apply(x: Tensor, weights: Tensor) -> Tensor:
    """Returns W·x of each sample and cell; x may have one cell for all."""
    return torch.matmul(x, weights.transpose(1, 2))
