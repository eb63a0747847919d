"""What is damaged, and what is tried on it: folders of one run and of many, files, and figures."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from dss_tui.cli import main
from engine.run import bead_files
from tests.support import image_files
from tests.support.faults import watching
from tests.support.faults.trial import Do

FIXTURES = Path(__file__).parents[2] / "fixtures" / "6706f4a" / "runs"
#: Runs of an older version, of every stage that a checkpoint may hold.
OLDER = (
    "stopped-auto-greedy",
    "limited-auto-detour",
    "limited-auto-release",
    "stopped-auto-constrained",
    "stopped-linear",
    "stopped-shortening-digits",
    "stopped-string-quadratic",
)

QUICK = ("--set", "problem.data.points=64", "--headless", "--seed", "2")
#: How runs are made, each of which ends within another stage.
MADE: dict[str, tuple[str, ...]] = {
    "connected": ("--set", "search.level=1e-2"),
    "limited": ("--set", "search.level=1e-4", "--set", "limits.beads=4"),
    "endpoints": ("--set", "limits.steps=200"),
    "lowered": ("--set", "search.method=constrained", "--set", "limits.steps=600"),
    "even": ("--set", "search.min_inner_beads=3", "--set", "limits.steps=4100"),
}
SWEEP = ("sweep", "quadratic", "--levels", "0.02,0.01", "--pairs", "2", *QUICK)
COMPONENTS = ("components", "quadratic", "--models", "4", "--levels", "0.02,0.01", *QUICK)
COMPARE = ("compare", "quadratic", "--methods", "greedy,neb", "--pairs", "1", *QUICK)
#: A network and data that no search needs long for.
SMALL = """\
description: small
problem:
  data: {kind: polynomial, coefficients: [0.3, 0.25, 0.5], points: 40}
  network: {kind: mlp, sizes: [1, 3, 1], activation: tanh}
  loss: mse
endpoints: {optimizer: {kind: rmsprop, lr: 1.0e-3}, max_steps: 300, restarts: 1}
search: {method: greedy, level: 0.5, greedy: {max_steps: 50}}
limits: {beads: 5, seconds: 5}
seed: 7
"""


@dataclass(frozen=True)
class Target:
    """A folder of files, and what is tried on it while one of them is damaged."""

    name: str
    folder: Path
    files: tuple[str, ...]
    """The paths of the files that are damaged, below the folder."""
    tried: Mapping[str, Do]
    """What is tried, by name."""
    slow: frozenset[str] = frozenset()
    """The names of what takes so long that it is tried on few of the damages."""
    environment: Mapping[str, str] = field(default_factory=dict)
    readers: Mapping[str, str] = field(default_factory=dict)
    """The file or folder that something reads alone, by the name of what is tried."""

    def reads(self, name: str, file: str) -> bool:
        """Whether something that is tried reads a file."""
        return file.startswith(self.readers.get(name, ""))


def command(*arguments: object) -> Do:
    """A command line that is run in this process."""
    return partial(main, [str(each) for each in arguments])


def in_folder(folder: Path, do: Callable[[], int]) -> Do:
    """The same with a folder as the current one."""

    def within() -> int:
        os.chdir(folder)
        return do()

    return within


# ---------------------------------------------------------------- runs


def run_folder(place: Path, name: str) -> Target:
    """A run that was made with these options, alone in its runs folder."""
    folder = place / name / "run"
    _run("run", "quadratic", "--out", folder, *QUICK, *MADE[name], runs=folder.parent)
    (folder / "commands.jsonl").write_text('{"command": "checkpoint"}\n')
    if name == "connected":
        _run("measure", folder, "--what", "swa", runs=folder.parent)
        _run("measure", folder, "--plane", "1,2,3", runs=folder.parent)
        (folder / "notes.json").write_text('{"note": "fine", "first_name": "quadratic"}')
    return of_run(name, folder)


def older_folder(place: Path, name: str) -> Target:
    """A run that an older version made, alone in its runs folder."""
    folder = place / name / "run"
    shutil.copytree(FIXTURES / name, folder)
    return of_run(name, folder)


def apart_folder(place: Path) -> Target:
    """A run whose beads have files of their own."""
    apart, bead_files.APART = bead_files.APART, 0
    folder = place / "apart" / "run"
    _run("run", "quadratic", "--out", folder, *QUICK, *MADE["limited"], runs=folder.parent)
    bead_files.APART = apart
    return of_run("apart", folder)


def of_run(name: str, folder: Path) -> Target:
    """All that is tried on a run's folder."""
    runs, before = folder.parent, folder.parent / "progress-before.json"
    shutil.copy(folder / "progress.json", before)
    out = runs.parent / f"out-{name}"
    model = out.with_suffix(".safetensors")
    tried: dict[str, Do] = {
        "ls": command("ls"),
        "attach": command("attach", folder),
        "words": partial(watching.words, folder),
        "diagnose": command("diagnose", folder),
        "diagnose --json": command("diagnose", folder, "--json"),
        "stop": command("stop", folder),
        "resume": command("resume", folder, "--headless", "--json"),
        "go on": partial(watching.go_on, folder, before),
        "export": command("export", folder, "--out", out.with_suffix(".npz"), "--force"),
        "export --with-data": command(
            "export", folder, "--out", out.with_suffix(".pt"), "--force", "--with-data"
        ),
        "shorten": command("shorten", folder, "--headless", *_little()),
        "verify": command("verify", folder / "string.safetensors", "--grid", "9"),
        "barrier": command("barrier", folder, "--points", "5", "--no-certify"),
        "align": command("align", folder, "--out", model),
        "measure --what": command("measure", folder, "--what", "swa"),
        "measure --plane": command("measure", folder, "--plane", "1,2,3"),
        "run run.yaml": command(
            "run",
            folder / "run.yaml",
            "--out",
            out,
            "--headless",
            *_little(),
            "--set",
            "limits.beads=3",
        ),
        "figure": command("figure", folder, "--out", out.with_suffix(".csv")),
        "figure --kind depths": command(
            "figure", folder, "--kind", "depths", "--out", out.with_suffix(".csv")
        ),
        "screen": partial(watching.screen, folder, watching.OF_A_RUN),
        "menu": partial(watching.screen, None, watching.OF_THE_MENU),
    }
    searching = {"go on", "shorten", "run run.yaml", "screen", "menu", "measure --plane"}
    files = tuple(
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "blobs.npz"
    )
    return Target(name, folder, files, tried, frozenset(searching), {"DSS_TUI_RUNS": str(runs)})


