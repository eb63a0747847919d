"""What a launch takes: a network and a rule as constants of the kernel, and tensors and numbers.

Triton takes named tuples apart, so kernels read their fields.
"""

from typing import NamedTuple

from torch import Tensor


class Net(NamedTuple):
    """A fully connected network and its loss, in numbers (see `fused.kernels.arrays`)."""

    sizes: tuple[int, ...]
    """The widths of the input, of each hidden layer, and of the output."""
    tiles: tuple[int, ...]
    """The widths of the tiles that hold them, which are powers of two."""
    wide: bool
    """Whether layers are computed as products of matrices."""
    bias: bool
    activation: int
    output: int
    """The activation of the last layer."""
    loss: int
    block: int
    """The number of samples that are computed with at a time, a power of two."""


class How(NamedTuple):
    """The choices of a training block that are constants of a kernel."""

    kind: int
    """The optimizer, by its number in `fused.kernels.arrays`."""
    heavy: bool
    """Whether there is momentum."""
    nesterov: bool
    decays: bool
    """Whether weights decay."""
    apart: bool
    """Whether they decay apart from the gradient."""
    exempt: bool
    """Whether some weights do not decay."""
    clips_values: bool
    clips_norm: bool
    batched: bool
    """Whether steps see mini-batches. The loss on all samples is then evaluated before them."""
    piece: int
    """The number of weights that take a step at a time, a power of two."""


class Data(NamedTuple):
    """The training samples."""

    x: Tensor
    """(feature, sample)"""
    y: Tensor
    """(target, sample), or the numbers of classes (1, sample), in the type of x."""
    samples: int


class Rule(NamedTuple):
    """The numbers of a training block."""

    momentum: float
    keep: float
    """The share that the mean of squares keeps in a step."""
    take: float
    """The share of the newest square."""
    new: float
    """The share of the newest gradient in Adam's mean."""
    eps: float
    weight_decay: float
    clip_value: float
    clip_norm: float
    norm_eps: float
    better: float
    """A loss counts as lower below this times the best one."""
    check_every: int
    max_steps: int


class Pace(NamedTuple):
    """The learning rates of a round, (bead, step) each."""

    rate: Tensor
    corrected: Tensor
    """The rate over Adam's correction of its mean; the rate itself with other optimizers."""
    root: Tensor
    """The root of Adam's correction of its mean of squares; the rate with other optimizers."""


class Columns(NamedTuple):
    """Beads in training, as in `engine.steps.rows.Rows`. All tensors are updated in place."""

    theta: Tensor
    """(bead, param)"""
    slow: Tensor
    """(bead, param) Momentum, or Adam's mean; `theta` where there is neither."""
    square: Tensor
    """(bead, param) The mean of squares; `theta` where there is none."""
    target: Tensor
    patience: Tensor
    steps: Tensor
    loss: Tensor
    best: Tensor
    best_step: Tensor
    end: Tensor
