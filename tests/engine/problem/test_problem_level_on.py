"""What the level is held against: another metric than the loss, another split than the training."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from dss_tui.cli import main
from engine.backends.in_place import InPlaceBackend
from engine.backends.torch_backend import TorchBackend
from engine.backends.vmapped import VmappedBackend
from engine.problem.problem import Problem, build_problem
from engine.record.records import finished, read_records
from engine.record.rundir import RunDir
from engine.record.string_file import read
from engine.run.verify import TOLERANCE
from engine.spec.keys import Spec
from engine.spec.level import LevelOn
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from engine.steps.groups import Group, Row
from engine.steps.recipe import Recipe
from engine.steps.rows import End, fresh
from engine.training.trainer import Job, Trainer
from engine.workers.pool import Pool
from tests.support.commands import refused
from tests.support.workers import vmapped

Array = NDArray[Any]
FOLDER = Path(__file__).parents[3] / "engine" / "data"

DIGITS: dict[str, Any] = {
    "data": {"kind": "digits"},
    "network": {"kind": "mlp", "sizes": [64, 12, 10], "activation": "tanh"},
    "loss": "cross_entropy",
}
POLYNOMIAL: dict[str, Any] = {
    "data": {"kind": "polynomial", "coefficients": [0.1, 0.5], "points": 20},
    "network": {"kind": "mlp", "sizes": [1, 2, 1]},
    "loss": "mse",
}
EVERY = [
    LevelOn(metric=metric, split=split)
    for metric in ("loss", "error_rate", "perplexity")
    for split in ("train", "held_out")
]


# ---------------------------------------------------------------- in numpy


def digits(split: str) -> tuple[Array, Array]:
    with np.load(FOLDER / "digits.npz") as held:
        x, y = (held["x"], held["y"]) if split == "train" else (held["x_test"], held["y_test"])
    return x / 16.0, y.astype(int)


def outputs(theta: Array, x: Array) -> Array:
    """Of the 64-12-10 network."""
    w1, theta = theta[: 12 * 64].reshape(12, 64), theta[12 * 64 :]
    b1, theta = theta[:12], theta[12:]
    w2, b2 = theta[:120].reshape(10, 12), theta[120:]
    hidden: Array = np.tanh(x @ w1.T + b1)
    return hidden @ w2.T + b2


def judged(theta: Array, on: LevelOn) -> float:
    x, y = digits(on.split)
    found = outputs(theta.astype(np.float64), x)
    if on.metric == "error_rate":
        return float((found.argmax(1) != y).mean())
    found -= found.max(1, keepdims=True)
    entropy = float((np.log(np.exp(found).sum(1)) - found[np.arange(len(y)), y]).mean())
    return entropy if on.metric == "loss" else float(np.exp(entropy))


def problem_of(tree: dict[str, Any], on: LevelOn) -> Problem:
    return build_problem(validated(ProblemSpec, tree), objective=on)


def backend_of(batching: str, problem: Problem) -> TorchBackend:
    return {"vmap": VmappedBackend, "loop": InPlaceBackend}[batching](problem)


def beads(problem: Problem, count: int = 3) -> Tensor:
    return 2 * torch.stack([problem.initial(seed) for seed in range(count)])


@pytest.mark.parametrize("batching", ["vmap", "loop"])
@pytest.mark.parametrize("on", EVERY, ids=lambda on: on.words.replace(" ", "-"))
def test_values_are_those_of_numpy(on: LevelOn, batching: Any) -> None:
    problem = problem_of(DIGITS, on)
    backend = backend_of(batching, problem)
    theta = beads(problem)
    expected = [judged(row, on) for row in theta.numpy()]
    assert len(set(expected)) > 1
    assert backend.objective(theta).tolist() == pytest.approx(expected, rel=1e-5)
    exact = backend.to(torch.float64).objective(theta.double())
    assert exact.tolist() == pytest.approx(expected, rel=1e-6)
    assert problem.objective_samples == (1437 if on.split == "train" else 360)


@pytest.mark.parametrize("on", EVERY, ids=lambda on: on.words)
@pytest.mark.parametrize("batching", ["vmap", "loop"])
def test_a_look_ends_when_a_bound_is_out_of_reach(on: LevelOn, batching: Any) -> None:
    """What is at or below its bound is exact; what is above is known to be so, on fewer samples."""
    problem = build_problem(validated(ProblemSpec, DIGITS), objective=on)
    pieces = 40 * problem.cost.values * 4  # of 40 samples
    backend = backend_of(batching, problem).within(pieces)
    theta = torch.stack([problem.initial(seed) for seed in range(9)])
    whole = backend.objective(theta)
    bound = whole * torch.tensor([0.2, 1.0, 0.9, 3.0, 0.5, 1.1, 0.1, 1.0001, 0.99])
    found = backend.objective(theta, bound)
    below = whole <= bound
    assert 0 < below.sum() < len(below)
    torch.testing.assert_close(found[below], whole[below], rtol=1e-6, atol=0)
    assert (found[~below] > bound[~below]).all()
    assert not torch.equal(found, whole)


def test_a_loss_that_may_be_negative_is_looked_at_whole() -> None:
    """Its sum may fall again."""
    problem = build_problem(validated(ProblemSpec, DIGITS))
    shifted = replace(problem, sample_loss=lambda output, y: output[:, 0] - 5 * (y > 4))
    theta = torch.stack([problem.initial(seed) for seed in range(2)])
    bound = torch.full((2,), -100.0)
    backend = vmapped(shifted)
    assert torch.equal(backend.objective(theta, bound), backend.objective(theta))


def test_words() -> None:
    assert [on.words for on in EVERY] == [
        "training loss", "held-out loss", "training error rate", "held-out error rate",
        "training perplexity", "held-out perplexity",
    ]  # fmt: skip


def test_error_rates_of_one_hot_values() -> None:
    """mse and l1 compare outputs with one-hot rows; the largest is the class all the same."""
    on = LevelOn(metric="error_rate", split="held_out")
    problem = problem_of(DIGITS | {"loss": "mse"}, on)
    theta = beads(problem)
    expected = [judged(row, on) for row in theta.numpy()]
    assert vmapped(problem).objective(theta).tolist() == pytest.approx(expected, rel=1e-6)


def test_error_rates_of_tokens(tmp_path: Path) -> None:
    """The share of tokens, whichever sample they are in."""
    text = tmp_path / "text"
    text.write_text("the cat sat on the mat and the rat sat on the hat " * 9)
    vocabulary = len(set(text.read_text()))
    tree = {
        "data": {"kind": "text", "path": str(text), "unit": "character", "length": 8},
        "network": {"kind": "lstm", "vocabulary": vocabulary, "embedding": 4, "hidden": 5},
        "loss": "cross_entropy",
    }
    problem = problem_of(tree, LevelOn(metric="error_rate"))
    theta = beads(problem, 2)
    x, y = problem.train.part(slice(None), torch.float32)
    for row in range(2):
        module = problem.make_network()
        torch.nn.utils.vector_to_parameters(theta[row], module.parameters())
        wrong = (module(x).argmax(1) != y).float().mean().item()
        assert vmapped(problem).objective(theta)[row].item() == pytest.approx(wrong, abs=1e-6)
        entropy = torch.nn.functional.cross_entropy(module(x), y)
        perplexity = vmapped(problem).values(theta, LevelOn(metric="perplexity"))[row].item()
        assert perplexity == pytest.approx(entropy.exp().item(), rel=1e-5)


# ---------------------------------------------------------------- training


def spec_of(problem: dict[str, Any], level: float, **search: Any) -> Spec:
    adam = {
        "optimizer": {"kind": "adam", "lr": 0.01},
        "batch_size": 50,
        "check_every": 10,
        "max_steps": 1000,
    }
    return validated(
        Spec,
        {
            "problem": problem,
            "endpoints": adam,
            "search": {"level": level, "batching": "vmap", "greedy": adam | {"grid": 9}} | search,
            "device": "cpu",
            "workers": 1,
        },
    )


@pytest.mark.parametrize("batch_size", [50, "full"])
@pytest.mark.parametrize(
    ("on", "target"),
    [
        (LevelOn(metric="error_rate", split="held_out"), 0.2),
        (LevelOn(metric="perplexity", split="train"), 3.0),
        (LevelOn(metric="loss", split="held_out"), 1.0),
    ],
    ids=["error-rate", "perplexity", "held-out-loss"],
)
def test_training_stops_at_the_first_look_at_or_below_the_target(
    on: LevelOn, target: float, batch_size: int | str
) -> None:
    """Looks are a round apart; the value is what was judged at that look, and numpy agrees."""
    problem = problem_of(DIGITS, on)
    greedy = spec_of(DIGITS, 0.1).search.greedy
    training = greedy.model_copy(update={"batch_size": batch_size, "check_every": 5})
    with Pool(vmapped(problem), [torch.device("cpu")]) as pool:
        trainer = Trainer(Recipe(training), pool)
        trainer.admit(Job(3, target, seed=5), problem.initial(1))
        seen: list[tuple[int, float]] = []
        ended: list[Row] = []
        while not ended:
            (row,) = trainer.rows
            seen.append((row.steps, judged(row.theta.numpy(), on)))
            trainer.advance()
            ended = trainer.retire()
    (row,) = ended
    assert row.end is End.REACHED
    assert [steps for steps, _ in seen] == list(range(0, row.steps + 1, 5))
    *before, last = [value for _, value in seen]
    assert all(value > target for value in before) and len(before) > 2
    assert last <= target
    assert row.loss == pytest.approx(last, rel=1e-5)
    assert judged(row.theta.numpy(), on) == pytest.approx(last)


def test_gradients_are_those_of_the_training_loss() -> None:
    """Whatever is judged: a round from the same start takes the same steps."""
    training = spec_of(DIGITS, 0.1).search.greedy
    after = []
    for on in EVERY:
        problem = problem_of(DIGITS, on)
        rows = fresh(problem.initial(2)[None], ("mean", "square"), 1e-9, 100, seeds=[4])
        (group,) = vmapped(problem).advance(Recipe(training), [Group((1,), rows)])
        after.append(group.rows.theta)
    assert all(torch.equal(theta, after[0]) for theta in after)
    assert not torch.equal(after[0], rows.theta)


# ---------------------------------------------------------------- whole searches


def run_of(tmp_path: Path, spec: Spec) -> tuple[int, RunDir]:
    preset = tmp_path / "preset.yaml"
    preset.write_text(json.dumps(spec.model_dump(mode="json")))
    out = tmp_path / "run"
    return main(["run", str(preset), "--headless", "--out", str(out)]), RunDir(out)


def peak(file: Path, value: Callable[[Array], float], points: int = 9) -> float:
    """The highest value on a string, in numpy."""
    string = read(file).string.beads
    t = np.linspace(0, 1, points)
    return max(value((1 - at) * a + at * b) for a, b in pairwise(string) for at in t)


def test_digits_below_an_error_on_held_out_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on = LevelOn(metric="error_rate", split="held_out")
    level_on = on.model_dump(mode="json")
    status, run = run_of(tmp_path, spec_of(DIGITS, 0.15, level_on=level_on))
    assert status == 0
    string = run.path / "string.safetensors"
    assert peak(string, partial(judged, on=on)) <= 0.15
    file = read(string)
    assert file.header.level_on == on
    for bead, value in zip(file.string.beads, file.string.losses, strict=True):
        assert value == pytest.approx(judged(bead, on), abs=1.5 / 360)
        assert value <= 0.8 * 0.15 + 1.5 / 360
    ended = finished(read_records(run))
    assert ended is not None and ended.totals.max_peak <= 0.15
    started = read_records(run)[0].event
    assert started.level_on == "held-out error rate"  # type: ignore[attr-defined]

    capsys.readouterr()
    assert main(["verify", str(string), "--grid", "41"]) == 0
    said = capsys.readouterr().out
    assert "HOLDS" in said
    assert "highest held-out error rate" in said
    for words in ("training loss", "held-out loss", "training error rate", "held-out error rate"):
        (line,) = [line for line in said.splitlines() if line.strip().startswith(words)]
        low, high = (float(number) for number in line.removeprefix(f"  {words}").split("…"))
        metric = LevelOn(
            metric="error_rate" if "error" in words else "loss",
            split="train" if "training" in words else "held_out",
        )
        assert high == pytest.approx(peak(string, partial(judged, on=metric)), rel=2e-3)
        assert low < high

    assert main(["verify", str(string), "--grid", "41", "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["holds"] and tree["level_on"] == {"metric": "error_rate", "split": "held_out"}
    assert max(tree["peaks"]) <= 0.15
    assert {(part["metric"], part["split"]) for part in tree["along"]} == {
        (metric, split) for metric in ("loss", "error_rate") for split in ("train", "held_out")
    }


def test_another_level_does_not_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The header's level against the header's metric."""
    level_on = {"metric": "error_rate", "split": "train"}
    status, run = run_of(tmp_path, spec_of(DIGITS, 0.2, level_on=level_on))
    assert status == 0
    path = tmp_path / "path.npz"
    assert main(["export", str(run.path), "--out", str(path), "--with-data"]) == 0
    assert main(["verify", str(path), "--grid", "21"]) == 0
    with np.load(path) as held:
        arrays = dict(held)
    header = json.loads(str(arrays["dss"]))
    assert header["level_on"] == level_on
    for change, status, words in (
        ({"level": 0.01}, 3, "DOES NOT HOLD: "),
        ({"level_on": {"metric": "loss", "split": "train"}}, 3, "DOES NOT HOLD: the file's prof"),
    ):
        np.savez(path, **arrays | {"dss": np.array(json.dumps(header | change))})
        capsys.readouterr()
        assert main(["verify", str(path), "--grid", "21"]) == status
        assert words in capsys.readouterr().out
    held_out = {"level_on": {"metric": "error_rate", "split": "held_out"}}
    np.savez(path, **arrays | {"dss": np.array(json.dumps(header | held_out))})
    refused(
        capsys,
        ["verify", str(path)],
        f"{path}: dss.level_on: the level is held against held-out samples, which the file does",
    )


