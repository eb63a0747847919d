"""The paper's figures: the sweeps, pictures and tables of docs/paper.md.

Each sweep has a folder of its own below FOLDER, goes on where it was stopped, and may go on with
more pairs. The pictures and their numbers go to docs/figures, and the tables of docs/paper.md are
made anew from these numbers, between the comments that name them. Without `--pairs` nothing is
searched: the page is made of what has ended.

    python -m benchmarks.paper FOLDER --pairs 5
    python -m benchmarks.paper FOLDER --pairs 20
    python -m benchmarks.paper FOLDER --only cubic-authors,cubic-equal
    python -m benchmarks.paper FOLDER --only mnist-paper,cifar10-subset,text-lstm --pairs 4
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import ceil, hypot, log10, nan
from pathlib import Path

import numpy as np

import engine
from dss_tui.cli import main as dss
from engine.data import load_data
from engine.record.figures.kinds import KINDS
from engine.record.figures.sheet import Sheet, read_sheet
from engine.spec.published import published_for

DOCS = Path(__file__).parents[1] / "docs"
PAGE, FIGURES = DOCS / "paper.md", DOCS / "figures"

#: The levels of the paper's figures, or some of them, and those around the peak of the cubic one.
QUADRATIC = "0.001,0.0025,0.005,0.0075,0.01,0.025,0.05,0.075,0.1,0.125"
CUBIC = (
    "0.01,0.02,0.03,0.04,0.05,0.06,0.07,0.08,0.1,0.12,0.14,0.15,0.152,0.154,0.156,0.158,0.16,"
    "0.162,0.164,0.168,0.17,0.18,0.2,0.24,0.32"
)
MNIST = "0.02,0.04"
CIFAR10 = "0.6,0.7,0.8"
TEXT = "7,7.5,8,9,10,12,15,20"
PEAK = "0.14,0.15,0.152,0.154,0.156,0.158,0.16,0.162,0.164,0.168,0.17,0.18,0.2"

#: Mini-batches that grow: a step takes 256 of the 10 000 points, and more near its target alone.
GROWING = tuple(
    f"{block}.{key}"
    for block in ("endpoints", "search.greedy")
    for key in ("batch_size=256", "grow_batch=true", "check_every=100")
)

#: Of a subset of CIFAR-10, what was searched differs from `cifar10-paper`: few images are judged
#: often, and beads are trained to less at half the rate, with the weight decay of the ends.
SUBSET = (
    "endpoints.check_every=32",
    "search.alpha=0.95",
    "search.greedy.grid=9",
    "search.greedy.max_depth=14",
    "search.greedy.check_every=16",
    "search.greedy.optimizer={kind: sgd, lr: 0.05, weight_decay: 4e-3, "
    "decay_exempt: [bias, layers.0.*, layers.3.*, output.*]}",
)

#: The sweeps of which levels around the peak are drawn apart.
ZOOMED = ("cubic-authors", "cubic-equal")

#: The quantities of a table by their titles; the first one that a sheet has is the length.
LENGTHS = ("normalized_length_weights", "normalized_length")


@dataclass(frozen=True)
class Task:
    """One sweep of the page."""

    name: str
    preset: str
    levels: str
    overrides: tuple[str, ...] = ()
    by_name: bool = False
    """Whether it is run only where `--only` names it, because it needs data that do not ship."""

    def command(self, folder: Path, pairs: int) -> list[str]:
        """Returns the command line that runs it, or goes on with it."""
        sets = [part for line in self.overrides for part in ("--set", line)]
        head = ["sweep", self.preset, "--levels", self.levels, "--pairs", str(pairs), *sets]
        return [*head, "--out", str(folder / self.name), "--headless"]


TASKS = (
    Task("quadratic-authors", "quadratic-authors", QUADRATIC),
    Task("cubic-authors", "cubic-authors", CUBIC),
    Task("cubic-equal", "cubic-authors", PEAK, ("endpoints.alpha=null",)),
    Task("quadratic-paper", "quadratic-paper", QUADRATIC),
    Task("cubic-paper", "cubic-paper", CUBIC),
    Task("quadratic-growing", "quadratic-paper", QUADRATIC, GROWING),
    Task("cubic-growing", "cubic-paper", CUBIC, GROWING),
    Task("mnist-paper", "mnist-paper", MNIST, by_name=True),
    Task("cifar10-subset", "cifar10-paper", CIFAR10, SUBSET, by_name=True),
    Task("text-lstm", "text-lstm", TEXT, by_name=True),
)


# ---------------------------------------------------------------- tables


@dataclass(frozen=True)
class Point:
    """A mean at a level, and its standard error."""

    mean: float
    error: float

    @property
    def words(self) -> str:
        """Both numbers, with more decimals where three would show an error as zero."""
        decimals = ceil(-log10(self.error)) if 0 < self.error < 0.0005 else 3
        return f"{self.mean:.{decimals}f} ± {self.error:.{decimals}f}"


def points(sheet: Sheet, part: str, quantity: str) -> dict[float, Point]:
    """Returns the points of a quantity by level."""
    where = {"part": part, "quantity": quantity}
    columns = (sheet.numbers(name, **where) for name in ("level", "value", "high"))
    return {level: Point(mean, high - mean) for level, mean, high in zip(*columns, strict=True)}


def lengths(sheet: Sheet) -> dict[float, Point]:
    """Returns the lengths as the authors took them: over weights alone."""
    return next(found for name in LENGTHS if (found := points(sheet, "measured", name)))


def apart(ours: Point, theirs: Point) -> float:
    """Returns the difference of two means in combined standard errors.

    Where neither mean has an error, it is 0 if they are the same, and NaN if not.
    """
    both, difference = hypot(ours.error, theirs.error), ours.mean - theirs.mean
    if both:
        return difference / both
    return 0.0 if difference == 0 else nan


def by_level(sheet: Sheet) -> Iterator[str]:
    """Yields the lines of the table of a sweep, beside the paper's points where it has some."""
    if points(sheet, "published", "beads"):
        yield from beside_the_paper(sheet)
    else:
        yield from alone(sheet)
    yield ""
    yield from laws(sheet)


