"""Barriers between pairs of models that were trained alike from different random weights.

`python -m benchmarks.barriers digits --pairs 10` trains both ends of each pair as a search trains
them, and nothing else. Loss and error are measured along the straight line between the two, as they
are, with the second one relabelled into the order of the first, and with the models in between
repaired (REPAIR). Batch normalization has new statistics at each point in all of these ways, so
*aligned* means aligned with statistics estimated again. Where a network has such layers, two more
ways mix the statistics of the two models in proportion to t instead, as is done where checkpoints
are averaged buffer by buffer.

The ends of each pair, and each row as soon as it is measured, are kept in `--out`, and the same
command goes on from there. `--measured problem.data.limit=500` measures the barrier on fewer images
than the ends are trained on. Each number of the table is the mean over the pairs with its standard
error. *Over mean* is the peak less the mean of the ends, and *over chord* the highest rise above
the straight line between their values.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import engine
from benchmarks.rows import Row, Rows
from engine.alignment.forward import Forward
from engine.networks.modules import lent
from engine.problem.checkpoints.endpoints import read_model
from engine.problem.problem import Problem, Split, build_problem
from engine.run import trained_ends
from engine.run.prepare import prepare
from engine.shapes import Weights
from engine.spec.training import AlignedBy
from engine.workers.pool import open_pool

#: The columns of numbers: the key of each in a row, and the factor and the unit it is told in.
COLUMNS = {
    "loss of the ends": (1, ""),
    "its peak": (1, ""),
    "over mean": (1, ""),
    "over chord": (1, ""),
    "error over mean": (100, " %"),
    "held-out loss over mean": (1, ""),
    "held-out error over mean": (100, " %"),
    "s a pair": (1, ""),
}
#: The options on which rows depend.
KEPT = ("preset", "points", "seed", "overrides", "measured")
#: The samples that are handed to a network at once.
AT_ONCE = 500


@dataclass(frozen=True)
class Way:
    """What is done to models before the line between them is measured."""

    name: str
    align: AlignedBy | None = None
    repair: bool = False
    mixed: bool = False
    """Whether models in between have a mixture of both ends' statistics, and not their own."""


WAYS = (
    Way("as they are"),
    Way("as they are, statistics mixed", mixed=True),
    Way("aligned by weights", "weights"),
    Way("aligned by weights, statistics mixed", "weights", mixed=True),
    Way("aligned by activations", "activations"),
    Way("repaired", repair=True),
    Way("aligned by weights, repaired", "weights", repair=True),
    Way("aligned by activations, repaired", "activations", repair=True),
)


@dataclass(frozen=True)
class Pair:
    """Two trained models, as files, and the preset whose network and data are theirs."""

    files: tuple[str, str]
    spec: engine.Spec


def ends(spec: engine.Spec, measured: engine.Spec, pair: int, folder: Path) -> Pair | None:
    """Returns two models that are trained as the ends of a search; None where that fails.

    They are kept in a folder, and taken from there. `measured` is the preset of their barrier.
    """
    names = tuple(f"pair-{pair}-{end}.safetensors" for end in ("first", "last"))
    found = Pair((str(folder / names[0]), str(folder / names[1])), measured)
    if (folder / names[-1]).exists():
        return found
    prepared = prepare(spec.model_copy(update={"seed": spec.seed + pair}).of_a_new_run())
    with open_pool(prepared.backend, prepared.spec) as pool:
        trained = trained_ends.trained(prepared.spec, pool, lambda: False)
    assert trained is not None
    if trained.models is None:
        print(f"pair {pair} was not trained, and is left out: {trained.sentence}")
        return None
    for model, name in zip(trained.models, names, strict=True):
        trained_ends.write_model(model, prepared.backend.problem, folder / name, folder)
    return found


def row(way: Way, number: int, pair: Pair, points: int) -> Row:
    """Returns what is measured of a pair in one way."""
    began = time.perf_counter()
    found = _mixed(way, pair, points) if way.mixed else _barrier(way, pair, points)
    return {"pair": number, "models": way.name, **found, "s a pair": time.perf_counter() - began}


def _barrier(way: Way, pair: Pair, points: int) -> Row:
    """Returns the barrier as `dss-tui barrier` has it."""
    found = engine.barrier(
        *pair.files, pair.spec, points, repair=way.repair, align=way.align, certify=False
    )
    loss, held_out = found.train.loss, found.held_out
    error = found.train.error
    return {
        "loss of the ends": sum(loss.ends) / 2,
        "its peak": loss.peak,
        "over mean": loss.over_mean,
        "over chord": loss.over_interpolation,
        "error over mean": None if error is None else error.over_mean,
        "held-out loss over mean": None if held_out is None else held_out.loss.over_mean,
        "held-out error over mean": None
        if held_out is None or held_out.error is None
        else held_out.error.over_mean,
    }


