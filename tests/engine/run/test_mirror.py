"""The mirror: a user's own code is measured as plain torch does, or refused."""

from __future__ import annotations

import importlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import Dataset

from dss_tui.cli import main
from engine.errors import InputError
from engine.problem.copies import FIXED_SEED
from engine.problem.problem import Problem, build_problem
from engine.record.string_file import read
from engine.run import mirror
from engine.run.prepare import prepare
from engine.spec.keys import Spec
from engine.spec.validation import validated
from engine.spec.yaml_file import load
from tests.support import mirror_cases
from tests.support.mirror_cases import CASES, OWN, REFUSED, RIGHT, Case, problem_tree
from tests.support.more import more


def spec_of(case: Case, **keys: Any) -> Spec:
    adam = {"optimizer": {"kind": "adam", "lr": 0.02}, "max_steps": 500}
    search = {"level": 1.0, "greedy": adam, "batching": case.batching}
    tree = {"problem": problem_tree(case), "search": search}
    return validated(Spec, tree | {"endpoints": adam, "device": "cpu", "workers": 1} | keys)


def cases(becomes: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "case", [case for case in CASES if case.becomes == becomes], ids=lambda case: case.name
    )


@cases(REFUSED)
def test_what_cannot_be_measured_is_refused(case: Case) -> None:
    with pytest.raises(InputError) as refusal:
        prepare(spec_of(case))
    assert str(refusal.value).startswith("problem.")


@cases(RIGHT)
@pytest.mark.parametrize("together", [True, more(False)])
def test_what_is_accepted_is_measured_as_plain_torch_does(case: Case, together: bool) -> None:
    """Many in one call, where torch has batching rules for it, or one model after another."""
    together = together and case.batches
    backend = prepare(spec_of(replace(case, batching="vmap") if together else case)).backend
    problem = backend.problem
    theta = torch.stack([problem.initial(seed) for seed in range(9)])
    theta += 0.2 * torch.randn(theta.shape, generator=torch.Generator().manual_seed(7))
    for found in (backend.losses(theta), torch.cat([backend.losses(row[None]) for row in theta])):
        for row, loss in zip(theta, found.tolist(), strict=True):
            assert loss == pytest.approx(truth(case, problem, row), rel=2e-4)


def test_a_refusal_names_both_numbers_and_what_to_look_at() -> None:
    case = Case("shared memory", REFUSED, network="SharedMemory")
    with pytest.raises(InputError) as refusal:
        prepare(spec_of(case))
    said = re.fullmatch(
        r"problem\.network: a fresh module does not do what was measured: the training loss of "
        r"random weights, moved a little, is (\S+) by the engine and (\S+) by plain torch; look at "
        r"parameters that share memory without being one .*",
        str(refusal.value),
    )
    assert said is not None
    engine, plain = map(float, said.groups())
    assert abs(engine - plain) > 0.01


# ---------------------------------------------------------------- whole runs


def preset(folder: Path, case: Case, **search: Any) -> Path:
    tree = spec_of(case).model_dump(mode="json")
    tree["search"] |= search
    path = folder / "own.yaml"
    path.write_text(json.dumps(tree))
    return path


def last(run: Path) -> dict[str, Any]:
    line = (run / "events.jsonl").read_text().splitlines()[-1]
    return json.loads(line)  # type: ignore[no-any-return]


def test_a_run_whose_network_changes_on_the_way_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long after the look before training; the zeros that it gives then are below the level."""
    monkeypatch.setattr(mirror_cases.Ageing, "calls_left", 20)
    case = Case("ageing", REFUSED, network="Ageing")
    own = preset(tmp_path, case, level=20.0)
    assert main(["run", str(own), "--headless", "--out", str(tmp_path / "run")]) == 1
    said = last(tmp_path / "run")
    assert said["outcome"] == "failed"
    assert re.match(
        r"Failed: a fresh module does not do what was measured: the training loss .* of \d+ is \S+ "
        r"by the engine and \S+ by plain torch; look at ",
        said["sentence"],
    )


def test_a_headless_run_looks_once_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And writes down what was decided then."""
    own = preset(tmp_path, Case("switched", RIGHT, network="Switched"), level=15.0, batching="auto")
    looked: list[int] = []
    inner = mirror.of_random_models

    def counted(*arguments: Any) -> mirror.Report:
        looked.append(1)
        return inner(*arguments)

    monkeypatch.setattr(mirror, "of_random_models", counted)
    assert main(["run", str(own), "--headless", "--out", str(tmp_path / "run")]) == 0
    assert looked == [1]
    kept = load(tmp_path / "run" / "run.yaml")
    assert kept.search.batching in ("vmap", "loop")
    assert kept == prepare(load(own).of_a_new_run()).spec


