"""Run folders made, found and listed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.record import finding
from engine.record.finding import create, find, name_after
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter
from engine.spec.keys import Spec
from engine.spec.yaml_file import parse

# ---------------------------------------------------------------- making a run


def test_a_new_run_holds_its_resolved_preset(spec: Spec, tmp_path: Path) -> None:
    made = create(spec, "cubic", tmp_path / "deep" / "down")
    assert made.path == (tmp_path / "deep" / "down").resolve()
    assert made.load_spec() == spec.of_a_new_run()
    assert os.listdir(made.path) == ["run.yaml"]


def test_a_new_run_draws_the_samples_of_batch_norm_statistics(spec: Spec, tmp_path: Path) -> None:
    """Where its preset says nothing. A folder without the keys means what they were made for."""

    def written(name: str, **batch_norm: object) -> int | None:
        tree = spec.model_dump(mode="json")
        tree["problem"]["batch_norm"] = batch_norm
        return create(parse(tree), "cubic", tmp_path / name).load_spec().problem.batch_norm.seed

    assert written("nothing") == written("samples", samples=5) == 0
    assert written("seven", seed=7) == 7
    assert written("first", seed=None) is None
    made = create(spec, "cubic", tmp_path / "old")
    text, drawn, orders = made.spec.read_text(), "    seed: 0\n", "mini_batches: auto\n"
    assert f"    samples: 1024\n{drawn}" in text and orders in text
    made.spec.write_text(text.replace(drawn, "").replace(orders, ""))
    assert made.load_spec().problem.batch_norm.seed is None
    assert made.load_spec().fingerprint() == spec.fingerprint()


def test_runs_without_a_place_get_names_of_their_own(spec: Spec, runs: Path) -> None:
    made = [create(spec, "cubic", None) for _ in range(3)]
    assert len({run.name for run in made}) == 3
    assert all(run.path.parent == runs.resolve() for run in made)
    assert all(run.name.startswith("cubic-") for run in made)


@pytest.mark.parametrize("held", ["run.yaml", "thesis.tex", ".notes.tmp", ".run.yaml.12.tmp.bak"])
def test_a_folder_in_use_is_refused_and_left_alone(held: str, spec: Spec, tmp_path: Path) -> None:
    (tmp_path / "zz.csv").write_text("1,2")
    (tmp_path / held).write_text("mine")
    with pytest.raises(InputError) as caught:
        create(spec, "cubic", tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: --out: is not empty (it holds {held}); choose a new folder, or go on with a "
        f"run that is there with `dss-tui resume {tmp_path}`"
    )
    assert (tmp_path / held).read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == sorted(["zz.csv", held])


@pytest.mark.parametrize(
    ("below", "reason"), [("file", "File exists"), ("file/run", "Not a directory")]
)
def test_a_place_that_cannot_be_written_is_bad_input(
    below: str, reason: str, spec: Spec, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError) as caught:
        create(spec, "cubic", tmp_path / below)
    assert str(caught.value) == (
        f"{tmp_path / below}: cannot be written: {reason}; choose another folder with --out"
    )
    assert (tmp_path / "file").read_text() == "mine"


LEFTOVERS = (".run.yaml.4242.tmp", ".checkpoint.safetensors.77.tmp")


def test_what_dead_writers_left_does_not_fill_a_folder(spec: Spec, tmp_path: Path) -> None:
    for name in LEFTOVERS:
        (tmp_path / name).write_text("half of someth")
    made = create(spec, "cubic", tmp_path)
    assert sorted(os.listdir(made.path)) == sorted(["run.yaml", *LEFTOVERS])  # one may be at work


def test_a_writer_clears_what_dead_ones_left(run: RunDir) -> None:
    for name in LEFTOVERS:
        (run.path / name).write_text("half of someth")
    with RunWriter(run):
        assert not set(LEFTOVERS) & set(os.listdir(run.path))
    assert run.spec.is_file()


# ---------------------------------------------------------------- finding a run


def test_a_run_is_found_by_path_and_by_name(run: RunDir, spec: Spec, runs: Path) -> None:
    named = create(spec, "cubic", runs / "tuesday")
    assert find(str(run.path)).path == run.path
    assert find("tuesday").path == named.path


def test_an_unknown_run_gets_the_nearest_name(spec: Spec, runs: Path) -> None:
    for name in ("tuesday", "october"):
        create(spec, "cubic", runs / name)
    with pytest.raises(InputError) as caught:
        find("teusday")
    assert str(caught.value) == (
        f"teusday: no such run in {runs} nor at that path; did you mean 'tuesday'?"
    )


def make(spec: Spec, runs: Path, *names: str) -> None:
    """Runs of these names, the last one the newest."""
    for age_s, name in enumerate(reversed(names)):
        made = create(spec, "cubic", runs / name)
        os.utime(made.spec, (1e9 - age_s, 1e9 - age_s))


def test_the_start_of_one_name_is_enough(spec: Spec, runs: Path) -> None:
    make(spec, runs, "monday", "tuesday", "thursday")
    assert find("m").name == "monday"
    assert find("tu").name == "tuesday"
    assert find("thursda").name == "thursday"


def test_the_start_of_several_names_is_refused_with_them(spec: Spec, runs: Path) -> None:
    make(spec, runs, "monday", "tuesday", "thursday")
    with pytest.raises(InputError) as caught:
        find("t")
    assert str(caught.value) == (
        "t: is the start of 2 runs' names: thursday and tuesday; give more of it"
    )
    make(spec, runs, *(f"night-{number}" for number in range(11)))
    with pytest.raises(InputError, match=r"11 runs' names: night-10, .*, night-3 and 3 more;"):
        find("night")
    with pytest.raises(InputError, match=r"; `dss-tui ls` lists the runs$"):
        find("zzzz")


def test_a_whole_name_or_a_path_wins_over_the_start_of_another(
    spec: Spec, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(spec, runs, "mon", "monday")
    assert find("mon").path == runs / "mon"
    monkeypatch.chdir(tmp_path)
    create(spec, "cubic", tmp_path / "mond")
    assert find("mond").path == Path("mond")
    (tmp_path / "monda").mkdir()  # no run, so the start of a name counts
    assert find("monda").path == runs / "monday"


def test_last_is_the_newest_unless_a_run_has_that_name(spec: Spec, runs: Path) -> None:
    with pytest.raises(InputError, match="there are no runs yet"):
        find("last")
    make(spec, runs, "older", "newer")
    assert find("last").name == "newer"
    make(spec, runs, "lastly")
    os.utime(runs / "lastly" / "run.yaml", (10, 10))
    assert find("last").name == "newer"
    make(spec, runs, "last")
    os.utime(runs / "last" / "run.yaml", (5, 5))
    assert find("last").name == "last"


@pytest.mark.parametrize("name", ["tuesday", "t" * 300, "~nobody-of-that-name/run", "a/b/c"])
def test_without_runs_the_hint_is_to_make_one(name: str) -> None:
    with pytest.raises(InputError, match="there are no runs yet; `dss-tui run digits` makes one"):
        find(name)


def test_a_folder_without_a_preset_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a run directory: it has no run\.yaml"):
        find(str(tmp_path))


def test_runs_are_listed_oldest_first(spec: Spec, runs: Path) -> None:
    assert finding.runs() == []
    for name, age_s in (("b", 50), ("c", 90), ("a", 20)):
        made = create(spec, "cubic", runs / name)
        os.utime(made.spec, (1e9 - age_s, 1e9 - age_s))
    (runs / "no-run").mkdir()
    (runs / "file").touch()
    assert [run.name for run in finding.runs()] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("name", "new"),
    [
        ("quadratic-20261130-091431", "quadratic-again"),
        ("quadratic-again-20261130-091522", "quadratic-again"),
        ("quadratic-tight-20261130-091522", "quadratic-tight-again"),
        ("mine", "mine-again"),
    ],
)
def test_a_run_that_follows_has_the_presets_name_and_says_how(name: str, new: str) -> None:
    assert name_after(name, "again") == new
