"""Weight vectors in training: one struct of arrays, a row for each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from functools import cached_property
from itertools import chain
from math import nan
from typing import Any

import torch
from jaxtyping import Int8
from torch import Tensor

from engine.record.marks import Seed
from engine.shapes import BeadMask, Beads, PerBead, Steps

State = dict[str, Tensor]
"""The optimizer's tensors (row, param) by name, all zero before the first step."""

#: The name of the tensor that is judged in place of the weights, where a row has it.
AVERAGE = "average"

#: The bytes of a tensor up to which it is copied to pinned memory, which torch keeps for others.
PINNED = 2**28

Ends = Int8[Tensor, " bead"]


class End(IntEnum):
    """The reason why a row takes no more steps; `GOING` where it takes steps."""

    GOING = 0
    REACHED = 1
    OUT_OF_STEPS = 2
    STUCK = 3
    DIVERGED = 4

    @property
    def words(self) -> str:
        """The end as events name it, such as "out of steps"."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True)
class Told:
    """What the host knows of rows without waiting for their device, one number for each row."""

    loss: tuple[float, ...]
    """The objective of each row at its last evaluation; NaN before the first one."""
    steps: tuple[int, ...]
    """The number of steps that each row has taken."""
    end: tuple[End, ...]
    """The reason why each row takes no more steps; `GOING` where it takes steps."""
    best_step: tuple[int, ...]
    """The number of steps after which each row's last lower loss was seen."""
    patience: tuple[int, ...]
    """The number of steps without a lower loss after which each row counts as stuck."""

    @property
    def going(self) -> list[int]:
        """The numbers of the rows that take steps."""
        return [number for number, end in enumerate(self.end) if end is End.GOING]

    def part(self, start: int, count: int) -> Told:
        """Returns what is known of `count` consecutive rows from the row `start`."""
        some = slice(start, start + count)
        return Told(*(getattr(self, name)[some] for name in TOLD))


#: The columns of rows that are told.
TOLD = tuple(field.name for field in fields(Told))