def _little() -> tuple[str, ...]:
    """Limits under which no search takes long."""
    return ("--set", "limits.seconds=2", "--set", "limits.steps=6000")


def _run(*arguments: object, runs: Path) -> None:
    """Runs a command line that makes something."""
    os.environ["DSS_TUI_RUNS"] = str(runs)
    status = main([str(each) for each in arguments])
    assert status in (0, 3), arguments


# ---------------------------------------------------------------- many runs


def sweep_folder(place: Path) -> Target:
    """A sweep that has ended, but for one of its cells."""
    folder = place / "sweep" / "run"
    going_on = (*SWEEP, "--out", folder)
    _run(*going_on, runs=folder.parent)
    shutil.rmtree(folder / "level-0.01" / "pair-0001")
    cell = "level-0.02/pair-0000"
    files = ("sweep.yaml", "session.json", "commands.jsonl", ".lock", "engine.log", "sweep.csv")
    return _of_many("sweep", folder, going_on, (*files, "levels.csv", "sweep.json"), cell)


def compare_folder(place: Path) -> Target:
    """A comparison of methods that has ended."""
    folder = place / "compare" / "run"
    going_on = (*COMPARE, "--out", folder)
    _run(*going_on, runs=folder.parent)
    ends, measured = "ends/pair-0000", "greedy/pair-0000/measured.json"
    files = ("compare.yaml", "session.json", "compare.json", measured)
    of_ends = (f"{ends}/a.safetensors", f"{ends}/ends.json")
    return _of_many("compare", folder, going_on, (*files, *of_ends), "greedy/pair-0000")


def components_folder(place: Path) -> Target:
    """Components that have ended, but for one of their searches."""
    folder = place / "components" / "run"
    going_on = (*COMPONENTS, "--out", folder)
    _run(*going_on, runs=folder.parent)
    cell, other = sorted(path.parent for path in folder.glob("level-*/*/measured.json"))[:2]
    shutil.rmtree(other)
    tables = ("components.json", "searches.csv", "levels.csv", "components.csv")
    models = ("models.json", "model-0000.safetensors", "model-0000.json")
    place_of_cell = str(cell.relative_to(folder))
    files = (*("components.yaml", "session.json"), *tables, *(f"models/{each}" for each in models))
    return _of_many(
        "components", folder, going_on, (*files, f"{place_of_cell}/measured.json"), place_of_cell
    )


