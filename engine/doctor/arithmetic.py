"""Whether devices compute what they should: products, losses and gradients, against float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from engine.backends.backend import Backend
from engine.backends.in_place import InPlaceBackend
from engine.bench.plain import mean_loss, module_with, moving_in
from engine.doctor.findings import Finding, State
from engine.problem.problem import Problem
from engine.shapes import Beads, PerBead, Weights
from engine.spec.keys import Spec
from engine.workers.pool import Pool

#: The largest difference from float64, as a share of the largest value, that is rounding: of a
#: product in float32 (TF32 differs by 3e-4 and more), and of a small network's loss or gradient.
PRODUCT, ROUNDING = 3e-5, 2e-4
#: The number of models that are compared; from so many on the CPU takes them together with vmap.
MODELS = 8
TF32_REMEDY = (
    "unset NVIDIA_TF32_OVERRIDE and TORCH_ALLOW_TF32_CUBLAS_OVERRIDE; if it stays, report this row"
)


@dataclass(frozen=True)
class Gradients:
    """The task that computes loss, gradient and objective of some models."""

    def size(self, item: Weights) -> int:
        """Returns 1: all models cost the same."""
        return 1

    def __call__(
        self, backend: Backend, items: Sequence[Weights]
    ) -> Sequence[tuple[Tensor, Tensor, Tensor]]:
        """Returns the loss of a step, its gradient and the objective of each model, on the CPU."""
        theta = torch.stack(list(items)).to(backend.problem.device, backend.problem.dtype)
        for _ in range(2):  # a graph is recorded by the first call, and replayed by the second
            losses, grads = backend.loss_and_grad(theta)
        values = backend.objective(theta)
        return list(zip(losses.cpu(), grads.cpu(), values.cpu(), strict=True))


@dataclass(frozen=True)
class Errors:
    """Differences from float64, as shares of the largest value."""

    loss: float
    """That of the loss of a step."""
    gradient: float
    """That of its gradient."""
    objective: float
    """That of the loss by which models are judged."""

    @property
    def worst(self) -> tuple[str, float]:
        """The largest of the differences, with the name of what differs in the plural."""
        named = {"losses": self.loss, "gradients": self.gradient, "judged losses": self.objective}
        return max(named.items(), key=lambda each: _sortable(each[1]))


def _sortable(value: float) -> float:
    """Returns a number by which NaN is the largest."""
    return value if value == value else float("inf")  # noqa: PLR0124


def errors_of(pool: Pool, spec: Spec) -> Errors:
    """Returns how far losses and gradients on a pool differ from plain torch in float64."""
    problem = pool.backend.problem
    models = [problem.initial(seed).cpu() for seed in range(MODELS)]
    found = pool.run(Gradients(), models)
    losses, grads, values = (torch.stack(part) for part in zip(*found, strict=True))
    exact = problem.to(torch.device("cpu"), torch.float64)
    theta = torch.stack(models).double()
    true_losses, true_grads = in_plain_torch(exact, spec, theta)
    judged = InPlaceBackend(exact).objective(theta)
    return Errors(
        difference(losses, true_losses),
        difference(grads, true_grads),
        difference(values, judged),
    )


def in_plain_torch(exact: Problem, spec: Spec, theta: Beads) -> tuple[PerBead, Beads]:
    """Returns losses and gradients by plain modules and autograd, in the problem's precision."""
    x, y = exact.train.part(slice(None), exact.dtype)
    loss = mean_loss(exact, spec.problem.loss)
    losses, grads = [], []
    for weights in theta:
        module = module_with(exact, weights).train()
        value = loss(module(x), y)
        parts = torch.autograd.grad(value, moving_in(module, exact))
        losses.append(value.detach())
        grads.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(losses), torch.stack(grads)


def difference(found: Tensor, true: Tensor) -> float:
    """Returns the largest difference as a share of the largest true value."""
    true = true.cpu().double()
    return float((found.cpu().double() - true).abs().max() / true.abs().max())


def products(device: str) -> Iterator[Finding]:
    """Yields whether products and convolutions in float32 are computed in float32 on a device.

    The switches of the process are to be set before, as a run with `precision: float32` sets them.
    """
    found = {name: _product(device, name) for name in PRODUCTS}
    worst = max(found, key=lambda name: _sortable(found[name]))
    what = f"{device} float32"
    if found[worst] <= PRODUCT:
        words = f"products, convolutions and LSTMs agree with float64 to {found[worst]:.0e}"
        tf32 = "" if device == "cpu" else "; TF32 is off"
        yield Finding(what, State.OK, words + tf32, measured=found)
        return
    yield Finding(
        what,
        State.WRONG,
        f"{worst} in float32 differ from float64 by {found[worst]:.0e}: TF32 or bfloat16 is on "
        "although float32 is asked for",
        TF32_REMEDY,
        measured=found,
    )


def _matrix(x: Tensor, weight: Tensor) -> Tensor:
    """Returns a product of matrices."""
    return x.flatten(1) @ weight.flatten(1).T


def _convolution(x: Tensor, weight: Tensor) -> Tensor:
    """Returns a convolution of images."""
    return functional.conv2d(x, weight, padding=1)


def _recurrent(x: Tensor, weight: Tensor) -> Tensor:
    """Returns what an LSTM gives, whose input weights and recurrent weights are alike."""
    size = weight.shape[1]
    layer = torch.nn.LSTM(size, size, batch_first=True).to(x)
    square = weight.flatten()[: size * size].reshape(size, size).repeat(4, 1) / size**0.5
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(square if parameter.ndim == 2 else torch.zeros_like(parameter))
        output: Tensor = layer(x.flatten(2).transpose(1, 2))[0]
    return output


#: The operations that TF32 would round, by what is said of them.
PRODUCTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "products": _matrix,
    "convolutions": _convolution,
    "LSTMs": _recurrent,
}


def _product(device: str, name: str) -> float:
    """Returns how far an operation in float32 on a device differs from float64 on the CPU."""
    draw = torch.Generator().manual_seed(2)
    x = torch.randn(8, 32, 9, 9, generator=draw)
    shape = (32, 32, 9, 9) if name == "products" else (32, 32, 3, 3)
    weight = torch.randn(shape, generator=draw)
    operation = PRODUCTS[name]
    found = operation(x.to(device), weight.to(device))
    return difference(found, operation(x.double(), weight.double()))