@dataclass(frozen=True)
class Rows:
    """The state of weight vectors in training. Tensors are (row, …)."""

    theta: Beads
    """The weights, (row, param)."""
    state: Mapping[str, Beads]
    """The optimizer's tensors, (row, param) each, and the average of the weights where one is
    judged."""
    target: PerBead
    """The objective at or below which a row has reached its target; infinite for a row at rest."""
    patience: Steps
    """The number of steps without a lower loss after which a row counts as stuck."""
    steps: Steps
    """The number of steps taken so far."""
    loss: PerBead
    """The objective at its last evaluation; NaN before the first one. A value above the target may
    come from fewer samples than the objective has."""
    best: PerBead
    """The last loss that counted as lower; infinite where there is none yet."""
    best_step: Steps
    """The number of steps after which `best` was seen."""
    end: Ends
    """An `End` for each row, int8."""
    seeds: tuple[Seed, ...]
    """The seed of each row's own stream of mini-batches."""

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.theta)

    @property
    def going(self) -> BeadMask:
        """A mask of the rows that take steps, (row,)."""
        return self.end == End.GOING

    @cached_property
    def told(self) -> Told:
        """What the host knows of all rows, as plain numbers.

        The host waits for the device when this is first read, and never again. Whoever writes into
        the rows' tensors does so before.
        """
        loss, steps, end, best_step, patience = torch.stack(
            [getattr(self, name).double() for name in TOLD]
        ).tolist()
        return Told(
            tuple(loss),
            tuple(map(int, steps)),
            tuple(map(_END, end)),
            tuple(map(int, best_step)),
            tuple(map(int, patience)),
        )

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All columns, and then the state's tensors in the order of their names."""
        state = [self.state[slot] for slot in sorted(self.state)]
        return (*(getattr(self, name) for name in COLUMNS), *state)

    def with_tensors(self, tensors: Sequence[Tensor]) -> Rows:
        """Returns rows of other tensors, in the order of `tensors`."""
        columns: Any = dict(zip(COLUMNS, tensors, strict=False))
        state = dict(zip(sorted(self.state), tensors[len(COLUMNS) :], strict=True))
        return Rows(state=state, seeds=self.seeds, **columns)

    @property
    def judged(self) -> Beads:
        """The weights that are judged, (row, param): the average, or else the weights."""
        return self.state.get(AVERAGE, self.theta)

    @property
    def waited(self) -> Steps:
        """The number of steps since the loss was last lower, (row,); 0 for rows at their target."""
        return torch.where(self.end == End.REACHED, 0, self.steps - self.best_step)

    def aimed(self, target: PerBead) -> Rows:
        """Returns the rows with other targets (row,) and their patience as new.

        Rows at or below their target have reached it. The others go on.
        """
        return replace(
            self,
            target=target,
            best=torch.full_like(self.best, torch.inf),
            best_step=self.steps.clone(),
            end=_reached_or_going(self.loss, target),
        )

    def with_loss(self, loss: PerBead) -> Rows:
        """Returns the rows with losses (row,) that were measured apart from steps.

        A row that was moved off its target goes on, and a row that came to it has reached it.
        """
        now = _reached_or_going(loss, self.target)
        kept = (now == End.GOING) & (self.end > End.REACHED)
        return replace(self, loss=loss, end=torch.where(kept, self.end, now))

    def part(self, which: slice | Sequence[int]) -> Rows:
        """Returns some rows, by a slice or by their numbers."""
        numbers = range(len(self))[which] if isinstance(which, slice) else which
        taken = which if isinstance(which, slice) else places(which, self.theta.device)
        return self._each(lambda column: column[taken], [self.seeds[n] for n in numbers])

    def with_part(self, numbers: Sequence[int], part: Rows) -> Rows:
        """Returns the rows with those of these numbers replaced by the rows of `part`."""
        if len(numbers) == len(self):
            return part
        taken = places(numbers, self.theta.device)

        def put(column: Tensor, new: Tensor) -> Tensor:
            column = column.clone()
            column[taken] = new
            return column

        columns: Any = {name: put(getattr(self, name), getattr(part, name)) for name in COLUMNS}
        state = {slot: put(tensor, part.state[slot]) for slot, tensor in self.state.items()}
        return replace(self, state=state, **columns)

    def copied(self) -> Rows:
        """Returns the rows in tensors of their own."""
        return self._each(Tensor.clone, self.seeds)

    def write(self, which: slice, part: Rows) -> None:
        """Writes other rows over some of these, in place; `which` are their numbers.

        No other rows may share these tensors, and `told` must not have been read yet.
        """
        for column, new in zip(self.tensors, part.tensors, strict=True):
            column[which] = new

    def split(self, counts: Sequence[int]) -> list[Rows]:
        """Returns consecutive parts of these lengths, as views, with what is told of them."""
        parts = {name: torch.split(getattr(self, name), list(counts)) for name in COLUMNS}
        slots = {slot: torch.split(tensor, list(counts)) for slot, tensor in self.state.items()}
        found, start = [], 0
        for number, count in enumerate(counts):
            columns = {name: part[number] for name, part in parts.items()}
            state = {slot: part[number] for slot, part in slots.items()}
            rows = Rows(state=state, seeds=self.seeds[start : start + count], **columns)
            known = "told" in vars(self)
            found.append(_knowing(rows, self.told.part(start, count)) if known else rows)
            start += count
        return found

    def to(self, device: torch.device) -> Rows:
        """Returns the rows on a device, or the object itself where they are there already."""
        if self.theta.device == device:
            return self
        if device.type == "cpu":
            there = self.with_tensors(fetched(self.tensors))
        else:
            there = self._each(lambda column: column.to(device), self.seeds)
        return _knowing(there, self.told) if "told" in vars(self) else there

    def without(self, row: int) -> Rows:
        """Returns the rows without one of them."""
        return joined([self.part(slice(0, row)), self.part(slice(row + 1, None))])

    def with_row(self, row: int, new: Rows) -> Rows:
        """Returns the rows with new ones put before one of them."""
        return joined([self.part(slice(0, row)), new, self.part(slice(row, None))])

    def _each(self, change: Callable[[Tensor], Tensor], seeds: Sequence[int]) -> Rows:
        """Returns the rows with each tensor changed by a function, and with these seeds."""
        columns = {name: change(getattr(self, name)) for name in COLUMNS}
        state = {slot: change(tensor) for slot, tensor in self.state.items()}
        return Rows(state=state, seeds=tuple(seeds), **columns)


#: The ends by their numbers.
_END = {float(end): end for end in End}.__getitem__
#: The names of the tensors of `Rows`, its state left out.
COLUMNS = tuple(field.name for field in fields(Rows) if field.name not in ("state", "seeds"))