def _of_many(
    name: str, folder: Path, going_on: tuple[object, ...], files: tuple[str, ...], cell: str
) -> Target:
    in_cell = ("run.yaml", "events.jsonl", "progress.json", "string.safetensors", "meta.json")
    (folder / "commands.jsonl").write_text('{"command": "pause"}\n')
    tried: dict[str, Do] = {
        "ls": command("ls"),
        "attach": command("attach", folder),
        "stop": command("stop", folder),
        "go on": command(*going_on, "--json"),
        "resume": command("resume", folder, "--headless"),
        "figure": command("figure", folder, "--out", folder.parent.parent / f"{name}.csv"),
        "words of a cell": partial(watching.words, folder / cell),
        "screen": partial(watching.screen, folder, watching.OF_A_SWEEP),
        "menu": partial(watching.screen, None, watching.OF_THE_MENU),
    }
    found = tuple(file for file in files if (folder / file).is_file())
    return Target(
        name,
        folder,
        (*found, *(f"{cell}/{file}" for file in in_cell if (folder / cell / file).is_file())),
        tried,
        frozenset({"go on", "resume", "screen", "menu"}),
        {"DSS_TUI_RUNS": str(folder.parent)},
    )


# ---------------------------------------------------------------- files


def strings(place: Path, source: Path) -> Target:
    """String files of a run, a model and a relabelling."""
    folder = place / "strings" / "files"
    folder.mkdir(parents=True)
    for ending in (".safetensors", ".npz", ".pt"):
        _run("export", source, "--out", folder / f"s{ending}", "--with-data", runs=place)
    string = folder / "s.safetensors"
    model, order = folder / "b.safetensors", folder / "order.safetensors"
    problem = folder / "small.yaml"
    text = (source / "run.yaml").read_text()
    problem.write_text(text)
    _run("align", string, "--out", model, "--permutation", order, runs=place)
    _run("align", string, "--out", folder / "b.pt", runs=place)
    of = ("--preset", problem)
    out = folder.parent / "out.safetensors"
    tried: dict[str, Do] = {}
    for ending in (".safetensors", ".npz", ".pt"):
        each = folder / f"s{ending}"
        tried |= {
            f"verify s{ending}": command("verify", each, "--grid", "9", "--json"),
            f"certify s{ending}": command("verify", each, "--certify"),
            f"measure s{ending}": command("measure", each, "--what", "swa,gradient", "--json"),
            f"plane s{ending}": command("measure", each, "--plane", "1,2,3", "--json"),
            f"barrier s{ending}": command("barrier", each, "--points", "5", "--json"),
        }
    for ending in (".safetensors", ".pt"):
        each = folder / f"b{ending}"
        tried |= {
            f"barrier b{ending}": command(
                "barrier", f"{string}#first", each, *of, "--points", "5", "--no-certify"
            ),
            f"align b{ending}": command("align", f"{string}#first", each, *of, "--out", out),
        }
    tried["barrier order.safetensors"] = command(
        "barrier", string, "--permutation", order, "--points", "5", "--no-certify"
    )
    tried["run small.yaml"] = command(
        "run", problem, "--headless", "--out", out.parent / "run", *_little()
    )
    files = ("s.safetensors", "s.npz", "s.pt", "b.safetensors", "b.pt", "order.safetensors")
    readers = {name: name.split()[1] for name in tried}
    return Target("strings", folder, (*files, "small.yaml"), tried, readers=readers)


def figures(place: Path) -> Target:
    """The numbers of figures, one file for each kind that a small sweep and its runs have."""
    many, folder = place / "of-figures" / "run", place / "figures" / "files"
    folder.mkdir(parents=True)
    _run(*SWEEP, "--out", many, runs=many.parent)
    one = many / "level-0.02" / "pair-0000"
    sources = {"levels": many, "depths": many, "path": one, "string": one}
    tried: dict[str, Do] = {}
    for kind, source in sources.items():
        numbers = folder / f"{kind}.csv"
        _run("figure", source, "--kind", kind, "--out", numbers, runs=many.parent)
        for ending in (".svg", ".png"):
            tried[f"draw {kind}.csv {ending}"] = command(
                "figure", numbers, "--out", folder.parent / f"{kind}{ending}"
            )
    readers = {name: name.split()[1] for name in tried}
    files = tuple(f"{kind}.csv" for kind in sources)
    return Target("figures", folder, files, tried, readers=readers)


