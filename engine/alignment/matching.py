"""The order of units that brings two models together: linear assignments, group after group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from engine.alignment.evidence import Evidence
from engine.alignment.relabelling import Relabelling, reordered, unchanged
from engine.networks.modules.units.groups import Group, Units

#: The number of times that every group is looked at again, at most.
SWEEPS = 100
#: The share by which the sum of products must grow for another order to be taken.
GAIN = 1e-12


def matched(units: Units, evidence: Sequence[Evidence]) -> Relabelling:
    """Returns the relabelling of the second model that makes the sum of products large.

    Coordinate descent over linear assignments (Git Re-Basin, algorithm 1): one group after another
    takes the best order for what the others have now. It starts twice, from the units as they are
    and from an order that is found layer by layer from the input, and the better end is taken. The
    first start suits models that are related, the second one finds a model whose units were only
    relabelled.
    """
    matching = _Matching(units, evidence)
    ends = [matching.descend(start) for start in (matching.onwards(), unchanged(units))]
    return max(ends, key=matching.total)


class _Matching:
    """Two models' evidence, and the groups that may be ordered by it."""

    def __init__(self, units: Units, evidence: Sequence[Evidence]) -> None:
        self.units, self.evidence = units, evidence
        self.groups = units.groups
        self.children = {
            number: [child for child, each in enumerate(self.groups) if each.parent == number]
            for number in range(len(self.groups))
        }
        self.leading = [
            number
            for number, group in enumerate(self.groups)
            if not group.frozen and (group.parent is None or self.groups[group.parent].frozen)
        ]
        """The groups that are ordered by themselves: those without a parent that moves."""

    def total(self, by: Relabelling) -> float:
        """Returns the sum of products of all evidence."""
        return self._sum(self.evidence, by)

    def _sum(self, evidence: Sequence[Evidence], by: Relabelling) -> float:
        return sum(float((each.ours * self._moved(each, by)).sum()) for each in evidence)

    def _moved(self, each: Evidence, by: Relabelling, but: Sequence[int] = ()) -> Tensor:
        return reordered(each.theirs, each.axes, self.groups, by, but)

    def onwards(self) -> Relabelling:
        """Returns an order found group by group, each from what is ordered already."""
        by, left = unchanged(self.units), list(self.leading)
        settled = {number for number, group in enumerate(self.groups) if group.frozen}
        while left:
            shares = [self._share(group, settled) for group in left]
            group = left.pop(int(np.argmax(shares)))
            family = {group, *self.children[group]}
            known = [each for each in self.evidence if each.groups - family <= settled]
            by = self._best(group, by, known)
            settled |= family
        return by

    def _share(self, group: int, settled: set[int]) -> float:
        """Returns the number of products by which a unit of a group can be told, as things are."""
        family = {group, *self.children[group]}
        known = [
            each.ours.numel()
            for each in self.evidence
            if group in each.groups and each.groups - family <= settled
        ]
        return sum(known) / self.groups[group].size

    def descend(self, by: Relabelling) -> Relabelling:
        """Returns an order that no other order of a single group improves."""
        numbers = [number for number, group in enumerate(self.groups) if not group.frozen]
        for _ in range(SWEEPS):
            improved = False
            for number in numbers:
                held = [each for each in self.evidence if number in each.groups]
                new = self._best(number, by, held)
                before, after = self._sum(held, by), self._sum(held, new)
                if after > before + GAIN * abs(before):
                    by, improved = new, True
            if not improved:
                break
        return by

    def _best(self, number: int, by: Relabelling, evidence: Sequence[Evidence]) -> Relabelling:
        """Returns the relabelling with the best order of one group, and of those within it."""
        held = [each for each in evidence if number in each.groups]
        if self.groups[number].parent is not None:
            return by.with_order(number, assigned(self._within(number, by, held)))
        return _Family(self, number, by, held).best()

    def _within(self, number: int, by: Relabelling, evidence: Sequence[Evidence]) -> Tensor:
        """Returns the products (parent, unit, unit) of a group's units within each parent."""
        group = self.groups[number]
        assert group.parent is not None
        found = torch.zeros(
            self.groups[group.parent].size, group.size, group.size, dtype=torch.float64
        )
        for each in evidence:
            for dim in _dims(each, number):
                parent = each.axes[dim].parent
                assert parent is not None
                moved = self._moved(each, by, [dim])
                ours, theirs = (_in_front(part, (parent, dim)) for part in (each.ours, moved))
                found += ours @ theirs.transpose(1, 2)
        return found


