"""Components as a user meets them: a landscape whose passes are known, and nothing lost."""

from __future__ import annotations

import csv
import json
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch

import engine
from dss_tui.cli import main
from engine.errors import InputError
from engine.record.commands import send
from engine.record.components_folder import ComponentsPlan
from engine.record.events import Outcome
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.record.string_file import read
from engine.record.sweep_summary import summarize_any
from engine.run.batched import Batched
from engine.run.components.components import measured, start
from presets import load_preset
from tests.support.commands import refused_before_anything
from tests.support.damage import end_as_failed, flip_in_tensors, without_checksums
from tests.support.toys.wells import HEIGHTS, lowest_barrier

ROOT = Path(__file__).parents[4]

#: The well of each checkpoint, and where in it that lies.
AT = ((0, 0.05), (1, 0.05), (2, -0.05), (3, 0.08), (1, -0.08))
LEVELS = (0.2, 0.7, 2.0)

PRESET = """
description: wells
problem:
  data: {{kind: custom, factory: "{toy}:points"}}
  network: {{kind: custom, factory: "{toy}:network"}}
  loss: {{factory: "{toy}:height"}}
endpoints: {{optimizer: {{kind: sgd, lr: 0.02}}}}
search:
  level: 0.1
  greedy: {{optimizer: {{kind: sgd, lr: 0.02}}, max_steps: 40, patience: 20, max_depth: 1}}
"""


@pytest.fixture(scope="module")
def wells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the preset of the landscape and a checkpoint in each of its wells."""
    folder = tmp_path_factory.mktemp("wells")
    toy = ROOT / "tests" / "support" / "toys" / "wells.py"
    (folder / "wells.yaml").write_text(PRESET.format(toy=toy))
    (folder / "models").mkdir()
    for number, (well, y) in enumerate(AT):
        tensors = {"w": torch.tensor([float(well), y])}
        torch.save(tensors, folder / "models" / f"{number}.pt")
    return folder


def command(wells: Path, out: Path, *more: str) -> list[str]:
    levels = ["--levels", ",".join(map(str, LEVELS))]
    models = ["--checkpoints", str(wells / "models" / "*.pt")]
    asked = ["components", str(wells / "wells.yaml"), *models, *levels, *more]
    return [*asked, "--out", str(out)]


@pytest.fixture(scope="module")
def whole(wells: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Components of the landscape that nothing happened to."""
    out = tmp_path_factory.mktemp("whole") / "wells"
    assert main(command(wells, out, "--tries", "1")) == 0
    return out


def lines(out: Path, name: str = "searches.csv") -> list[dict[str, str]]:
    with open(out / name, newline="") as file:
        return list(csv.DictReader(file))


def untimed(out: Path) -> list[dict[str, str]]:
    return [{k: v for k, v in line.items() if k != "elapsed_s"} for line in lines(out)]


def tables(out: Path) -> dict[str, str]:
    names = ("levels.csv", "components.csv", "disconnectivity.csv")
    return {name: (out / name).read_text() for name in names}


def beads(out: Path, run: str) -> np.ndarray[Any, Any]:
    return read(out / run / "string.safetensors").string.beads


# ---------------------------------------------------------------- truth


def true_components(level: float) -> set[frozenset[int]]:
    """The models that hang together below a level, by the heights of the passes."""
    found: list[set[int]] = []
    for model, (well, _) in enumerate(AT):
        for group in found:
            other = AT[next(iter(group))][0]
            if lowest_barrier(well, other) <= level:
                group.add(model)
                break
        else:
            found.append({model})
    return set(map(frozenset, found))


def test_the_components_are_those_of_the_landscape(whole: Path) -> None:
    tree = json.loads((whole / "components.json").read_text())
    for row in tree["levels"]:
        assert set(map(frozenset, row["components"])) == true_components(row["level"])
        assert row["absent"] == [] and row["upper_bound"] == (len(row["components"]) > 1)
    assert [row["level"] for row in tree["levels"]] == sorted(LEVELS)
    joins = len(AT) - 1
    assert sum(row["found"] for row in tree["levels"]) <= joins
    assert len(tree["searches"]) < len(LEVELS) * tree["pairs"] == 3 * 10


