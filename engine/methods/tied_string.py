"""A string whose beads train together, tied to each other, below one level (§6)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from engine.methods.constrained_state import StringRows
from engine.path.chain import Chain
from engine.path.snapshot import Key
from engine.record.events import FIRST, LAST, Event
from engine.record.unfit import Unfit
from engine.seeds import derive
from engine.shapes import Beads, Weights
from engine.spec.keys import Spec
from engine.spec.search import Constrained
from engine.spec.training import Training
from engine.steps.groups import Group, Row
from engine.steps.recipe import recipe_of
from engine.steps.rows import Rows, check_columns
from engine.steps.tethers import Hard, Off, Several, Soft, Springs, Tether, evenly_spaced
from engine.training.trainer import Trainer

#: The names of the columns that a checkpoint holds.
COLUMNS = tuple(field.name for field in fields(StringRows))


class TiedString:
    """The chain's beads as one group of a trainer, and the level that they are brought below.

    The chain has the weights of the beads after each round.
    """

    def __init__(self, spec: Spec, chain: Chain, training: Training, tether: Tether) -> None:
        """Makes a string without rows, which it has from `begin` on."""
        self._chain, self._spec, self._training = chain, spec, training
        self._trainer = self._tied(tether)
        # A string has one level for all beads, and is stuck where one of them cannot reach it.
        self.target = max(chain.goal.target, chain.goal.enough)
        """The level at which it is lowered far enough."""
        self.end_target = chain.goal.end_target
        """The level at which an end may rest, if it is above that of the others."""
        self.level = float("inf")
        """The level that is held now: beads above it move."""
        self.held = (True, True)
        """Whether the first and the last bead hold still, whatever their loss."""

    def _tied(self, tether: Tether) -> Trainer:
        recipe = recipe_of(self._spec, self._training, tether=tether, evaluate="after")
        return Trainer(recipe, self._chain.pool)

    def tie(self, tether: Tether) -> None:
        """Ties the beads in another way, and leaves them as they are."""
        before, self._trainer = self._trainer, self._tied(tether)
        self._trainer.groups, self._trainer.bead_steps = before.groups, before.bead_steps

    @property
    def round_steps(self) -> int:
        """The number of steps that a bead takes in a round."""
        return self._trainer.training.check_every

    # ------------------------------------------------------------ rows

    def begin(self, held: tuple[bool, bool]) -> None:
        """Makes rows of the chain's beads, which were not evaluated and go nowhere yet."""
        self.held = held
        self._put(self._fresh())

    def restart(self, stay: Collection[int]) -> None:
        """Makes rows of the chain's two ends; an end that stays keeps its own, and rests."""
        before, rows = self.rows, self._fresh()
        for end, (bead, row) in enumerate(((FIRST, 0), (LAST, len(before) - 1))):
            if bead in stay:
                kept = before.part(slice(row, row + 1))
                kept = kept.aimed(torch.full_like(kept.target, torch.inf))
                rows = rows.with_part([end], kept)
        self._put(rows)

    @property
    def rows(self) -> Rows:
        """The string's rows from end to end; none before there is a string."""
        if not self._trainer.groups:
            return self._trainer.rows_for(torch.zeros(0, 0), self.level, [])
        return self._trainer.groups[0].rows

    def each(self) -> list[Row]:
        """Returns the rows one by one, with plain numbers."""
        return self._trainer.rows

    def losses(self) -> dict[int, float]:
        """Returns the objective at the beads, by id."""
        return dict(zip(self._chain.order, self.rows.loss.tolist(), strict=True))

    def beads_where(self, rows: Tensor) -> tuple[int, ...]:
        """Returns the ids of the beads for which a mask (row,) is true."""
        beads = zip(self._chain.order, rows.tolist(), strict=True)
        return tuple(bead for bead, on in beads if on)

    def _put(self, rows: Rows) -> None:
        """Makes the string with these rows the trainer's one group."""
        self._trainer.groups = [Group(tuple(self._chain.order), rows)]

    def _fresh(self) -> Rows:
        """Returns the chain's beads as rows without a step."""
        return self._rows_of(self._chain.order, float("inf"))

    def _rows_of(self, beads: list[int], level: float) -> Rows:
        theta = torch.stack([self._chain.weights[bead] for bead in beads])
        seeds = [derive(self._spec.seed, "string", bead) for bead in beads]
        return self._trainer.rows_for(theta, level, seeds)

    # ------------------------------------------------------------ the level

    @property
    def final(self) -> bool:
        """Whether no level is left that it has to be lowered to."""
        return self.level <= self.target

    def aim(self, level: float) -> None:
        """Sets the level below which beads come from now on, except for ends that are held."""
        self.level = level
        self._put(self.rows.aimed(self._targets(len(self.rows))))

    def _targets(self, beads: int) -> Tensor:
        """Returns the target (bead,) of each bead, infinite for an end that is held.

        An end that moves rests at its own target, which may be above the level of the others.
        """
        problem = self._chain.problem
        target = torch.full((beads,), self.level, dtype=problem.dtype, device=problem.device)
        of_ends = self.end_target if self.final else max(self.level, self.end_target)
        for end, held in zip((0, -1), self.held, strict=True):
            target[end] = torch.inf if held else of_ends
        return target

    # ------------------------------------------------------------ training

    @property
    def bead_steps(self) -> int:
        """Optimizer steps of all beads together, those that were taken out included."""
        return self._trainer.bead_steps

    @property
    def going(self) -> bool:
        """Whether any bead takes steps."""
        return self._trainer.groups[0].going

    def advance(self) -> tuple[int, ...]:
        """Takes a round of steps, and returns the ids of the beads that took some."""
        before, took = self.rows.theta, self.beads_where(self.rows.going)
        self._trainer.advance()
        self._show(before)
        return took

    def space_evenly(self) -> None:
        """Moves beads along the string to equal distances from each other."""
        before = self.rows.theta
        self._put(replace(self.rows, theta=evenly_spaced(before)))
        self._show(before)

    def _show(self, before: Beads) -> None:
        """Gives the chain the weights of the beads that have moved from where they were before.

        They are copies, since views would keep whole strings of earlier rounds in memory.
        """
        theta = self.rows.theta
        moved = (theta != before).any(1).tolist()
        beads = zip(self._chain.order, theta, moved, strict=True)
        self._chain.move((bead, own.clone()) for bead, own, changed in beads if changed)

    def measure(self) -> list[Event]:
        """Measures segments that have moved; the ends of profiles are the beads' losses."""
        events = self._chain.measure(self._chain.unmeasured)
        ends: dict[int, float] = {}
        for segment in self._chain.in_order():
            ends[segment.left] = float(segment.measured.losses[0])
            ends[segment.right] = float(segment.measured.losses[-1])
        loss = torch.tensor([ends[bead] for bead in self._chain.order])
        self._put(self.rows.with_loss(loss.to(self.rows.loss)))
        return events

    # ------------------------------------------------------------ beads in and out

    def insert(self, bead: int, theta: Weights, loss: float, key: Key) -> None:
        """Puts a bead with that loss into a segment, with new optimizer state."""
        place = self._chain.order.index(key[1])
        self._chain.place(bead, theta, key)
        fresh = self._rows_of([bead], self.level)
        new = fresh.with_loss(torch.full_like(fresh.loss, loss))
        self._put(self.rows.with_row(place, new))

    def drop(self, bead: int) -> Key:
        """Takes an inner bead out, and returns the key of the segment that takes its place."""
        row = self._chain.order.index(bead)
        key = self._chain.drop(bead)
        self._put(self.rows.without(row))
        return key

    # ------------------------------------------------------------ checkpoint

    @property
    def columns(self) -> StringRows | None:
        """The columns that a checkpoint holds, since the rest follows from the chain.

        None before there is a string, and where later stages have gone on with it: its rows are of
        no use then.
        """
        beads = [bead for group in self._trainer.groups for bead in group.beads]
        if not beads or beads != self._chain.order:
            return None
        columns: Any = {name: getattr(self.rows, name) for name in COLUMNS}
        return StringRows(**columns)

    def resume(
        self, level: float, held: tuple[bool, bool], bead_steps: int, kept: StringRows | None
    ) -> None:
        """Goes on from the columns that a checkpoint held; the weights are the chain's.

        Raises Unfit where the columns are not of the chain's beads.
        """
        self.level, self.held = level, held
        self._trainer.bead_steps = bead_steps
        self._trainer.groups = []
        if kept is not None:
            self._put(self._resumed(kept))

    def _resumed(self, kept: StringRows) -> Rows:
        beads, device = self._chain.order, self._chain.problem.device
        fresh = self._rows_of(beads, self.level)
        if kept.state.keys() != fresh.state.keys():
            raise Unfit(
                f"rows have {sorted(kept.state)} of an optimizer, not {sorted(fresh.state)}"
            )
        columns: Any = {name: getattr(kept, name).to(device).clone() for name in COLUMNS[:-1]}
        state = {slot: tensor.to(device).clone() for slot, tensor in kept.state.items()}
        rows = replace(fresh, state=state, target=self._targets(len(beads)), **columns)
        try:
            check_columns(rows)
        except ValueError as error:
            raise Unfit(str(error)).below("rows") from None
        return rows.with_loss(rows.loss)

    def check_ready(self) -> None:
        """Raises Unfit where the string's rows are missing."""
        if not self._trainer.groups:
            raise Unfit("rows are missing, but the string is to be lowered")


def tether_of(settings: Constrained) -> Tether:
    """Returns what ties the beads of a string, by `hyperplane`, `kappa` and `zeta`."""
    tethers: list[Tether] = [Springs(settings.zeta)] if settings.zeta else []
    if settings.hyperplane == "hard":
        tethers.append(Hard())
    elif settings.hyperplane == "soft":
        tethers.append(Soft(settings.kappa))
    return Several(tuple(tethers)) if len(tethers) > 1 else (*tethers, Off())[0]
