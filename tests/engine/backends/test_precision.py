"""The precision of steps: TF32 in phases of the whole process, bfloat16 by autocast."""

from __future__ import annotations

import warnings
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine.backends import precision
from engine.backends.in_place import InPlaceBackend
from engine.backends.precision import Phases, use_tf32
from engine.problem.problem import Problem, build_problem
from engine.spec.keys import Precision
from engine.spec.problem import ProblemSpec
from engine.spec.training import Training
from engine.spec.validation import validated
from engine.steps.practice import PLAIN, Practice
from engine.steps.recipe import Recipe
from engine.steps.rows import Rows
from engine.training.trainer import Job, Trainer
from tests.support.gpus import gpus_for_a_test
from tests.support.landscapes import spec_for
from tests.support.workers import Here, vmapped

if not hasattr(torch.backends.cudnn, "conv"):
    pytest.skip("this torch has one switch for all", allow_module_level=True)

SWITCHES: list[Any] = [
    torch.backends.cuda.matmul,
    torch.backends.cudnn.conv,
    torch.backends.cudnn.rnn,
]
TEXTS = {
    "data": {"kind": "custom", "factory": "tests.engine.run.choosing.test_backend:texts"},
    "network": {"kind": "lstm", "vocabulary": 7, "embedding": 3, "hidden": 4},
    "loss": "cross_entropy",
}
IMAGES = {
    "data": {"kind": "digits"},
    "network": {
        "kind": "cnn",
        "input": [1, 8, 8],
        "outputs": 10,
        "layers": [{"kind": "conv", "channels": 4}, {"kind": "dense", "units": 6}],
    },
    "loss": "cross_entropy",
}


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Restores torch's switches, and begins with threads that compute nothing."""
    monkeypatch.setattr(precision, "PHASES", Phases())
    switches: list[Any] = [*SWITCHES, torch.backends]
    before = [switch.fp32_precision for switch in switches]
    yield
    for switch, value in zip(switches, before, strict=True):
        switch.fp32_precision = value


def tf32() -> list[str]:
    """The precision that each library computes with."""
    return [switch.fp32_precision for switch in SWITCHES]


def test_the_switches_of_all_libraries_are_set_whatever_the_general_one_says() -> None:
    torch.backends.fp32_precision = "tf32"  # type: ignore[attr-defined]
    use_tf32(False)
    assert tf32() == ["ieee"] * 3
    torch.backends.fp32_precision = "ieee"  # type: ignore[attr-defined]
    use_tf32(True)
    assert tf32() == ["tf32"] * 3