def test_barriers_are_the_passes_and_never_below_them(whole: Path) -> None:
    """Both a path that connects and what a failed search has left are upper bounds."""
    tree = json.loads((whole / "components.json").read_text())
    for each in tree["searches"]:
        true = lowest_barrier(AT[each["a"]][0], AT[each["b"]][0])
        assert each["peak"] >= true - 1e-6
        assert each["connected"] == (true <= each["level"])
    barriers = sorted(each["barrier"] for each in tree["tree"])
    expected = sorted([0.0, *HEIGHTS])  # two models share a well
    # Paths are highest a little beside the pass, where y is not 0.
    assert barriers == pytest.approx(expected, abs=0.03)
    for a, b in combinations(range(len(AT)), 2):
        highest = highest_on_the_way(tree["tree"], a, b)
        assert highest == pytest.approx(lowest_barrier(AT[a][0], AT[b][0]), abs=0.03)


def highest_on_the_way(tree: Sequence[dict[str, Any]], a: int, b: int) -> float:
    """The highest barrier between two models on a tree, by trying every height."""
    for height in sorted(each["barrier"] for each in tree):
        known = {a}
        for _ in tree:
            for each in tree:
                if each["barrier"] <= height and {each["a"], each["b"]} & known:
                    known |= {each["a"], each["b"]}
        if b in known:
            return float(height)
    return inf


def test_searches_are_ordinary_runs_and_the_folder_is_listed(whole: Path) -> None:
    first = lines(whole)[0]
    run = RunDir(whole / first["run"])
    assert summarize_any(run).state == "connected"
    spec = run.load_spec()
    assert spec.endpoints.kind == "files" and spec.search.level == 0.2
    held = safetensors.numpy.load_file(str(spec.endpoints.a))
    well, y = AT[int(first["a"])]
    assert held["w"].tolist() == pytest.approx([well, y])
    listed = summarize_any(RunDir(whole))
    assert listed.state == "ended" and listed.pairs == (len(lines(whole)),) * 2
    found = engine.verify(read(run.string), run_factories=True)
    assert found.holds and max(found.peaks) == pytest.approx(float(first["peak"]), rel=1e-5)


def test_what_a_failed_search_has_left_may_be_higher_than_the_straight_line(whole: Path) -> None:
    file = read(whole / lines(whole)[0]["run"] / "string.safetensors")
    ends = file.string.beads[[0, -1]]
    bent = np.stack([ends[0], np.array([0.5, 1.0], np.float32), ends[1]])
    worse = replace(file, string=replace(file.string, beads=bent))
    found = measured(worse, 65, connected=False)
    assert found.string > 1.0 > found.line
    assert np.isnan(measured(worse, 65, connected=True).line)


# ---------------------------------------------------------------- nothing lost


class Stops:
    """Signals, of which one comes once a path exists."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def received(self) -> signal.Signals | None:
        return signal.SIGTERM if self.path.exists() else None


SMALL = {"problem.data.points": 64, "search.greedy.max_steps": 2000}
LOW = (0.05, 0.002)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Components of five models that were trained for it."""
    out = tmp_path_factory.mktemp("trained") / "five"
    found = engine.components(load_preset("quadratic", SMALL), LOW, 5, out, tries=1)
    assert not found.decided.left and len(found.searches) == len(lines(out))
    return out