def test_verify_holds_the_path_against_plain_torch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a network that connected, and of the same that is not the same in a fresh module."""
    own = preset(tmp_path, Case("switched", RIGHT, network="Switched"), level=15.0)
    run = tmp_path / "run"
    assert main(["run", str(own), "--headless", "--out", str(run)]) == 0
    command = ["verify", str(run / "string.safetensors"), "--run-factories", "--grid", "9"]
    capsys.readouterr()
    assert main([*command, "--json"]) == 0
    looks = json.loads(capsys.readouterr().out)["mirror"]["comparisons"]
    beads = len(read(run / "string.safetensors").string.beads)
    assert len(looks) == min(beads, 10) + min(beads - 1, 10)
    assert looks[0]["what"] == f"the training loss of bead 1 of {beads}"
    problem = build_problem(spec_of(Case("switched", RIGHT, network="Switched")).problem)
    bead = torch.from_numpy(read(run / "string.safetensors").string.beads[0])
    expected = truth(Case("switched", RIGHT, network="Switched"), problem, bead)
    assert looks[0]["engine"] == pytest.approx(expected) == looks[0]["torch"]
    assert main(command) == 0

    made = mirror_cases.Switched.__init__

    def drawn_anew(self: mirror_cases.Switched) -> None:
        made(self)
        self.factor = 1.0 + 0.1 * (torch.initial_seed() != FIXED_SEED)

    monkeypatch.setattr(mirror_cases.Switched, "__init__", drawn_anew)
    capsys.readouterr()
    assert main(command) == 3
    assert re.search(
        r"^DOES NOT HOLD: a fresh module does not do what was measured: .* plain torch; look at ",
        capsys.readouterr().out,
        re.M,
    )


# ---------------------------------------------------------------- the truth


def truth(case: Case, problem: Problem, theta: Tensor) -> float:
    """Of the module that the factory returns, in double precision, without the engine."""
    factories = importlib.import_module(mirror_cases.__name__)
    torch.manual_seed(0)  # as the engine draws buffers
    module: nn.Module = getattr(factories, case.network)()
    module._apply(lambda each: each if each.is_complex() else each.double())  # type: ignore[no-untyped-call]
    nn.utils.vector_to_parameters(theta.double(), module.parameters())
    returned = getattr(factories, case.data)()
    x, y = map(torch.as_tensor, returned[:] if isinstance(returned, Dataset) else returned)
    x = x.double()
    losses: dict[str, Any] = {
        "mse": lambda output, y: (output.flatten() - y.flatten()).square().view(len(y), -1).sum(1),
        "cross_entropy": lambda output, y: functional.cross_entropy(output, y, reduction="none"),
    }
    loss = losses.get(case.loss) or getattr(factories, case.loss.removeprefix(OWN))()
    asked = dict(case.batch_norm)
    norms = [layer for layer in module.eval().modules() if isinstance(layer, _BatchNorm)]
    with torch.no_grad():
        if asked.get("statistics") == "batch":
            for norm in norms:
                norm.train()
            size = asked["samples"]
            parts = zip(torch.split(x, size), torch.split(y, size), strict=True)
            return torch.cat([loss(module(a), b) for a, b in parts]).mean().item()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        if norms:
            count, order = asked.get("samples", len(x)), torch.arange(len(x))
            if "seed" in asked:
                seeded = torch.Generator().manual_seed(asked["seed"])
                order = torch.randperm(len(x), generator=seeded)
            module(x[order[:count]])
        return loss(module.eval()(x), y).mean().item()  # type: ignore[no-any-return]
