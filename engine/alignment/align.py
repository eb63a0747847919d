"""Aligns one model with another: the same function, its units in the other's order."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from engine.alignment.evidence import faint, of_activations, of_weights, samples_for
from engine.alignment.forward import Forward, Named, Traced, one_thread
from engine.alignment.matching import matched
from engine.alignment.relabelling import Relabelling, relabelled
from engine.alignment.scaling import balance, balanced
from engine.errors import InputError
from engine.networks.modules.units.groups import Units
from engine.problem.problem import Problem
from engine.shapes import Weights
from engine.spec.training import AlignedBy
from engine.told import Told, untold

#: The number of samples with which the forward is traced, where none are compared.
TRACED = 2
#: The number of training samples on which the relabelled model must be the same function, and from
#: which batch normalization then takes its statistics.
CHECKED = 256
#: The most units of a layer that are matched where nobody has asked for an alignment. The time that
#: this takes grows with the cube of their number: 8 s for two layers of 512, a minute for 1 024.
MATCHED = 512
#: How far its outputs may be off, relative to the largest one; the second for networks that were
#: written for float32.
TOLERANCE, TOLERANCE_OF_FLOAT32 = 1e-9, 1e-5


@dataclass(frozen=True, eq=False)
class Aligned:
    """A model that was brought into the order of another."""

    theta: Weights
    """The relabelled second model, (param,), in its own precision."""
    by: AlignedBy
    """What was compared."""
    units: Units
    """The symmetries of the network: the groups, and where the units of each stand."""
    relabelling: Relabelling
    """The order of each group, and the scales."""
    samples: int
    """The number of training samples of which activations were compared; 0 by weights."""
    passes: int
    """The number of samples that were passed through the network, for both models and the check."""
    off: float
    """How far the outputs are off, relative to the largest one, in float64."""

    @property
    def moved(self) -> int:
        """The number of units that changed their places."""
        return sum(self.relabelling.moved())

    @property
    def words(self) -> str:
        """What was done, as a clause."""
        groups = [group for group in self.units.groups if not group.frozen]
        every = sum(order.numel() for order in self.relabelling.orders)
        return (
            f"relabelled by {self.by}: {self.moved} of {every} units in "
            f"{len(groups)} {'group' if len(groups) == 1 else 'groups'} changed their places"
        )

    @property
    def table(self) -> list[str]:
        """What became of each group, in a line each."""
        moved = self.relabelling.moved()
        return [
            f"{group.name:<44} {count:>6} of {order.numel()} units moved"
            for group, count, order in zip(
                self.units.groups, moved, self.relabelling.orders, strict=True
            )
            if not group.frozen
        ]


def align(
    problem: Problem, first: Weights, second: Weights, by: AlignedBy, told: Told = untold
) -> Aligned:
    """Returns the second model (param,) with its hidden units in the order of the first's.

    Units of ReLU networks are rescaled too, to the balance of incoming and outgoing weights that
    the first model's have. Everything is computed in float64 on the CPU, and without draws. `told`
    is called with the share of the samples that were passed through the network. Raises InputError
    where the network cannot be traced, has no hidden units, or where the relabelled
    model is not the same function.
    """
    with one_thread():
        return _aligned(problem, first, second, by, told)


def symmetries(problem: Problem, told: Told = untold) -> tuple[Forward, Traced]:
    """Returns the forward of a problem's network, traced with its symmetries.

    `told` is called after its passes, once it is known how many there will be. Raises InputError
    where it cannot be traced or has no hidden units.
    """
    forward = Forward(problem, told)
    traced = forward.traced(min(TRACED, len(problem.train)))
    if all(group.frozen for group in traced.units.groups):
        raise InputError(
            "the network has no hidden units that could change places; connect the models as they "
            "are",
            key="problem.network",
        )
    return forward, traced


def unaligned(problem: Problem, first: Weights, second: Weights) -> tuple[int, int] | None:
    """Returns how many hidden units alignment by weights would give another place, and of how many.

    It returns None where a layer has so many units that finding out would take minutes. Raises
    InputError as `symmetries` does.
    """
    with one_thread():
        forward, traced = symmetries(problem)
        if max((group.size for group in traced.units.groups), default=0) > MATCHED:
            return None
        pair = _Balanced(traced.units, forward.named(first), forward.named(second))
        found = matched(traced.units, pair.evidence)
    return sum(found.moved()), sum(order.numel() for order in found.orders)


class _Balanced:
    """The weights of two models, and the balance of incoming and outgoing ones that each has."""

    def __init__(self, units: Units, ours: Named, theirs: Named) -> None:
        self.units = units
        self.scales = balance(units, ours), balance(units, theirs)
        ours, theirs = (
            balanced(units, each, by) for each, by in zip((ours, theirs), self.scales, strict=True)
        )
        self.evidence = of_weights(units, ours, theirs)
        """The weights side by side, in the balance in which those of units have one length."""

    def scales_for(self, by: Relabelling) -> tuple[Tensor, ...]:
        """Returns the scales that give the relabelled second model the first one's balance."""
        ours, theirs = self.scales
        orders = [None if s.group is None else by.orders[s.group] for s in self.units.scales]
        moved = [
            scale if order is None else scale[order]
            for order, scale in zip(orders, theirs, strict=True)
        ]
        return tuple(new / own for new, own in zip(moved, ours, strict=True))


def _aligned(
    problem: Problem, first: Weights, second: Weights, by: AlignedBy, told: Told
) -> Aligned:
    forward, traced = symmetries(problem, told)
    units = traced.units
    pair = _Balanced(units, forward.named(first), forward.named(second))
    evidence, samples = pair.evidence, 0
    forward.passes.expected = _checking(forward)
    if by == "activations":
        samples = samples_for(forward, traced, min(TRACED, len(problem.train)))
        forward.passes.expected += 2 * (samples + forward.estimated())
        seen = of_activations(forward, forward.traced(samples), samples, first, second)
        evidence = [*seen, *faint(evidence)]
    found = matched(units, evidence)
    scaled = replace(found, scales=pair.scales_for(found))
    return kept(forward, second, units, scaled, by, samples)


def _checking(forward: Forward) -> int:
    """Returns the number of samples that `kept` passes through the network."""
    return 2 * (min(CHECKED, len(forward.problem.train)) + forward.estimated(CHECKED))


def kept(
    forward: Forward,
    second: Weights,
    units: Units,
    by: Relabelling,
    how: AlignedBy,
    samples: int = 0,
) -> Aligned:
    """Returns the relabelled second model, which must be the same function as before.

    `samples` is the number of samples of which activations were compared. Raises InputError where
    outputs on training samples differ by more than rounding.
    """
    forward.passes.expected = forward.passes.expected or _checking(forward)
    theta = forward.vector(relabelled(units, forward.named(second), by))
    x = forward.samples(CHECKED)
    before, after = (forward.output(each, x, CHECKED) for each in (second, theta))
    off = float((before - after).abs().max() / before.abs().max().clamp(min=1e-300))
    most = TOLERANCE_OF_FLOAT32 if forward.problem.widens else TOLERANCE
    if not off <= most:
        raise InputError(
            f"the relabelled model is another function: its outputs on {len(before)} training "
            f"samples differ by {off:.2g} of the largest, more than {most:g}; connect the models "
            "as they are",
            key="problem.network",
        )
    passes = 2 * samples + 2 * len(before)
    return Aligned(theta.to(second), how, units, by, samples, passes, off)