def own_files(place: Path) -> Target:
    """The user's presets, keys and settings."""
    home = place / "own" / "config"
    folder = home / "dss-tui"
    (folder / "presets").mkdir(parents=True)
    (folder / "presets" / "mine.yaml").write_text(SMALL)
    (folder / "keys.yaml").write_text("run.stop: ctrl+x\nrun.pause: p,space\n")
    (folder / "settings.yaml").write_text("bell: true\ntitle: false\n")
    tried: dict[str, Do] = {
        "presets": command("presets"),
        "presets mine": command("presets", "mine"),
        "run mine": command("run", "mine", "--headless", "--out", place / "own" / "run"),
        "menu": partial(watching.screen, None, watching.OF_THE_MENU),
    }
    runs = str(place / "own" / "runs")
    environment = {"XDG_CONFIG_HOME": str(home), "DSS_TUI_RUNS": runs}
    files = ("presets/mine.yaml", "keys.yaml", "settings.yaml")
    return Target("own", folder, files, tried, environment=environment)


def data_files(place: Path) -> Target:
    """Data sets in files: IDX, records and pickles of CIFAR, arrays, text, plain and in gzip."""
    folder = place / "data" / "files"
    image_files.write_idx(folder / "mnist")
    packed = folder / "packed"
    for name in (*image_files.TRAIN, *image_files.TEST):
        image_files.write(packed / f"{name}.gz", (folder / "mnist" / name).read_bytes())
    image_files.write_cifar10(folder / "cifar10")
    draw = np.random.default_rng(3)
    x, y = draw.normal(size=(50, 4)).astype(np.float32), draw.integers(0, 3, 50)
    np.savez(folder / "blobs.npz", x=x, y=y, note=np.array("made up"))
    np.savez_compressed(folder / "packed.npz", x=x, y=y)
    (folder / "text.txt").write_text("to be or not to be, that is the question. " * 40)
    tried: dict[str, Do] = {"data": command("data"), "data mnist": command("data", "mnist")}
    tried["data cifar10"] = command("data", "cifar10", "--json")
    kinds = {
        "mnist": f"{{kind: mnist, path: {folder / 'mnist'}}}",
        "packed": f"{{kind: mnist, path: {packed}}}",
        "cifar10": f"{{kind: cifar10, path: {folder / 'cifar10'}}}",
        "blobs": f"{{kind: arrays, path: {folder / 'blobs.npz'}}}",
        "packed.npz": f"{{kind: arrays, path: {folder / 'packed.npz'}}}",
    }
    sizes = {"mnist": 784, "packed": 784, "cifar10": 3072, "blobs": 4, "packed.npz": 4}
    readers = {"data mnist": "mnist", "data cifar10": "cifar10"}
    for name, data in kinds.items():
        read = {"blobs": "blobs.npz", "packed": "packed/"}.get(name, name)
        readers |= {f"run {name}": read, f"data {name}.yaml": read}
        outputs = 10 if sizes[name] > 4 else 3
        preset = place / "data" / f"{name}.yaml"
        preset.write_text(
            f"problem:\n  data: {data}\n"
            f"  network: {{kind: mlp, sizes: [{sizes[name]}, 3, {outputs}]}}\n"
            "  loss: cross_entropy\nendpoints: {max_steps: 3, restarts: 1}\n"
            "search: {method: linear, level: 100}\n"
        )
        out = place / "data" / f"run-{name}"
        tried[f"run {name}"] = command("run", preset, "--headless", "--out", out)
        tried[f"data {name}.yaml"] = command("data", preset)
    files = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]
    environment = {"DSS_TUI_DATA": str(folder), "DSS_TUI_RUNS": str(place / "data" / "runs")}
    return Target("data", folder, tuple(files), tried, frozenset(), environment, readers)


#: What makes each target in a place of its own.
TARGETS: dict[str, Callable[[Path], Target]] = {
    **{name: partial(run_folder, name=name) for name in MADE},
    "apart": apart_folder,
    "sweep": sweep_folder,
    "compare": compare_folder,
    "components": components_folder,
    "figures": figures,
    **{name: partial(older_folder, name=name) for name in OLDER},
    "strings": lambda place: strings(place, run_folder(place / "source", "connected").folder),
    "own": own_files,
    "data": data_files,
}