def test_a_metric_that_the_problem_does_not_have_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, run = run_of(tmp_path, spec_of(POLYNOMIAL, 0.5))
    assert status == 0
    path = tmp_path / "path.npz"
    assert main(["export", str(run.path), "--out", str(path)]) == 0
    with np.load(path) as held:
        arrays = dict(held)
    header = json.loads(str(arrays["dss"])) | {"level_on": {"metric": "error_rate"}}
    np.savez(path, **arrays | {"dss": np.array(json.dumps(header))})
    capsys.readouterr()
    refused(capsys, ["verify", str(path)], f"{path}: dss.level_on.metric: is error_rate, but")


@pytest.mark.parametrize(
    ("metric", "split", "level"), [("perplexity", "held_out", 3.0), ("perplexity", "train", 2.5)]
)
def test_below_a_perplexity(
    metric: Any, split: Any, level: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on = LevelOn(metric=metric, split=split)
    level_on = on.model_dump(mode="json")
    status, run = run_of(tmp_path, spec_of(DIGITS, level, level_on=level_on, method="auto"))
    assert status == 0
    assert peak(run.path / "string.safetensors", partial(judged, on=on)) <= level
    assert main(["verify", str(run.path / "string.safetensors"), "--grid", "41"]) == 0
    assert f"highest {on.words}" in capsys.readouterr().out


def test_error_rates_of_one_hot_values_are_verified_from_the_data_carried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    level_on = {"metric": "error_rate", "split": "train"}
    tree = DIGITS | {"loss": "mse"}
    status, run = run_of(tmp_path, spec_of(tree, 0.3, level_on=level_on))
    assert status == 0
    path = tmp_path / "path.safetensors"
    assert main(["export", str(run.path), "--out", str(path), "--with-data"]) == 0
    assert main(["verify", str(path), "--grid", "11"]) == 0
    assert "HOLDS" in capsys.readouterr().out


def test_one_sample_more_or_less_is_rounding() -> None:
    """An error rate moves by whole samples: a file may differ by two of them."""
    from engine.run.verify import _tolerance

    on = LevelOn(metric="error_rate", split="held_out")
    level = 0.04
    assert 2 / 360 < _tolerance(problem_of(DIGITS, on), level, single=False) * level < 3 / 360
    of_loss = _tolerance(problem_of(DIGITS, LevelOn()), level, single=False)
    assert of_loss == TOLERANCE["float64"]


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("problem", "level", "on", "words"),
    [
        (
            POLYNOMIAL | {"data": {"kind": "points", "x": [[0.0]], "y": [[1.0]]}},
            0.1,
            {"split": "held_out"},
            "search.level_on.split: is held_out, but the data hold nothing out; choose train",
        ),
        (
            POLYNOMIAL,
            0.1,
            {"metric": "error_rate"},
            "search.level_on.metric: is error_rate, but y holds no classes, or the network gives "
            "no score for each; choose loss",
        ),
        (
            POLYNOMIAL,
            3.0,
            {"metric": "perplexity"},
            "search.level_on.metric: is perplexity, which is that of a cross_entropy; choose loss",
        ),
        (
            DIGITS | {"loss": "mse"},
            3.0,
            {"metric": "perplexity", "split": "held_out"},
            "search.level_on.metric: is perplexity, which is that of a cross_entropy; choose loss",
        ),
        (
            DIGITS,
            2.0,
            {"metric": "error_rate"},
            "search.level: is 2, but an error rate is a share: 0.02 is 2 %",
        ),
        (DIGITS, 0.1, {"metric": "accuracy"}, 'search.level_on.metric: is "accuracy"; choose from'),
        (DIGITS, 0.1, {"split": "test"}, 'search.level_on.split: is "test"; choose from held_out'),
    ],
)
def test_what_cannot_be_judged_is_refused(
    problem: dict[str, Any],
    level: float,
    on: dict[str, str],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    preset = tmp_path / "preset.yaml"
    preset.write_text(json.dumps({"problem": problem, "search": {"level": level, "level_on": on}}))
    line = refused(capsys, ["run", str(preset), "--headless"])
    assert line.startswith(f"dss-tui: {preset}: {words}")
    assert not (tmp_path / "runs").exists()