def test_older_switches_that_users_code_sets_change_nothing_and_nobody_warns() -> None:
    """torch raises where both kinds are mixed and the older ones are read (pytorch/pytorch 179445,
    and pull request 189955), so they are never read; and it warns where they are set since 2.9."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for on, word in ((False, "ieee"), (True, "tf32"), (False, "ieee")):
            use_tf32(on)
            assert tf32() == [word] * 3


def test_an_older_torch_has_two_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    older = SimpleNamespace(
        cuda=SimpleNamespace(matmul=SimpleNamespace(allow_tf32=True)),
        cudnn=SimpleNamespace(allow_tf32=True),
    )
    monkeypatch.setattr(torch, "backends", older)
    use_tf32(False)
    assert (older.cuda.matmul.allow_tf32, older.cudnn.allow_tf32) == (False, False)
    use_tf32(True)
    assert (older.cuda.matmul.allow_tf32, older.cudnn.allow_tf32) == (True, True)


def test_threads_of_another_precision_wait() -> None:
    phases, inside, leave, seen = Phases(), Event(), Event(), list[list[str]]()

    def steps() -> None:
        with phases.phase(tf32=True):
            inside.set()
            leave.wait(30)
            seen.append(tf32())

    def measures() -> None:
        with phases.phase(tf32=False):
            seen.append(tf32())

    threads = [Thread(target=steps), Thread(target=measures)]
    threads[0].start()
    assert inside.wait(30)
    threads[1].start()
    with phases.phase(tf32=True):  # the same precision does not wait
        assert tf32() == ["tf32"] * 3 and not seen
    leave.set()
    for thread in threads:
        thread.join(30)
    assert seen == [["tf32"] * 3, ["ieee"] * 3]


def test_steps_take_tf32_and_measurements_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the switches say when the network is called, within a round on a GPU."""
    with gpus_for_a_test(1) as gpus:
        problem = build_problem(spec_for(0.1).problem).to(gpus.devices[0])
        backend, said = vmapped(problem), set[tuple[bool, str]]()
        together = backend._models

        def noting(theta: Any, mode: Any, *others: Any, **more: Any) -> Any:
            models = together(theta, mode, *others, **more)
            whole = models.each, models.loss_and_grad
            for name, call in zip(("each", "loss_and_grad"), whole, strict=True):

                def noted(*args: Any, call: Any = call, name: str = name, **keys: Any) -> Any:
                    said.add((name == "each", tf32()[0]))
                    return call(*args, **keys)

                object.__setattr__(models, name, noted)
            return models

        monkeypatch.setattr(backend, "_models", noting)
        training = Training(check_every=2)
        trainer = Trainer(Recipe(training, precision="tf32"), Here(backend))
        for seed in range(3):
            trainer.admit(Job(seed + 1, 1e-9, seed), problem.initial(seed))
        trainer.advance()
        gpus.check()
    assert said == {(True, "ieee"), (False, "tf32")}


@pytest.mark.parametrize("tree", [IMAGES, TEXTS], ids=["cnn", "lstm"])
@pytest.mark.parametrize("way", [vmapped, InPlaceBackend])
@pytest.mark.parametrize("on_all", [True, False])
def test_bf16_steps_are_near_those_of_float32(tree: Any, way: Any, on_all: bool) -> None:
    problem = _few(build_problem(validated(ProblemSpec, tree)))
    backend = way(problem)
    theta = torch.stack([problem.initial(seed) for seed in range(9)])
    batches = None if on_all else torch.arange(20).expand(9, -1)
    loss, grad = backend.practised(theta, batches, PLAIN)
    rough, slope = backend.practised(theta, batches, Practice(precision="bf16"))
    assert rough.dtype == slope.dtype == torch.float32
    assert not torch.equal(rough, loss)
    torch.testing.assert_close(rough, loss, rtol=0.02, atol=1e-3)
    assert float((slope - grad).norm() / grad.norm()) < 0.1


def _few(problem: Problem) -> Problem:
    """The problem with few samples."""
    return problem.cut("train", 20)


@pytest.mark.parametrize("batch_size", ["full", 8])
def test_rows_in_bf16_are_judged_in_float32(batch_size: int | str) -> None:
    problem = _few(build_problem(validated(ProblemSpec, IMAGES)))
    backend = vmapped(problem)
    training = validated(Training, {"batch_size": batch_size, "check_every": 3})
    ends: dict[str, Rows] = {}
    names: tuple[Precision, ...] = ("float32", "bf16")
    for name in names:
        recipe = Recipe(training, precision=name)
        assert recipe.sees_objective(problem) == (name == "float32" and batch_size == "full")
        trainer = Trainer(recipe, Here(backend))
        trainer.admit(Job(1, 1e-9, 5), problem.initial(1))
        trainer.advance()
        before = trainer.rows[0].theta[None]
        trainer.advance()
        ends[name] = trainer.groups[0].rows
        if name == "bf16":
            assert trainer.rows[0].loss == float(backend.objective(before))
    assert ends["bf16"].theta.dtype == torch.float32
    one, other = (ends[name].theta for name in ("float32", "bf16"))
    assert not torch.equal(one, other)
    moved = float((one - problem.initial(1)).norm())
    assert float((one - other).norm()) < 0.5 * moved