# ---------------------------------------------------------------- statistics of both ends, mixed


def _mixed(way: Way, pair: Pair, points: int) -> Row:
    """Returns the barrier where batch normalization has statistics between those of the ends."""
    problem = build_problem(pair.spec.problem)
    first, last = (read_model(each, None, problem, None, None).theta for each in pair.files)
    if way.align is not None:
        last = engine.align(*pair.files, pair.spec, way.align).aligned.theta
    t = torch.linspace(0, 1, points).tolist()
    train = between(problem, first, last, t, "train")
    held_out = between(problem, first, last, t, "held_out") if len(problem.held_out) else None
    losses = [loss for loss, _ in train]
    mean = (losses[0] + losses[-1]) / 2
    chord = [(1 - at) * losses[0] + at * losses[-1] for at in t]
    return {
        "loss of the ends": mean,
        "its peak": max(losses),
        "over mean": max(losses) - mean,
        "over chord": max(loss - on for loss, on in zip(losses, chord, strict=True)),
        "error over mean": _over_mean([error for _, error in train]),
        "held-out loss over mean": held_out and _over_mean([loss for loss, _ in held_out]),
        "held-out error over mean": held_out and _over_mean([error for _, error in held_out]),
    }


def _over_mean(values: Sequence[float]) -> float:
    return max(values) - (values[0] + values[-1]) / 2


def between(
    problem: Problem, first: Weights, last: Weights, t: Sequence[float], split: Split
) -> list[tuple[float, float]]:
    """Returns loss and error at places of a line, each model with a mixture of two statistics.

    Those of the two models (param,) are their own, from the samples of `problem.batch_norm`, and
    are mixed in proportion to t.
    """
    forward, network = Forward(problem), problem.computing()
    held = [
        {
            **{place: each[0] for place, each in problem.named(theta[None]).items()},
            **{name: each.float() for name, each in forward.statistics(theta).items()},
        }
        for theta in (first, last)
    ]
    samples, found = problem.samples(split), []
    for at in t:
        weights = {name: torch.lerp(one, held[1][name], at) for name, one in held[0].items()}
        loss = error = 0.0
        for x, y in samples.pieces(AT_ONCE, problem.dtype):
            with torch.no_grad():
                output = lent.output(network, weights, x)
            labels = y.argmax(-1) if y.is_floating_point() else y
            loss += float(problem.sample_loss(output, y).sum())
            error += float((output.argmax(-1) != labels).sum())
        found.append((loss / len(samples), error / len(samples)))
    return found


# ---------------------------------------------------------------- the table


def told(rows: Sequence[Row], column: str) -> str:
    """Returns the mean of a number over all pairs and its standard error; shares in per cent."""
    factor, unit = COLUMNS[column]
    values = [row[column] for row in rows if row[column] is not None]
    if not values:
        return "–"
    mean = f"{factor * statistics.mean(values):.3g}"
    if len(values) < 2:
        return mean + unit
    return f"{mean} ± {factor * statistics.stdev(values) / len(values) ** 0.5:.2g}{unit}"


def line(preset: str, way: Way, rows: Sequence[Row]) -> str:
    """Returns the table's line of a preset in one way."""
    cells = (preset, str(len(rows)), way.name, *(told(rows, column) for column in COLUMNS))
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Trains the pairs that are missing, measures the rows that are, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--points", type=int, default=33)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument(
        "--measured", action="append", default=[], help="KEY=VALUE once they are trained"
    )
    parser.add_argument("--ways", nargs="*", help="the names of those wanted")
    parser.add_argument("--out", type=Path, help="a folder, by default runs/barriers-PRESET")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    spec = engine.load_preset(asked.preset, asked.overrides, seed=asked.seed)
    normalizes = build_problem(spec.problem).normalizes
    wanted = asked.ways or [way.name for way in WAYS if normalizes or not way.mixed]
    ways = [way for way in WAYS if way.name in wanted]
    measured = engine.load_preset(asked.preset, [*asked.overrides, *asked.measured])
    folder = asked.out or Path("runs") / f"barriers-{Path(asked.preset).stem}"
    options = {each: getattr(asked, each) for each in KEPT}
    rows = Rows(folder / "rows.jsonl", options)
    for pair in range(asked.pairs):
        trained = ends(spec, measured, pair, folder)
        if trained is None:
            continue
        for way in ways:
            if rows.find(pair=pair, models=way.name) is None:
                added = rows.add(row(way, pair, trained, asked.points))
                print(f"pair {pair}: {line(asked.preset, way, [added])}", flush=True)
    print("| preset | pairs | models | " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * (3 + len(COLUMNS)))
    for way in ways:
        if found := rows.every(models=way.name):
            print(line(asked.preset, way, found))


if __name__ == "__main__":
    main()