class _Family:
    """A group, and the groups whose units may be ordered in another way for each unit of it."""

    def __init__(
        self, matching: _Matching, number: int, by: Relabelling, evidence: Sequence[Evidence]
    ) -> None:
        self.matching, self.number, self.by = matching, number, by
        self.evidence = evidence
        self.groups: Sequence[Group] = matching.groups
        self.children = matching.children[number]

    def best(self) -> Relabelling:
        """Returns the relabelling with the best order of the group.

        Each pair of its units is worth what it is with the best orders within it.
        """
        size = self.groups[self.number].size
        worth = torch.zeros(size, size, dtype=torch.float64)
        within = {
            child: torch.zeros(size, size, *2 * (self.groups[child].size,), dtype=torch.float64)
            for child in self.children
        }
        several: list[tuple[Tensor, Tensor, list[int]]] = []
        for ours, theirs, inner in self._occurrences():
            if not inner:
                worth += ours.flatten(1) @ theirs.flatten(1).T
            elif len(inner) == 1:
                within[inner[0]] += torch.einsum("iar,jbr->ijab", ours, theirs)
            else:
                several.append((ours, theirs, inner))
        orders = {child: assigned(each) for child, each in within.items()}
        for child, each in within.items():
            worth += each.gather(3, orders[child][..., None]).sum((2, 3))
        for ours, theirs, inner in several:
            worth += self._together(ours, theirs, [orders[child] for child in inner])
        order = assigned(worth)
        by = self.by.with_order(self.number, order)
        for child, each in orders.items():
            by = by.with_order(child, each[torch.arange(size), order])
        return by

    def _occurrences(self) -> list[tuple[Tensor, Tensor, list[int]]]:
        """Returns the evidence as (unit, …, rest), with the groups that lie within between."""
        found = []
        for each in self.evidence:
            for dim in _dims(each, self.number):
                inner = [d for d, axis in enumerate(each.axes) if axis.parent == dim]
                front = (dim, *inner)
                ours, theirs = (
                    _in_front(part, front)
                    for part in (each.ours, self.matching._moved(each, self.by, front))
                )
                names = [each.axes[d].group for d in inner]
                found.append((ours, theirs, [name for name in names if name is not None]))
        return found

    def _together(self, ours: Tensor, theirs: Tensor, orders: Sequence[Tensor]) -> Tensor:
        """Returns what pairs of units are worth where several groups lie within each."""
        size = len(ours)
        worth = torch.zeros(size, size, dtype=torch.float64)
        for i in range(size):
            for j in range(size):
                part = theirs[j]
                for dim, order in enumerate(orders):
                    part = part.index_select(dim, order[i, j])
                worth[i, j] = (ours[i] * part).sum()
        return worth


def _dims(each: Evidence, group: int) -> list[int]:
    return [dim for dim, axis in enumerate(each.axes) if axis.group == group]


def _in_front(part: Tensor, dims: Sequence[int]) -> Tensor:
    """Returns a block with some axes in front, and all others as one behind them."""
    rest = [dim for dim in range(part.ndim) if dim not in dims]
    moved = part.permute(*dims, *rest)
    return moved.reshape(*moved.shape[: len(dims)], -1)


def assigned(worth: Tensor) -> Tensor:
    """Returns the best order (…, unit), places by units being worth (…, unit, unit)."""
    from scipy.optimize import linear_sum_assignment  # which few searches need, and loads slowly

    flat = worth.reshape(-1, *worth.shape[-2:]).numpy()
    orders = [linear_sum_assignment(each, maximize=True)[1] for each in flat]
    return torch.from_numpy(np.stack(orders)).reshape(worth.shape[:-1])
