"""The trial of a network and a loss on a few samples, before anything is trained.

Functions of a user's own may fail in many ways, of which most would otherwise be met deep inside a
run. Copies are tried, so that what a module keeps of its calls is not in the problem's network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from engine.errors import InputError
from engine.networks.modules import lent
from engine.networks.modules.calls import Handing, Inputs, picked, shapes
from engine.networks.modules.kept import Kept
from engine.networks.modules.recomputed import check_recomputes
from engine.networks.modules.widened import needs_widening
from engine.part import functions_in
from engine.problem import copies
from engine.problem.copies import MakeNetwork
from engine.problem.cost import Cost, measured_cost
from engine.problem.losses import SampleLoss, check_loss, target_shape
from engine.problem.samples import Samples
from engine.spec.problem import CustomLoss, ProblemSpec, WeightedCrossEntropy

#: The number of samples that are tried. A loss is tried on fewer besides, so that neither outputs
#: nor an axis of length one are taken for samples.
SAMPLES, FEWER = 3, 2
TRIED = (SAMPLES, FEWER, 1)
#: The number of times that the same samples are handed over again. Dropout of six outputs draws the
#: same mask twice in one of 64 times, so that once is too few.
AGAIN = 4
#: The distance that weights are moved where a network is tried with others than it was made with.
MOVED = 0.1


@dataclass(frozen=True)
class Tried:
    """What a trial has found."""

    classes: int | None
    """The number of classes that the network scores, or None."""
    target: tuple[int, ...]
    """The shape that a sample's target takes so that the loss compares it with the output."""
    output: str
    """The part of the network's output that the loss sees, in words; empty where it sees all."""
    cost: Cost
    widens: bool
    """Whether network or loss were written for float32."""