def _reached_or_going(loss: PerBead, target: PerBead) -> Tensor:
    """Returns the `End` of rows with these losses, REACHED or GOING, (row,) int8."""
    return torch.where(loss <= target, End.REACHED, End.GOING).to(torch.int8)


def places(numbers: Sequence[int], device: torch.device) -> Tensor:
    """Returns whole numbers as a tensor on a device, (number,) int64. The host does not wait."""
    return sent(torch.tensor(numbers, dtype=torch.int64), device)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Returns a tensor of main memory on a device. The host does not wait for the copy."""
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def fetched(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Returns tensors in main memory. The host waits once for all that come from a GPU."""
    found, streams = [], set()
    for tensor in tensors:
        if tensor.device.type == "cpu":
            found.append(tensor)
            continue
        pinned = tensor.nbytes <= PINNED
        room = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=pinned)
        found.append(room.copy_(tensor, non_blocking=pinned))
        streams.add(torch.cuda.current_stream(tensor.device))
    for stream in streams:
        stream.synchronize()
    return found


def fresh(
    theta: Beads, slots: Sequence[str], target: float, patience: int, seeds: Sequence[int]
) -> Rows:
    """Returns rows at `theta` (row, param) that have taken no step and have no loss yet.

    `slots` are the names of the tensors that rows have besides their weights. All are zero but for
    the average, which is the weights.
    """
    count = torch.zeros(len(theta), dtype=torch.int64, device=theta.device)
    loss = torch.zeros(len(theta), dtype=theta.dtype, device=theta.device)
    rows = Rows(
        theta=theta,
        state={
            slot: theta.clone() if slot == AVERAGE else torch.zeros_like(theta) for slot in slots
        },
        target=loss + target,
        patience=count + patience,
        steps=count,
        loss=loss + torch.nan,
        best=loss + torch.inf,
        best_step=count.clone(),
        end=count.to(torch.int8),
        seeds=tuple(seeds),
    )
    each = len(theta)
    none = (0,) * each
    told = Told((nan,) * each, none, (End.GOING,) * each, none, (patience,) * each)
    return _knowing(rows, told)


def _knowing(rows: Rows, told: Told) -> Rows:
    """Returns the rows, of which the host need not ask any more."""
    vars(rows)["told"] = told
    return rows


def told_of(parts: Sequence[Rows], whole: Rows) -> Told:
    """Returns what is told of all parts, of which `whole` holds the rows one after another.

    The host waits for the device once at most.
    """
    if not all("told" in vars(part) for part in parts):
        return whole.told
    each = [part.told for part in parts]
    columns = ([getattr(told, name) for told in each] for name in TOLD)
    return Told(*(tuple(chain.from_iterable(column)) for column in columns))


def joined(parts: Sequence[Rows]) -> Rows:
    """Returns the rows of all parts, one after another, in new tensors that may be changed."""
    first = parts[0]
    columns = {name: torch.cat([getattr(part, name) for part in parts]) for name in COLUMNS}
    state = {slot: torch.cat([part.state[slot] for part in parts]) for slot in first.state}
    seeds = tuple(seed for part in parts for seed in part.seeds)
    return Rows(state=state, seeds=seeds, **columns)


def check_columns(rows: Rows) -> None:
    """Raises ValueError where the columns of rows that a file held do not belong together."""
    _check_lengths(rows)
    _check_values(rows)


def _check_lengths(rows: Rows) -> None:
    """Raises ValueError where the columns of rows are not as long as their weights."""
    count, width = rows.theta.shape
    columns = {name: getattr(rows, name) for name in COLUMNS if name != "theta"}
    odd = [name for name, column in columns.items() if len(column) != count]
    odd += [slot for slot, tensor in rows.state.items() if tensor.shape != (count, width)]
    if odd or len(rows.seeds) != count:
        raise ValueError(f"{(*odd, 'seeds')[0]} does not have the length of theta, {count}")


def _check_values(rows: Rows) -> None:
    """Raises ValueError where columns of rows hold values that no training gives them."""
    whole = (rows.patience, rows.steps, rows.best_step)
    if any(column.dtype != torch.int64 or (column < 0).any() for column in whole):
        raise ValueError("patience, steps, best_step are not all counts")
    if not set(rows.end.tolist()) <= set(End):
        raise ValueError(f"end holds another number than those from 0 to {max(End):d}")
    real = [rows.target, rows.loss, rows.best, *rows.state.values()]
    if any(column.dtype != rows.theta.dtype for column in real):
        raise ValueError(f"not all columns have the type of theta, {rows.theta.dtype}")