def alone(sheet: Sheet) -> Iterator[str]:
    """Yields the lines of the table of a sweep of which the paper has no points."""
    measured = (lengths(sheet), points(sheet, "measured", "beads"))
    yield "| level | connected | length ± s.e. | beads ± s.e. |"
    yield "|---|---|---|---|"
    for level, (connected, pairs) in counts(sheet).items():
        cells = [found[level].words if level in found else "–" for found in measured]
        yield f"| {level:g} | {connected:g} of {pairs:g} | {' | '.join(cells)} |"


def beside_the_paper(sheet: Sheet) -> Iterator[str]:
    """Yields the lines of the table of a sweep beside the paper's points."""
    measured = (lengths(sheet), points(sheet, "measured", "beads"))
    published = tuple(points(sheet, "published", name) for name in ("normalized_length", "beads"))
    yield "| level | connected | length ± s.e. | paper | z | beads ± s.e. | paper | z |"
    yield "|---|---|---|---|---|---|---|---|"
    near, of = [0, 0], [0, 0]
    for level, (connected, pairs) in counts(sheet).items():
        cells = [f"{level:g}", f"{connected:g} of {pairs:g}"]
        for number, (ours, theirs) in enumerate(zip(measured, published, strict=True)):
            if level not in ours:
                cells += ["–", theirs[level].words if level in theirs else "–", "–"]
                continue
            z = apart(ours[level], theirs[level]) if level in theirs else nan
            near[number] += abs(z) <= 2
            of[number] += 1
            cells += [ours[level].words, theirs[level].words, f"{z:+.2f}"]
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield (
        f"Within two combined standard errors: {near[0]} of {of[0]} lengths and {near[1]} of "
        f"{of[1]} numbers of beads."
    )


def counts(sheet: Sheet) -> dict[float, tuple[float, float]]:
    """Returns the numbers of connected pairs and of pairs by level, the lowest level first."""
    where = {"part": "outcome", "quantity": "connected"}
    columns = (sheet.numbers(name, **where) for name in ("level", "value", "pairs"))
    return {level: (value, pairs) for level, value, pairs in sorted(zip(*columns, strict=True))}


def laws(sheet: Sheet) -> Iterator[str]:
    """Yields a line for each law through points."""
    for name, words in sheet.facts:
        part, _, quantity = name.partition(" ")
        if part in ("measured", "published") and "level^" in words:
            whose = "measured" if part == "measured" else "the paper's"
            yield f"- {whose} {quantity.replace('_', ' ')}: {words.partition(';')[0]})"