@dataclass(frozen=True)
class Trial:
    """A network, a loss and samples that are to be tried."""

    spec: ProblemSpec
    make: MakeNetwork
    network: nn.Module
    """The network whose state the copies have."""
    loss: SampleLoss
    train: Samples
    classes: int | None
    """The number of classes in y."""

    def handing(self) -> Handing:
        """Returns how the network is to be called. Raises InputError where it cannot be."""
        whole = isinstance(self.spec.loss, CustomLoss)
        x, _ = self._samples(SAMPLES)
        given = tree_map(Tensor.clone, x)
        network = self._copy(Handing(whole=True))
        kept = Kept(network)
        weights = [(each.data_ptr(), each.detach().clone()) for _, each in lent.held(network)]
        with torch.no_grad():
            self._called(network, x)
        after = [(each.data_ptr(), each.detach()) for _, each in lent.held(network)]
        return Handing(
            copies=not _same(x, given, exact=True),
            whole=whole,
            quiet=self._merges(),
            forgets=kept.changed,
            rewrites=any(
                one != other or not torch.equal(before, now)
                for (one, before), (other, now) in zip(weights, after, strict=True)
            ),
        )

    def _merges(self) -> bool:
        """Returns whether eval() of the network itself changes what it computes with.

        Where it has a train() or an eval() of its own, it is called with other weights than it was
        made with: as they are lent to it after eval(), and as a user loads them before. If these
        differ, and its mode alone makes it compute the latter, then so it is.
        """
        own = (nn.Module.train, nn.Module.eval)
        if all((type(each).train, type(each).eval) == own for each in self.network.modules()):
            return False
        fresh = copies.drawn(self.make, copies.FIXED_SEED)
        weights = copies.shifted(fresh, MOVED)
        copies.take_over(fresh, weights)

        def output(network: nn.Module) -> Any:
            return self._called(network, self._samples(SAMPLES)[0])

        def lent_to(handing: Handing) -> Any:
            network = copies.computing(copies.drawn(self.make, copies.FIXED_SEED), handing)
            copies.take_over(network, weights)
            return output(network)

        with torch.no_grad():
            expected = output(copies.computing(fresh, Handing(whole=True)))
            if _same(lent_to(Handing(whole=True)), expected):
                return False
            try:
                return _same(lent_to(Handing(whole=True, quiet=True)), expected)
            except InputError:  # forward needs what eval() makes
                return False

    def take(self, handing: Handing, moving: Sequence[str]) -> Tried:
        """Tries network and loss. Raises InputError where they do not fit the data or each other.

        `moving` are the names of the parameters that are to have gradients.
        """
        x, y = self._samples(SAMPLES)
        fewer = self._samples(FEWER)
        network = self._copy(handing)
        own = bool(list(functions_in(self.spec.network)))
        with torch.no_grad():
            output = self._called(network, x)
            which = self._seen(handing, x)
            if own:
                self._check_repeats(network, x, output)
            if isinstance(self.spec.loss, CustomLoss):
                for count in TRIED:
                    some = self._samples(count)
                    check_loss(self.loss, self.spec.loss, self._called(network, some[0]), some[1])
            target = self._target(output, y)
        shaped = replace(self, train=self.train.shaped(target))
        if own or isinstance(self.spec.loss, CustomLoss):
            shaped._check_gradients(handing, moving)
        if self.spec.network.recomputed:
            check_recomputes(self._copy(handing), self.spec.network.recomputed, x)
        return Tried(
            classes=self._scored(output, y),
            target=target,
            output="" if handing.whole else which,
            cost=measured_cost(self._copy(handing), fewer[0]),
            widens=shaped._widens(handing),
        )

    # ------------------------------------------------------------ parts of it

    def _samples(self, count: int, dtype: torch.dtype = torch.float32) -> tuple[Inputs, Tensor]:
        """Returns copies of the first samples, as many as there are, which may be overwritten."""
        samples: tuple[Inputs, Tensor] = tree_map(
            Tensor.clone, self.train.part(slice(0, count), dtype)
        )
        return samples

    def _copy(self, handing: Handing, dtype: torch.dtype = torch.float32) -> nn.Module:
        """Returns a copy of the network to compute with."""
        return copies.copied(self.make, handing, self.network, torch.device("cpu"), dtype)

    def _called(self, network: nn.Module, x: Inputs) -> Any:
        """Returns the output of a network for samples. Raises InputError where it has none."""
        try:
            return network(x)
        except InputError:
            raise
        except Exception as error:  # it is not our code
            first = (str(error).splitlines() or [""])[0]
            raise self._refused(
                f"does not take a batch of samples {shapes(x, types=True)} "
                f"({type(error).__name__}: {first})",
                "make network and data fit",
            ) from error

    def _seen(self, handing: Handing, x: Inputs) -> str:
        """Returns which part of the network's output a loss of ours sees, in words.

        Raises InputError where that is not one tensor with an entry for each sample.
        """
        count = len(next(iter(x.values())) if isinstance(x, dict) else x)
        if isinstance(self.spec.loss, CustomLoss):
            return ""
        try:
            tensor, which = picked(self._called(self._copy(replace(handing, whole=True)), x))
        except InputError as error:
            raise self._refused(*error.what.split("; ", 1)) from None
        if len(tensor.shape[:1]) < 1 or len(tensor) != count:
            raise self._refused(
                f"returned {tuple(tensor.shape)} for a batch of {count}",
                "return a tensor (sample, …)",
            )
        return which

    def _target(self, output: Any, y: Tensor) -> tuple[int, ...]:
        """Returns the shape that a sample's target takes, before classes become rows.

        Raises InputError where a loss of ours does not compare it with the network's output.
        """
        loss = self.spec.loss
        if isinstance(loss, CustomLoss):
            return tuple(self.train.y.shape[1:])
        name = "cross_entropy" if isinstance(loss, WeightedCrossEntropy) else loss
        own = any(functions_in(self.spec.network))
        key = "problem.network.factory" if own else "problem.data"
        shape = target_shape(name, output, y, self.classes, key)
        return shape[:-1] if self.classes is not None and name != "cross_entropy" else shape

    def _check_repeats(self, network: nn.Module, x: Inputs, output: Any) -> None:
        """Raises InputError where the same samples do not give the same output again."""
        again = (self._called(network, x) for _ in range(AGAIN))
        if not all(_same(each, output) for each in again):
            raise self._refused(
                "gives another output when it is called again on the same samples",
                "draw nothing at random in forward (dropout as nn.Dropout, which is off here), and "
                "keep nothing there",
            )

    def _check_gradients(self, handing: Handing, moving: Sequence[str]) -> None:
        """Raises InputError where the loss has no gradient by any parameter that moves."""
        x, y = self._samples(SAMPLES)
        network, names = self._copy(handing), set(moving)
        parameters = [each for name, each in copies.named_parameters(network) if name in names]
        for parameter in parameters:
            parameter.requires_grad_(True)
        reached, why = False, "it reaches none"
        try:
            with torch.enable_grad():
                output = network(x)
                reached = _depends(output)
                self.loss(output, y).sum().backward()  # type: ignore[no-untyped-call]
            if any(parameter.grad is not None for parameter in parameters):
                return
        except Exception as error:  # it is not our code
            why = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        if reached and isinstance(self.spec.loss, CustomLoss):
            raise InputError(
                f"the loss of {self.spec.loss.factory} has no gradient ({why}); let it compute "
                "with torch alone, without detach(), numpy() or no_grad()",
                key="problem.loss.factory",
            )
        raise self._refused(
            f"has no gradient by its parameters ({why})",
            "let forward compute with torch alone, without detach(), numpy() or no_grad()",
        )

    def _scored(self, output: Any, y: Tensor) -> int | None:
        """Returns the number of classes that the network scores, or None."""
        if not isinstance(self.spec.loss, CustomLoss):
            return self.classes
        try:
            scores, _ = picked(output)
        except InputError:
            return None
        if self.classes is not None and not y.is_floating_point() and self.train.y.min() < 0:
            return None  # of samples that a loss ignores there is no error rate
        fits = scores.ndim > 1 and scores.shape[1] >= (self.classes or 0)
        return self.classes if fits and scores.shape[2:] == y.shape[1:] else None

    def _widens(self, handing: Handing) -> bool:
        """Returns whether float64 needs help. Raises InputError where it is out of reach."""
        if not self.spec.own_model:
            return False
        x, y = self._samples(FEWER, torch.float64)
        return needs_widening(partial(self._copy, handing, torch.float64), self.loss, x, y)

    def _refused(self, what: str, remedy: str) -> InputError:
        """Returns the error that names the network's function, what is wrong, and a remedy."""
        named = next(functions_in(self.spec.network), self.spec.network.kind)
        return InputError(f"{named} {what}; {remedy}", key="problem.network.factory")


def _same(one: Any, other: Any, *, exact: bool = False) -> bool:
    """Returns whether two trees of tensors hold the same numbers, up to rounding or exactly."""
    rtol, atol = (0.0, 0.0) if exact else (1e-5, 1e-6)
    (ones, shape), (others, other_shape) = tree_flatten(one), tree_flatten(other)
    return shape == other_shape and all(
        a.shape == b.shape and torch.allclose(a, b, rtol, atol, equal_nan=True)
        for a, b in zip(ones, others, strict=True)
        if isinstance(a, Tensor) and isinstance(b, Tensor)
    )


def _depends(output: Any) -> bool:
    """Returns whether a tensor of an output has a gradient."""
    found: list[bool] = []
    tree_map(lambda part: found.append(isinstance(part, Tensor) and part.requires_grad), output)
    return any(found)
