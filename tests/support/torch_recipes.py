"""Training blocks, and torch's own optimizers, schedulers and clipping by the same keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import lr_scheduler

from engine.bench.plain import torch_optimizer
from engine.spec.augment import Augment
from engine.spec.optimizers import Adam, AdamW, Optimizer, RmsProp, Sgd
from engine.spec.schedules import Constant, Cosine, Linear, Piecewise, Step
from engine.spec.training import Clip, Training

OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Sgd(kind="sgd", lr=0.01),
    "sgd-momentum": Sgd(kind="sgd", lr=0.003, momentum=0.8),
    "sgd-nesterov": Sgd(kind="sgd", lr=0.003, momentum=0.8, nesterov=True, weight_decay=0.02),
    "sgd-decay": Sgd(kind="sgd", lr=0.01, weight_decay=0.05),
    "rmsprop": RmsProp(kind="rmsprop", lr=0.004, smoothing=0.95, eps=1e-6),
    "rmsprop-momentum": RmsProp(
        kind="rmsprop", lr=0.002, momentum=0.7, eps=1e-6, weight_decay=0.02
    ),
    "adam": Adam(kind="adam", lr=0.01, betas=(0.8, 0.99), eps=1e-7),
    "adam-decay": Adam(kind="adam", lr=0.01, weight_decay=0.03),
    "adamw": AdamW(kind="adamw", lr=0.01, weight_decay=0.3, eps=1e-6),
}

#: What is set besides an optimizer: schedules whose units are steps, and bounds of the gradient.
EXTRAS: dict[str, dict[str, Any]] = {
    "step": {"schedule": Step(kind="step", milestones=(10, 25), gamma=0.3)},
    "cosine": {"schedule": Cosine(kind="cosine", length=40, warmup=5, floor=0.1)},
    "linear": {"schedule": Linear(kind="linear", length=30, floor=0.2)},
    "warm-up": {"schedule": Constant(kind="constant", warmup=12)},
    "piecewise": {
        "schedule": Piecewise(
            kind="piecewise", length=40, points=((0, 1), (0.5, 1), (0.9, 0.01), (1, 0.01))
        )
    },
    "norm": {"clip": Clip(norm=0.1)},
    "value": {"clip": Clip(value=0.02)},
    "all": {
        "schedule": Cosine(kind="cosine", length=45, warmup=4),
        "clip": Clip(norm=0.2, value=0.1),
    },
}


#: Each optimizer alone, and some with what may be set besides: (optimizer, other keys).
BLOCKS: dict[str, tuple[Optimizer, dict[str, Any]]] = {
    **{name: (optimizer, {}) for name, optimizer in OPTIMIZERS.items()},
    **{
        f"{name}, {extra}": (OPTIMIZERS[name], keys)
        for name in ("sgd-nesterov", "adamw")
        for extra, keys in EXTRAS.items()
    },
    "rmsprop-momentum, all": (OPTIMIZERS["rmsprop-momentum"], EXTRAS["all"]),
}


class TorchRecipe:
    """A plain loop's steps of some tensors by a training block, with torch's own classes."""

    def __init__(
        self, training: Training, leaves: Sequence[Tensor], decays: Sequence[bool] | None = None
    ) -> None:
        """Takes the tensors to step, and which of them decay; all where that is left out."""
        spec = training.optimizer
        self.training, self.leaves = training, list(leaves)
        decay = [True] * len(self.leaves) if decays is None else decays
        groups = [
            {"params": [leaf], "weight_decay": spec.weight_decay if decayed else 0.0}
            for leaf, decayed in zip(self.leaves, decay, strict=True)
        ]
        self.optimizer = torch_optimizer(spec, groups)
        self.scheduler = _scheduler(training, self.optimizer)

    def step(self, *grads: Tensor) -> None:
        """Takes a step along gradients."""
        for leaf, grad in zip(self.leaves, grads, strict=True):
            leaf.grad = grad.clone()
        clip = self.training.clip
        if clip.value is not None:
            clip_grad_value_(self.leaves, clip.value)
        if clip.norm is not None:
            clip_grad_norm_(self.leaves, clip.norm)
        self.optimizer.step()
        self.scheduler.step()


def _scheduler(training: Training, optimizer: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
    """Returns torch's scheduler of a schedule in steps, warm-up first."""
    schedule, lr = training.schedule, training.optimizer.lr
    parts: list[lr_scheduler.LRScheduler] = []
    ends: list[int] = []
    if schedule.warmup:
        parts += [lr_scheduler.LinearLR(optimizer, 1 / schedule.warmup, 1.0, schedule.warmup - 1)]
        ends += [schedule.warmup]
    match schedule:
        case Constant():
            parts += [lr_scheduler.ConstantLR(optimizer, factor=1)]
        case Step():
            parts += [
                lr_scheduler.MultiStepLR(optimizer, list(schedule.milestones), schedule.gamma)
            ]
        case Cosine():
            length = schedule.length - schedule.warmup
            parts += [lr_scheduler.CosineAnnealingLR(optimizer, length, lr * schedule.floor)]
            # torch's wave would rise again.
            parts += [lr_scheduler.ConstantLR(optimizer, schedule.floor, total_iters=10**6)]
            ends += [schedule.length]
        case Linear():
            parts += [lr_scheduler.LinearLR(optimizer, 1.0, schedule.floor, schedule.length)]
        case Piecewise():
            parts += [lr_scheduler.LambdaLR(optimizer, _through(schedule))]
    return lr_scheduler.SequentialLR(optimizer, parts, ends) if ends else parts[0]