def test_models_are_the_ends_of_ordinary_searches(trained: Path) -> None:
    spec = load_preset("quadratic", {**SMALL, "search.level": min(LOW)}, seed=1)
    with engine.search(spec) as search:
        search.run()
        file = search.string()
    ends, names = file.string.beads[[0, -1]], [name for name, _ in file.header.parameters]
    for number, end in zip((2, 3), ends, strict=True):
        held = safetensors.numpy.load_file(trained / "models" / f"model-{number:04}.safetensors")
        assert np.concatenate([held[name].ravel() for name in names]).tobytes() == end.tobytes()
    told = json.loads((trained / "components.json").read_text())["models"]
    assert [each["seed"] for each in told] == [0, 0, 1, 1, 2]
    assert told[3]["name"] == "endpoint 2 of seed 1" and told[3]["loss"] <= min(LOW)


@pytest.mark.parametrize("moment", ["models", "search"])
def test_a_command_that_was_ended_goes_on_to_the_same_bits(
    trained: Path, tmp_path: Path, moment: str
) -> None:
    out = tmp_path / "again"
    spec = load_preset("quadratic", SMALL)
    crew = Batched(1 if moment == "models" else 64)
    begun = start(ComponentsPlan(spec, LOW, 5, tries=1), out, crew)
    first = lines(trained)[0]["run"]
    path = {"models": "models/model-0000.json", "search": f"{first}/events.jsonl"}[moment]
    stops: Any = Stops(out / path)
    end = begun.run(stops)
    assert end.exit_status == 128 + signal.SIGTERM and "` goes on" in end.sentence
    assert (moment == "models") == ("models are trained" in end.sentence)
    found = engine.components(spec, LOW, 5, out, tries=1, at_once=2)
    assert untimed(out) == untimed(trained) and tables(out) == tables(trained)
    for each in found.searches:
        assert beads(out, each.run).tobytes() == beads(trained, each.run).tobytes()


def test_a_search_that_was_stopped_by_itself_is_left_to_the_next_time(
    trained: Path, tmp_path: Path
) -> None:
    out, first = tmp_path / "again", lines(trained)[0]["run"]
    spec = load_preset("quadratic", SMALL)
    begun = start(ComponentsPlan(spec, LOW, 5, tries=1), out, Batched())
    (out / first).mkdir(parents=True)
    send(RunDir(out / first), "stop")
    end = begun.run(Signals())
    assert end.exit_status == 3 and end.sentence.startswith("1 search has not ended")
    engine.components(spec, LOW, 5, out, tries=1)
    assert untimed(out) == untimed(trained)


@pytest.mark.parametrize("moment", ["measuring", "searching"])
def test_a_model_of_which_a_bit_has_changed_is_refused_until_it_is_trained_again(
    trained: Path, tmp_path: Path, moment: str
) -> None:
    out = Path(shutil.copytree(trained, tmp_path / "again"))
    run, again = lines(trained)[0]["run"], partial(goes_on, out)
    model = out / "models" / f"model-{lines(trained)[0]['b'].zfill(4)}.safetensors"
    whole = model.read_bytes()
    flip_in_tensors(model)
    again()  # nothing is left to do with it
    if moment == "measuring":
        (out / "models" / "models.json").unlink()
    else:
        end_as_failed(out / run)
    with pytest.raises(InputError, match=r"have changed since; delete .*json, so") as caught:
        again()
    assert caught.value.file == model
    told = caught.value.what.split("delete ")[1].split(",")[0]
    Path(told).unlink()
    again()
    assert model.read_bytes() == whole and untimed(out) == untimed(trained)


def goes_on(out: Path) -> None:
    engine.components(load_preset("quadratic", SMALL), LOW, 5, out, tries=1)


def test_models_of_a_version_without_checksums_are_gone_on_with(
    trained: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(trained, tmp_path / "again"))
    for model in (out / "models").glob("*.safetensors"):
        without_checksums(model)
    (out / "models" / "models.json").unlink()
    end_as_failed(out / lines(trained)[0]["run"])
    goes_on(out)
    assert untimed(out) == untimed(trained)


