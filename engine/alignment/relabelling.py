"""Units in another order, and rescaled: what is done to a model's tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.alignment.forward import Named
from engine.networks.modules.units.groups import Along, Block, Group, Units


@dataclass(frozen=True, eq=False)
class Relabelling:
    """The order of all units of a network, and the numbers by which they are rescaled."""

    orders: tuple[Tensor, ...]
    """The order of each group: place k takes the unit order[k]. (unit,), or (unit of the parent,
    unit) for a group with a parent, whose units count in their new order."""
    scales: tuple[Tensor, ...]
    """The positive numbers of each scale, (unit,) float64, the units in their new order."""

    def with_order(self, group: int, order: Tensor) -> Relabelling:
        """Returns the relabelling with another order of one group."""
        orders = list(self.orders)
        orders[group] = order
        return replace(self, orders=tuple(orders))

    def moved(self) -> tuple[int, ...]:
        """Returns the number of units of each group that change their places."""
        return tuple(int((order != torch.arange(order.shape[-1])).sum()) for order in self.orders)


def unchanged(units: Units) -> Relabelling:
    """Returns the relabelling that changes nothing."""
    ones = tuple(torch.ones(each.size, dtype=torch.float64) for each in units.scales)
    return Relabelling(tuple(same_order(units.groups, group) for group in units.groups), ones)


def same_order(groups: Sequence[Group], group: Group) -> Tensor:
    """Returns the order of a group in which each unit keeps its place."""
    order = torch.arange(group.size)
    if group.parent is None:
        return order
    return order.expand(groups[group.parent].size, -1).contiguous()


def relabelled(units: Units, named: Named, by: Relabelling) -> dict[str, Tensor]:
    """Returns tensors of a model by name, those with units in their new order and rescaled."""
    found = {name: each.clone() for name, each in named.items()}
    for name, tensor in found.items():
        for block in units.blocks.get(name, ()):
            part = reordered(block.of(named[name]), block.axes, units.groups, by)
            block.of(tensor).copy_(rescaled(part, block.axes, by.scales))
    return found


def reordered(
    part: Tensor,
    axes: Sequence[Along],
    groups: Sequence[Group],
    by: Relabelling,
    but: Sequence[int] = (),
) -> Tensor:
    """Returns a block with its units in their new order, except along the axes `but`."""
    moving = [dim for dim, each in enumerate(axes) if each.group is not None and dim not in but]
    for dim in moving:
        group = axes[dim].group
        assert group is not None
        if axes[dim].parent is None and not groups[group].frozen:
            part = part.index_select(dim, by.orders[group])
    for dim in moving:
        parent, group = axes[dim].parent, axes[dim].group
        if parent is not None and group is not None:
            part = _reordered_within(part, dim, parent, by.orders[group])
    return part


def _reordered_within(part: Tensor, dim: int, parent: int, order: Tensor) -> Tensor:
    """Returns a block with the units along an axis in another order for each unit of its parent."""
    sizes = [1] * part.ndim
    sizes[parent], sizes[dim] = order.shape
    order = order if parent < dim else order.T
    return part.gather(dim, order.reshape(sizes).expand(part.shape))


def rescaled(part: Tensor, axes: Sequence[Along], scales: Sequence[Tensor]) -> Tensor:
    """Returns a block multiplied by its scales."""
    for dim, each in enumerate(axes):
        if each.scale is not None:
            sizes = [1] * part.ndim
            sizes[dim] = each.size
            factors = scales[each.scale] ** each.sign
            part = part.double() * factors.reshape(sizes)
    return part


def blocks_of(units: Units, named: Named) -> list[tuple[Block, Tensor]]:
    """Returns all blocks of a model's tensors, in the tensors' order."""
    return [
        (block, block.of(tensor))
        for name, tensor in named.items()
        for block in units.blocks.get(name, ())
    ]