def _through(schedule: Piecewise) -> Any:
    """Returns the factor of the rate at a step, written out for the points of EXTRAS."""
    length = schedule.length
    assert schedule.points == ((0, 1), (0.5, 1), (0.9, 0.01), (1, 0.01))

    def factor(step: int) -> float:
        if step <= 0.5 * length:
            return 1.0
        if step >= 0.9 * length:
            return 0.01
        return 1 + (0.01 - 1) * (step / length - 0.5) / 0.4

    return factor


# ---------------------------------------------------------------- draws within steps

MASK = 2**64 - 1


def split_mix(z: int) -> int:
    """SplitMix64's finalizer, in Python's whole numbers."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def key_below(key: int, *counters: int) -> int:
    """The key below a key, by one counter after another."""
    for counter in counters:
        key = split_mix((split_mix(key & MASK) + 0x9E3779B97F4A7C15 * (counter + 1)) & MASK)
    return key


def numbers_of(key: int, count: int) -> list[float]:
    """The first random numbers in [0, 1) of a key, each from 24 bits."""
    found = []
    for place in range(1, count + 1):
        found.append((split_mix((key + place * 0x9E3779B97F4A7C15) & MASK) >> 40) / 2**24)
    return found


def kept(seed: int, step: int, samples: Sequence[int], call: int, width: int, p: float) -> Tensor:
    """The mask (sample, width) of a forward pass's dropout, by the number of its call from 1."""
    rows = [numbers_of(key_below(seed, step, sample, call), width) for sample in samples]
    return torch.tensor(rows, dtype=torch.float64).ge(p)


def changed(image: Tensor, seed: int, step: int, sample: int, spec: Augment, side: int) -> Tensor:
    """One image (channel, height, width) as a step sees it, in the unit of its bytes, float64."""
    top, left, turned, bright, sharp = numbers_of(key_below(seed, step, sample, 0), 5)
    assert spec.crop is not None and spec.contrast is not None
    wide = torch.zeros(len(image), *(length + 2 * spec.crop for length in image.shape[1:]))
    wide = wide.double()
    wide[:, spec.crop : spec.crop + image.shape[1], spec.crop : spec.crop + image.shape[2]] = image
    row, column = (
        int(share * (length - side + 1))
        for share, length in zip((top, left), wide.shape[1:], strict=True)
    )
    cut = wide[:, row : row + side, column : column + side]
    if turned < spec.flip:
        cut = torch.flip(cut, (2,))
    cut = cut + (2 * bright - 1) * spec.brightness
    factor = spec.contrast[0] + (spec.contrast[1] - spec.contrast[0]) * sharp
    for channel in cut:
        channel[:] = (channel - channel.mean()) * factor + channel.mean()
    return cut


def standardized(image: Tensor) -> Tensor:
    """An image of bytes as TensorFlow's per_image_standardization gives it."""
    deviation = max(float(image.std(correction=0)), image.numel() ** -0.5)
    found: Tensor = (image - image.mean()) / deviation
    return found
