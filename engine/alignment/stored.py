"""Files of relabellings: a permutation that was found once can be applied again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from engine.alignment.align import Aligned, kept, symmetries
from engine.alignment.forward import one_thread
from engine.alignment.relabelling import Relabelling
from engine.errors import InputError
from engine.networks.modules.units.groups import Units
from engine.problem import stored
from engine.problem.problem import Problem
from engine.record import tensor_reading, writing
from engine.record.decoding import parse_json
from engine.record.events import dump_json
from engine.record.reading import Damaged
from engine.record.unfit import Unfit
from engine.shapes import Weights
from engine.spec.training import AlignedBy
from engine.told import Told, untold

FORMAT, VERSION = "dss-permutation", 1
#: What stands before the names of groups, and of scales, in the names of a file's tensors.
ORDER, SCALE = "order.", "scale."
ENDING = ".safetensors"


def write(found: Aligned, path: Path) -> None:
    """Writes a relabelling to a .safetensors file.

    `order.NAME` holds the order of a group, (unit,) or (unit of the parent, unit) int64, and
    `scale.NAME` the numbers of a scale, (unit,) float64. NAME is the first parameter that holds the
    units, with the axis. The metadata key `dss` says what was compared and describes the groups.
    Raises InputError where the path has another ending, and SaveError where it cannot be written.
    """
    check_ending(path)
    groups, scales = found.units.groups, found.units.scales
    by = found.relabelling
    tensors = {
        ORDER + group.name: order
        for group, order in zip(groups, by.orders, strict=True)
        if not group.frozen
    } | {SCALE + each.name: numbers for each, numbers in zip(scales, by.scales, strict=True)}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "by": found.by,
        "groups": [
            {
                "name": group.name,
                "size": group.size,
                "parent": None if group.parent is None else groups[group.parent].name,
            }
            for group in groups
        ],
    }
    stored.write(writing.chosen(path), tensors, {"dss": dump_json(header)})


def check_ending(path: Path) -> None:
    """Raises InputError where a path does not end as files of relabellings do."""
    if path.suffix != ENDING:
        raise InputError(f"must end in {ENDING}; choose another name", file=path)


def applied(problem: Problem, second: Weights, path: Path, told: Told = untold) -> Aligned:
    """Returns a model (param,) relabelled as a file says, of which nothing is trusted.

    `told` is called with the share of the samples that were passed through the network.

    Raises InputError where the file is no whole relabelling of this network's units, and where the
    relabelled model is not the same function.
    """
    tensors, by = _read(path)
    with one_thread():
        forward, traced = symmetries(problem, told)
        units = traced.units
        relabelling = Relabelling(
            tuple(
                torch.arange(group.size) if group.frozen else _order(tensors, units, number, path)
                for number, group in enumerate(units.groups)
            ),
            tuple(_numbers(tensors, each.name, each.size, path) for each in units.scales),
        )
        return kept(forward, second, units, relabelling, by)


def _read(path: Path) -> tuple[dict[str, Tensor], AlignedBy]:
    """Returns the tensors of a file and what was compared. Raises InputError."""
    check_ending(path)
    if not path.is_file():
        raise InputError("no such file; `dss-tui align … --permutation` makes one", file=path)
    try:
        arrays, texts = tensor_reading.read(path, follow=True)
        header: Any = parse_json(texts.get("dss", "null"))
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    except (Damaged, Unfit, TypeError) as error:
        why = error.why if isinstance(error, Damaged) else str(error)
        raise InputError(f"is not a whole {ENDING} file ({why}); make it again", file=path) from (
            None
        )
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise InputError("is no file of dss-tui align: it has no metadata `dss`", file=path)
    by: Any = header.get("by")
    if header.get("version") != VERSION or by not in get_args(AlignedBy):
        raise InputError("is of another version; make it again", file=path, key="dss")
    return tensors, by


def _order(tensors: dict[str, Tensor], units: Units, number: int, path: Path) -> Tensor:
    """Returns the order of a group. Raises InputError where the file has none."""
    group = units.groups[number]
    above = () if group.parent is None else (units.groups[group.parent].size,)
    order = tensors.get(ORDER + group.name)
    if order is None or order.shape != (*above, group.size) or order.dtype != torch.int64:
        raise _unfit(group.name, path)
    if not torch.equal(order.sort(-1).values, torch.arange(group.size).expand_as(order)):
        raise InputError(f"{ORDER}{group.name} is no order of units; make it again", file=path)
    return order


def _numbers(tensors: dict[str, Tensor], name: str, size: int, path: Path) -> Tensor:
    """Returns the numbers of a scale. Raises InputError where the file has none."""
    numbers = tensors.get(SCALE + name)
    if numbers is None or numbers.shape != (size,) or not numbers.is_floating_point():
        raise _unfit(name, path)
    if not ((numbers > 0) & numbers.isfinite()).all():
        raise InputError(f"{SCALE}{name} holds numbers that are not positive", file=path)
    return numbers.double()


def _unfit(name: str, path: Path) -> InputError:
    return InputError(
        f"has no order of the units of {name} that fits this network; give the network that it was "
        "made for",
        file=path,
    )