def test_a_given_model_of_which_a_bit_has_changed_is_read_again(
    wells: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "again"))
    asked = command(wells, out, "--tries", "1")
    flip_in_tensors(out / "models" / f"model-{lines(whole)[0]['a'].zfill(4)}.safetensors")
    end_as_failed(out / lines(whole)[0]["run"])
    capsys.readouterr()
    assert main(asked) == 2
    assert f"delete {out / 'models' / 'models.json'}, so that" in capsys.readouterr().err
    (out / "models" / "models.json").unlink()
    assert main(asked) == 0
    assert untimed(out) == untimed(whole)


def test_a_folder_behind_a_link_goes_on_too(trained: Path, tmp_path: Path) -> None:
    """Models are named by the path that was given, in run.yaml and in checkpoints alike."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    out, first = tmp_path / "link" / "again", lines(trained)[0]["run"]
    begun = start(ComponentsPlan(load_preset("quadratic", SMALL), LOW, 5, tries=1), out, Batched())
    stops: Any = Stops(out / first / "events.jsonl")
    assert begun.run(stops).exit_status == 128 + signal.SIGTERM
    engine.components(load_preset("quadratic", SMALL), LOW, 5, out, tries=1)
    assert untimed(out) == untimed(trained)


def test_what_is_not_measured_yet_is_measured_by_the_same_command(
    trained: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(trained, tmp_path / "copy"))
    (copy / lines(copy)[0]["run"] / "measured.json").unlink()
    (copy / "searches.csv").unlink()
    engine.components(load_preset("quadratic", SMALL), LOW, 5, copy, tries=1)
    assert untimed(copy) == untimed(trained)


def test_a_model_that_misses_the_lowest_level_is_there_above_it(tmp_path: Path) -> None:
    """One attempt of few steps, which one of two ends reaches a low level by."""
    keys = {**SMALL, "endpoints.max_steps": 60, "endpoints.restarts": 0}
    found = engine.components(load_preset("quadratic", keys), (10.0, 1e-6), 2, tmp_path / "out")
    high, low = found.rows()
    assert low.absent == (0, 1) and low.pairs == 0 and "no model is there" in low.sentence
    assert high.components == ((0, 1),) and high.absent == ()
    assert "was not trained to" in found.told.models[0].sentence
    assert found.told.models[0].loss > 1e-6


def test_aligned_models_are_nearer_and_are_relabelled_in_each_search(tmp_path: Path) -> None:
    spec = load_preset("quadratic", {**SMALL, "endpoints.kind": "permuted"})
    plain = engine.components(spec, (0.05,), 2, tmp_path / "plain")
    aligned = engine.components(spec, (0.05,), 2, tmp_path / "aligned", align="weights")
    assert plain.told.distances[0][1] > 0.1 > aligned.told.distances[0][1]
    assert aligned.told.losses == plain.told.losses
    run = tmp_path / "aligned" / aligned.searches[0].run
    assert read(run / "string.safetensors").header.relabelled == "weights"
    assert any("relabelled by weights" in line for line in aligned.said())


def test_models_with_parameters_that_stay_are_searched_one_pair_after_another(
    tmp_path: Path,
) -> None:
    keys = {**SMALL, "path_parameters": "*.weight"}
    spec, out = load_preset("quadratic", keys), tmp_path / "out"
    found = engine.components(spec, (0.05,), 3, out)
    assert len(found.searches) == 2 and found.rows()[0].components == ((0, 1, 2),)
    files = [out / "models" / f"model-{number:04}.safetensors" for number in range(3)]
    held = [safetensors.numpy.load_file(file) for file in files]
    assert all(
        each[name].tobytes() == held[0][name].tobytes()
        for each in held
        for name in each
        if name.endswith("bias")
    )
    other = {**held[2], "layers.0.bias": held[2]["layers.0.bias"] + 1}
    safetensors.numpy.save_file(other, tmp_path / "other.safetensors")
    given = [*files[:2], tmp_path / "other.safetensors"]
    with pytest.raises(engine.InputError, match=r"layers\.0\.bias, which does not move"):
        engine.components(spec, (0.05,), given, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


# ---------------------------------------------------------------- what cannot run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("quadratic --models 1 --levels 0.1", "--models: is 1; give 2 or more"),
        ("quadratic --models 3 --levels lowest", "--levels: is 'lowest'; give different losses"),
        ("quadratic --models 3 --levels 0.1,0.1", "--levels: is '0.1,0.1'"),
        ("quadratic --models 3 --levels 0.1 --tries 0", "--tries: is 0; give a number from 1"),
        ("quadratic --models 3 --levels 0.1 --grid 4", "--grid: is 4"),
        ("quadratic --models 3 --levels 0.1 --at-once 0", "--at-once: is 0"),
        ("quadratic --models 3 --levels 0.1 --set search.level=1", "name it in --levels"),
        ("quadratic --models 900 --levels 0.1", "--models: is 900; give fewer"),
        ("quadratic --models 3 --levels 0.1 --set search.method=linear", "search.method"),
        ("quadratic --checkpoints none*.pt --levels 0.1", "none*.pt: --checkpoints: fits no file"),
        ("quadratic --checkpoints a.pt a.pt --levels 0.1", "a.pt: --checkpoints: is named twice"),
        ("quadratic --checkpoints a.pt --levels 0.1", "names 1 models; give 2 or more"),
        ("quadratic --checkpoints a.pt b.pt --levels 0.1", "a.pt"),
        ("linear --models 3 --levels 0.1 --set search.string=x.npz", "search.string"),
    ],
)
def test_what_cannot_be_searched_is_said_before_anything_runs(
    words: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused_before_anything(capsys, ["components", *words.split()], said, tmp_path)


def test_a_checkpoint_that_is_there_twice_is_refused(
    wells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copy(wells / "models" / "0.pt", tmp_path / "copy.pt"))
    asked = ["components", str(wells / "wells.yaml"), "--levels", "0.3", "--checkpoints"]
    asked += [str(wells / "models" / "0.pt"), str(copy), "--out", str(tmp_path / "out")]
    assert main(asked) == 2
    assert "is the same model as" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_bead_of_a_run_whose_name_looks_like_a_pattern_is_no_pattern(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run[1]").mkdir()
    bead = str(tmp_path / "run[1]#first")
    command = ["components", "quadratic", "--levels", "0.3", "--checkpoints", bead, bead]
    assert main([*command, "--out", str(tmp_path / "out")]) == 2
    assert f"{bead}: --checkpoints: is named twice" in capsys.readouterr().err


def test_a_command_whose_searches_have_ended_prints_its_tables(
    wells: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(wells, whole, "--tries", "1", "--json")) == 0
    assert capsys.readouterr().out == (whole / "components.json").read_text()
    assert main(command(wells, whole, "--tries", "1")) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "5 models are in at most 3 components: no path between these was found" in said
    assert "component 0, 3 models: 1 2 4" in said and "0 0.0025 •" in said
    assert "That does not prove that there is none" in said and "made of upper bounds" in said


def test_other_components_in_the_folder_are_refused(
    wells: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(wells, whole, "--tries", "7")) == 2
    assert "holds another set of components, begun with --tries 1" in capsys.readouterr().err


def test_a_failed_search_does_not_count(trained: Path, tmp_path: Path) -> None:
    """Where the engine itself failed, the search is run again."""
    copy = Path(shutil.copytree(trained, tmp_path / "copy"))
    run = RunDir(copy / lines(copy)[0]["run"])
    text = run.events.read_text().splitlines()
    last = json.loads(text[-1]) | {"outcome": str(Outcome.FAILED), "certified": None}
    run.events.write_text("\n".join([*text[:-1], json.dumps(last)]) + "\n")
    (run.path / "measured.json").unlink()
    begun = start(ComponentsPlan(load_preset("quadratic", SMALL), LOW, 5, tries=1), copy, Batched())
    assert [cell.run.path for cell in begun.todo()] == [run.path]