def peak(sheets: dict[str, Sheet]) -> Iterator[str]:
    """Yields the lines of the table of lengths around the peak, by both protocols."""
    authors, equal = sheets["cubic-authors"], sheets["cubic-equal"]
    columns = (
        lengths(authors),
        points(authors, "measured", "normalized_length"),
        lengths(equal),
        points(equal, "measured", "normalized_length"),
        points(authors, "published", "normalized_length"),
    )
    yield (
        "| level | ends 1.0, beads 0.95: weights alone | all parameters | ends 0.95, beads 0.95: "
        "weights alone | all parameters | paper |"
    )
    yield "|---|---|---|---|---|---|"
    for level in counts(equal):
        cells = [found[level].words if level in found else "–" for found in columns]
        yield f"| {level:g} | {' | '.join(cells)} |"


def zoomed(sheet: Sheet) -> Sheet:
    """Returns the sheet of levels around the peak alone, without laws."""
    levels = [float(level) for level in PEAK.split(",")]
    part, level = (sheet.columns.index(name) for name in ("part", "level"))
    rows = (row for row in sheet.rows if row[level] in levels and "law" not in str(row[part]))
    facts = ((name, words) for name, words in sheet.facts if "level^" not in words)
    return replace(sheet, facts=tuple(facts), rows=tuple(rows))


def of_ptb() -> Iterator[str]:
    """Yields the lines of the table of the paper's points for a language model."""
    found = published_for(engine.load_preset("ptb-lstm"))
    assert found is not None
    yield "| perplexity | length ± s.e. | beads ± s.e. |"
    yield "|---|---|---|"
    for point in found.points:
        length, beads = Point(*point.normalized_length), Point(*point.beads)
        yield f"| {point.level:g} | {length.words} | {beads.words} |"


def plateau() -> Iterator[str]:
    """Yields a sentence on the best constant predictor of the cubic."""
    spec = engine.load_preset("cubic-authors")
    y = load_data(spec.problem.data).y
    loss = float(np.abs(y - np.median(y)).mean())
    yield f"The best constant predictor of these {len(y)} points has a loss of {loss:.4f}."


# ---------------------------------------------------------------- the page


def put(page: str, name: str, lines: Iterable[str]) -> str:
    """Returns a page with other lines between the comments that name a block.

    Raises ValueError where the page has no such block.
    """
    block = re.compile(rf"(<!-- made: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    if block.search(page) is None:
        raise ValueError(f"{PAGE} has no block {name}")
    body = "".join(f"{line}\n" for line in lines)
    return block.sub(lambda found: f"{found[1]}\n{body}\n{found[2]}", page)


def write_page(names: Iterable[str]) -> None:
    """Makes the tables of the page anew from the numbers in docs/figures."""
    columns = {name: kind.columns for name, kind in KINDS.items()}
    sheets = {name: read_sheet(FIGURES / f"{name}.csv", columns) for name in names}
    for name in set(ZOOMED) & sheets.keys():
        out = FIGURES / f"{name}-peak.csv"
        out.write_text(zoomed(sheets[name]).to_csv(), encoding="utf-8")
        dss(["figure", str(out), "--width", "two", "--out", str(out.with_suffix(".svg"))])
    page = PAGE.read_text(encoding="utf-8")
    for name, sheet in sheets.items():
        if f"<!-- made: {name} -->" in page:
            page = put(page, name, by_level(sheet))
    if {"cubic-authors", "cubic-equal"} <= sheets.keys():
        page = put(page, "peak", peak(sheets))
    page = put(page, "ptb", of_ptb())
    PAGE.write_text(put(page, "plateau", plateau()), encoding="utf-8")


def main() -> None:
    """Runs what is asked for, then makes the pictures and the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--pairs", type=int, help="at each level; without it nothing is searched")
    parser.add_argument("--only", help="some of the sweeps, by their names")
    asked = parser.parse_args()
    named = asked.only.split(",") if asked.only else ()
    tasks = [task for task in TASKS if (task.name in named if named else not task.by_name)]
    for task in tasks if asked.pairs else []:
        dss(task.command(asked.folder, asked.pairs))
    FIGURES.mkdir(exist_ok=True)
    for task in tasks:
        # Of levels around the peak alone, a picture is made of its own below.
        out = FIGURES / f"{task.name}{'.csv' if task.levels == PEAK else '.svg'}"
        dss(["figure", str(asked.folder / task.name), "--width", "two", "--out", str(out)])
    made = [task.name for task in TASKS if (FIGURES / f"{task.name}.csv").exists()]
    write_page(made)


if __name__ == "__main__":
    main()
