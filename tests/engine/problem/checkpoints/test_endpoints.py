"""Two models trained elsewhere, in files, as the ends of a string."""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from dss_tui.cli import main
from engine.errors import InputError
from engine.problem.checkpoints.endpoints import read_model, with_fixed_of
from engine.problem.problem import Problem, build_problem
from engine.record.records import finished, read_records
from engine.record.rundir import RunDir
from engine.record.string_file import read
from engine.spec.problem import ProblemSpec
from engine.spec.training import Endpoints
from engine.spec.validation import validated
from tests.support import kinds_parts, mirror_cases
from tests.support.commands import refused
from tests.support.workers import vmapped

HERE = __name__
LEVEL = 0.2

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")

# ---------------------------------------------------------------- a user's file


class Model(nn.Module):
    """With batch normalization, tied weights and a buffer that never changes."""

    shift: Tensor

    def __init__(self, shift: float = 0.25) -> None:
        super().__init__()
        self.first = nn.Linear(2, 6)
        self.norm = nn.BatchNorm1d(6)
        self.middle = nn.Linear(6, 6)
        self.again = nn.Linear(6, 6)
        self.again.weight = self.middle.weight
        self.last = nn.Linear(6, 2)
        self.register_buffer("shift", torch.tensor(shift))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.norm(self.first(x + self.shift)))
        x = torch.tanh(self.again(torch.tanh(self.middle(x))))
        return self.last(x)  # type: ignore[no-any-return]


class Plain(nn.Module):
    """Has an inner module of the name that data-parallel models put before every name."""

    def __init__(self) -> None:
        super().__init__()
        self.module = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x)  # type: ignore[no-any-return]


def data() -> tuple[Tensor, ...]:
    """Two noisy half-moons, drawn once; as many are held out."""
    random = torch.Generator().manual_seed(5)

    def split() -> tuple[Tensor, Tensor]:
        label = torch.arange(60) % 2
        angle = torch.pi * (torch.rand(60, generator=random) + label)
        x = torch.stack([angle.cos() + label - 0.5, angle.sin() + 0.5 * label - 0.25], 1)
        return x + 0.05 * torch.randn(60, 2, generator=random), label

    return *split(), *split()


# ---------------------------------------------------------------- helpers


@pytest.fixture(autouse=True)
def paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def problem_tree(network: str = "Model") -> dict[str, Any]:
    return {
        "data": {"kind": "custom", "factory": f"{HERE}:data"},
        "network": {"kind": "custom", "factory": f"{HERE}:{network}"},
        "loss": "cross_entropy",
    }


@pytest.fixture(scope="module")
def problem() -> Problem:
    return build_problem(validated(ProblemSpec, problem_tree()))


def trained(seed: int, steps: int = 300, make: Callable[[], nn.Module] = Model) -> nn.Module:
    """Somewhere else, by somebody else."""
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = make()
    x, y, *_ = data()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model


@pytest.fixture(scope="module")
def models() -> list[nn.Module]:
    return [trained(1), trained(2)]


def flat(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def save(path: Path, held: Any) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(held, path)
    else:
        torch.save(held, path)
    return path


def untied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in state.items()}


def preset(
    folder: Path, a: Path | str, b: Path | str, *, network: str = "Model", **search: Any
) -> str:
    adam = {"optimizer": {"kind": "adam", "lr": 0.02}, "max_steps": 2000}
    tree = {
        "problem": problem_tree(network),
        "endpoints": {"kind": "files", "a": str(a), "b": str(b)} | adam,
        "search": {"level": LEVEL, "greedy": adam, "constrained": adam, "batching": "vmap"}
        | search,
        "limits": {"beads": 60},
        "device": "cpu",
        "workers": 1,
    }
    path = folder / "files.yaml"
    path.write_text(json.dumps(tree))
    return str(path)


def refusal(path: Path, problem: Problem) -> str:
    with pytest.raises(InputError) as error:
        read_model(str(path), "endpoints.b", problem)
    message = str(error.value)
    assert message.startswith(f"{path}: endpoints.b: ")
    return message.removeprefix(f"{path}: endpoints.b: ")


# ---------------------------------------------------------------- forms of files


class Settings(dict[str, Any]):
    """Stands for the class of a framework that the reader need not have."""


def changed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n: t + 1 if t.is_floating_point() else t for n, t in state.items()}


def forms(model: nn.Module) -> dict[str, Any]:
    state = model.state_dict()
    weights = dict(model.named_parameters())
    return {
        "state.pt": state,
        "state.pth": state,
        "parameters.pt": {name: p.detach() for name, p in weights.items()},
        "state_dict.pt": {"epoch": 7, "state_dict": state, "lr": [0.1, 0.2]},
        "model_state_dict.pt": {"model_state_dict": state, "optimizer": {"state": {}}},
        "model.pth": {"model": state},
        "parallel.pt": {f"module.{name}": tensor for name, tensor in state.items()},
        "compiled.pt": {f"_orig_mod.{name}": tensor for name, tensor in state.items()},
        "compiled-parallel.pt": {f"_orig_mod.module.{name}": t for name, t in state.items()},
        "lightning.ckpt": {
            "state_dict": {f"model.{name}": tensor for name, tensor in state.items()}
            | {"criterion.weight": torch.ones(2)},
            "hyper_parameters": Settings({"lr": 0.1}),
            "callbacks": {"best": {"score": torch.tensor(0.3)}},
            "pytorch-lightning_version": "2.4.0",
        },
        "swa.pt": AveragedModel(model).state_dict(),
        "timm.pth.tar": {"epoch": 3, "arch": "model", "state_dict": state, "args": Settings({})},
        "half-way.pt": {"model": {"state_dict": state}, "state_dict_ema": changed(state)},
        "fp16.bin": {n: t.half() if n == "first.bias" else t for n, t in state.items()},
        "extra.pt": state | {"_extra_state": {"scale": 2.0}},
        "double.pt": {n: t.double() if t.is_floating_point() else t for n, t in state.items()},
        "once.pt": {name: tensor for name, tensor in state.items() if name != "again.weight"},
        "second-name.pt": {name: t for name, t in state.items() if name != "middle.weight"},
        "both-names.safetensors": untied(state),
        "no-statistics.safetensors": untied({name: p.detach() for name, p in weights.items()}),
    }


@pytest.mark.parametrize("name", list(forms(Model())))
def test_weights_are_read_as_they_are(
    name: str, problem: Problem, models: list[nn.Module], tmp_path: Path
) -> None:
    model = models[0]
    path = save(tmp_path / name, forms(model)[name])
    theta = read_model(str(path), "endpoints.a", problem).theta
    assert theta.dtype == torch.float32
    torch.testing.assert_close(theta, flat(model), rtol=0, atol=2e-4 if "fp16" in name else 0)
    for parameter in problem.parameters:
        whole = dict(model.named_parameters())[parameter.name]
        if parameter.name != "first.bias":
            assert torch.equal(problem.named(theta[None])[parameter.name][0], whole)


def test_hooks_of_the_network_are_called_when_it_is_loaded(tmp_path: Path) -> None:
    """Its own, and those by which torch reads the names of the old weight_norm."""
    tree = problem_tree()
    tree |= {"data": {"kind": "custom", "factory": "tests.support.mirror_cases:values"}}
    tree |= {"loss": "mse"}
    x, y = mirror_cases.values()
    for made, written in (
        ("ScaledOnLoading", mirror_cases.ScaledOnLoading),
        ("weight_norm", kinds_parts.old_weight_norm),
    ):
        tree["network"] = {"kind": "custom", "factory": f"{mirror_cases.__name__}:{made}"}
        problem = build_problem(validated(ProblemSpec, tree))
        path = save(tmp_path / f"{made}.pt", written().state_dict())
        theta = read_model(str(path), "endpoints.a", problem).theta
        module = getattr(mirror_cases, made)()
        module.load_state_dict(torch.load(path))
        right = (module(x) - y).square().sum(1).mean().item()
        assert vmapped(problem).losses(theta[None]).item() == pytest.approx(right, rel=1e-5)


def test_save_model_of_safetensors(
    problem: Problem, models: list[nn.Module], tmp_path: Path
) -> None:
    path = tmp_path / "saved.safetensors"
    safetensors.torch.save_model(models[1], str(path))
    assert torch.equal(read_model(str(path), "endpoints.a", problem).theta, flat(models[1]))


def test_a_network_s_own_module_is_no_prefix(tmp_path: Path) -> None:
    problem = build_problem(validated(ProblemSpec, problem_tree("Plain")))
    model = Plain()
    for name, state in (
        ("own.pt", model.state_dict()),
        ("parallel.pt", {f"module.{key}": part for key, part in model.state_dict().items()}),
    ):
        path = save(tmp_path / name, state)
        assert torch.equal(read_model(str(path), "endpoints.a", problem).theta, flat(model))


def test_files_lie_beside_the_current_folder_or_under_the_data_folder(
    problem: Problem,
    models: list[nn.Module],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    save(tmp_path / "here" / "a.pt", models[0].state_dict())
    save(tmp_path / "there" / "b.pt", models[1].state_dict())
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("DSS_TUI_DATA", str(tmp_path / "there"))
    assert torch.equal(read_model("a.pt", "endpoints.a", problem).theta, flat(models[0]))
    assert torch.equal(read_model("b.pt", "endpoints.b", problem).theta, flat(models[1]))


# ---------------------------------------------------------------- refused


def test_the_first_mismatch_is_named(
    problem: Problem, models: list[nn.Module], tmp_path: Path
) -> None:
    state = dict(models[0].state_dict())
    other = {**state, "first.weight": torch.zeros(6, 3), "last.bias": torch.zeros(3)}
    said = refusal(save(tmp_path / "shapes.pt", other), problem)
    assert said == (
        "first.weight has shape (6, 3), but the network's has (6, 2); give the network that it "
        "was trained with"
    )
    less = {name: tensor for name, tensor in state.items() if not name.startswith("norm.")}
    said = refusal(save(tmp_path / "less.pt", less), problem)
    assert said == (
        "has no norm.weight (6,) and norm.bias (6,); give the network that it was trained with"
    )
    more = state | {"head.weight": torch.zeros(4, 6), "head.bias": torch.zeros(4)}
    said = refusal(save(tmp_path / "more.pt", more), problem)
    assert said == (
        "holds head.weight (4, 6) and head.bias (4,), which the network does not have; give the "
        "network that it was trained with"
    )
    called = {name.replace("last.", "final."): tensor for name, tensor in state.items()}
    said = refusal(save(tmp_path / "called.pt", called), problem)
    assert said == (
        "has no last.weight (2, 6) and last.bias (2,) and holds final.weight (2, 6) and final.bias "
        "(2,), which the network does not have; is last.weight called final.weight there?; give "
        "the network that it was trained with"
    )


def test_tied_weights_that_differ_are_refused(
    problem: Problem, models: list[nn.Module], tmp_path: Path
) -> None:
    state = untied(dict(models[0].state_dict()))
    state["again.weight"] += 1
    said = refusal(save(tmp_path / "untied.pt", state), problem)
    assert said == (
        "again.weight and middle.weight differ, but the network ties them; save the tied model"
    )


def test_a_buffer_is_that_of_the_files_where_they_agree_in_it(
    models: list[nn.Module], tmp_path: Path
) -> None:
    """Statistics of batch normalization are estimated anew, and counters count for nothing."""
    problem = build_problem(validated(ProblemSpec, problem_tree()))
    for number, model in enumerate(models):
        state = dict(model.state_dict())
        state["shift"] = torch.tensor(0.5 + 1e-7 * number)
        state["norm.num_batches_tracked"] = torch.tensor(number)
        save(tmp_path / f"{number}.pt", state)
    spec = Endpoints(kind="files", a=str(tmp_path / "0.pt"), b=str(tmp_path / "1.pt"))
    found = with_fixed_of(spec, problem)
    assert found.fixed.keys() == {"shift"} and found.fixed["shift"] == 0.5
    assert problem.fixed["shift"] == 0.25  # is not touched
    theta = flat(models[0])
    module = Model(shift=0.5)
    nn.utils.vector_to_parameters(theta, module.parameters())
    module.eval()
    x, y, *_ = data()
    for norm in (module.norm,):
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        module(x)
        right = functional.cross_entropy(module.eval()(x), y).item()
    assert vmapped(found).losses(theta[None]).item() == pytest.approx(right, rel=1e-5)


def test_buffers_in_which_files_differ_are_carried_along_the_path(
    problem: Problem, models: list[nn.Module], tmp_path: Path
) -> None:
    for number, model in enumerate(models):
        state = dict(model.state_dict()) | {"shift": torch.tensor(float(number))}
        save(tmp_path / f"{number}.pt", state)
    spec = Endpoints(kind="files", a=str(tmp_path / "0.pt"), b=str(tmp_path / "1.pt"))
    found = with_fixed_of(spec, problem)
    assert found.carried is not None and not found.fixed
    assert torch.equal(found.carried.buffers["shift"], torch.tensor([0.0, 1.0]))
    ends = torch.stack([flat(model) for model in models])
    assert torch.equal(found.carried.at(ends)["shift"], torch.tensor([0.0, 1.0]))


def test_weights_that_are_not_finite_are_refused(
    problem: Problem, models: list[nn.Module], tmp_path: Path
) -> None:
    for name, value in (("nan.pt", torch.nan), ("inf.safetensors", -torch.inf)):
        state = untied(dict(models[0].state_dict()))
        state["last.weight"][0, 1] = value
        said = refusal(save(tmp_path / name, state), problem)
        assert said == "holds weights that are not finite; train it again"
    large = {name: tensor.double() for name, tensor in models[0].state_dict().items()}
    large["last.bias"] = torch.tensor([1e300, 0.0], dtype=torch.float64)
    assert "not finite" in refusal(save(tmp_path / "large.pt", large), problem)


class Evil:
    """Its pickle asks the reader to call a function."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def test_a_pickle_runs_no_code(problem: Problem, models: list[nn.Module], tmp_path: Path) -> None:
    """In torch's archive, in a bare pickle, and as a whole pickled model."""
    mark = tmp_path / "mark"
    archive = save(tmp_path / "evil.pt", dict(models[0].state_dict()) | {"x": Evil(mark)})
    bare = tmp_path / "bare.pth"
    bare.write_bytes(pickle.dumps({"first.weight": Evil(mark)}))
    whole = save(tmp_path / "whole.pt", models[0])
    inside = save(tmp_path / "inside.pt", {"model": models[0], "epoch": 3})
    assert torch.equal(read_model(str(archive), "endpoints.a", problem).theta, flat(models[0]))
    assert "is not a whole .pth file" in refusal(bare, problem)
    for path in (whole, inside):
        assert refusal(path, problem) == (
            "holds a pickled Model, whose code is not run; save it with "
            "torch.save(model.state_dict(), …)"
        )
    assert not mark.exists()
    torch.load(archive, weights_only=False)
    assert mark.exists()  # it would have run


@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
def test_a_file_that_is_cut_or_changed_is_refused(
    ending: str, problem: Problem, models: list[nn.Module], tmp_path: Path
) -> None:
    whole = save(tmp_path / f"whole{ending}", untied(dict(models[0].state_dict()))).read_bytes()
    path = tmp_path / f"cut{ending}"
    for size in (0, 1, 7, 100, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:size])
        said = refusal(path, problem)
        assert "is not a whole" in said or "or is damaged" in said
    random = np.random.default_rng(3)
    for _ in range(60):
        changed = bytearray(whole)
        for place in random.integers(0, min(len(whole), 600), 4):
            changed[place] = random.integers(0, 256)
        path.write_bytes(changed)
        try:
            read_model(str(path), "endpoints.b", problem)
        except InputError as error:
            assert str(error).startswith(f"{path}: endpoints.b: ")


def test_what_is_no_file_of_tensors_is_refused(problem: Problem, tmp_path: Path) -> None:
    assert refusal(save(tmp_path / "list.pt", [torch.zeros(2)]), problem) == (
        "holds list, not tensors by name; save model.state_dict()"
    )
    assert "holds nothing; save" in refusal(save(tmp_path / "none.pt", {}), problem)
    numbers = save(tmp_path / "numbers.pt", {"first.weight": 3})
    assert "holds dict of first.weight, not tensors by name" in refusal(numbers, problem)
    text = tmp_path / "weights.onnx"
    text.write_text("weights")
    assert refusal(text, problem) == (
        "ends in '.onnx'; give a file that ends in .pt, .pth, .ckpt, .bin, .tar, .th, "
        ".safetensors, or a folder with model.safetensors"
    )


def test_torchscript_is_refused_in_words(
    problem: Problem, models: list[nn.Module], tmp_path: Path
) -> None:
    path = tmp_path / "script.pt"
    torch.jit.trace(models[0].eval(), torch.zeros(3, 2)).save(str(path))  # type: ignore[no-untyped-call]
    assert refusal(path, problem) == (
        "is a TorchScript archive, which holds code; save it with torch.save(model.state_dict(), …)"
    )


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (lambda t: t.to(torch.int8), "int8"),
        (lambda t: t.to(torch.complex64), "complex64"),
        (lambda t: t.to_sparse(), "sparse"),
    ],
    ids=["int8", "complex", "sparse"],
)
def test_weights_that_are_no_real_floats_are_refused(
    made: Callable[[Tensor], Tensor],
    kind: str,
    problem: Problem,
    models: list[nn.Module],
    tmp_path: Path,
) -> None:
    state = dict(models[0].state_dict())
    state["last.weight"] = made(state["last.weight"])
    assert refusal(save(tmp_path / "odd.pt", state), problem) == (
        f"last.weight holds {kind} numbers; save the model with plain floating-point weights"
    )


def test_the_same_model_twice_is_refused(
    models: list[nn.Module], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(tmp_path / "one.pt", models[0].state_dict())
    copy = save(tmp_path / "copy.pt", {"model": models[0].state_dict()})
    message = refused(capsys, ["run", preset(tmp_path, path, copy), "--headless"])
    assert message.endswith(
        f"{copy}: endpoints.b: is the same model as {path}, so that there is no path to find; "
        "give another"
    )


def test_mistakes_end_a_command_in_one_line(
    models: list[nn.Module], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is written; the file and the key are named."""
    a = save(tmp_path / "a.pt", models[0].state_dict())
    wide = save(tmp_path / "wide.pt", {**models[1].state_dict(), "last.bias": torch.zeros(3)})
    missing = tmp_path / "none.pt"
    run = ["run", preset(tmp_path, a, missing), "--headless"]
    line = refused(capsys, run, f"no such file: {missing}", "correct endpoints.b")
    assert line.startswith(f"dss-tui: {missing}: endpoints.b: ")
    run = ["run", preset(tmp_path, wide, a), "--headless"]
    line = refused(capsys, run, "last.bias has shape (3,), but the network's has (2,)")
    assert line.startswith(f"dss-tui: {wide}: endpoints.a: ")
    refused(capsys, [*run, "--set", "endpoints.a=null"], "kind: files needs both files, a and b")
    refused(capsys, [*run, "--set", "endpoints.kind=random"], "the other kinds have none")
    assert not (tmp_path / "runs").exists()


# ---------------------------------------------------------------- searches


@pytest.fixture
def files(tmp_path: Path, models: list[nn.Module]) -> list[Path]:
    return [
        save(tmp_path / "a.pt", models[0].state_dict()),
        save(tmp_path / "b.safetensors", untied(dict(models[1].state_dict()))),
    ]


@pytest.mark.parametrize("method", ["greedy", "constrained", "auto"])
def test_every_method_starts_from_files_and_leaves_the_ends_as_they_are(
    method: str, files: list[Path], models: list[nn.Module], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shortening: dict[str, Any] = {"shorten": True, "shortening": {"sweeps": 5, "doublings": 0}}
    more = shortening if method == "auto" else {}
    path = preset(tmp_path, *files, method=method, **more)
    assert main(["run", path, "--headless", "--out", str(run)]) == 0
    string = read(run / "string.safetensors").string
    assert len(string.beads) > 2
    assert string.beads[0].tobytes() == flat(models[0]).numpy().tobytes()
    assert string.beads[-1].tobytes() == flat(models[1]).numpy().tobytes()
    assert string.profiles.max() <= LEVEL
    kept = (run / "run.yaml").read_text()
    assert all(str(file) in kept for file in files)


@pytest.mark.parametrize("method", ["greedy", "constrained", "auto"])
def test_models_above_the_level_are_not_trained(
    method: str, files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No path can end in them; nothing of them is changed."""
    bad = save(tmp_path / "bad.pt", trained(3, steps=0).state_dict())
    run = tmp_path / "run"
    path = preset(tmp_path, files[0], bad, method=method)
    assert main(["run", path, "--headless", "--out", str(run)]) == 3
    ended = finished(read_records(RunDir(run)))
    assert ended is not None and ended.outcome == "endpoint_not_trained"
    problem = build_problem(validated(ProblemSpec, problem_tree()))
    value = vmapped(problem).losses(read_model(str(bad), "endpoints.b", problem).theta[None]).item()
    assert value > LEVEL
    assert ended.sentence == (
        f"Above the level {LEVEL:g}: endpoint 2 ({bad}) has training loss {value:.4g}, normalized "
        "by statistics of all 60 training samples and not by those of the file; train it further "
        "or raise search.level."
    )
    assert ended.sentence in capsys.readouterr().out
    assert ended.totals.bead_steps == 0


def test_both_models_above_the_level_are_named(tmp_path: Path) -> None:
    bad = [save(tmp_path / f"{seed}.pt", trained(seed, steps=0).state_dict()) for seed in (3, 4)]
    path = preset(tmp_path, *bad, level_on={"metric": "error_rate", "split": "held_out"})
    assert main(["run", path, "--headless", "--out", str(tmp_path / "run")]) == 3
    ended = finished(read_records(RunDir(tmp_path / "run")))
    assert ended is not None
    for number, file in enumerate(bad, 1):
        assert f"endpoint {number} ({file}) has held-out error rate 0." in ended.sentence


@pytest.mark.parametrize("method", ["greedy", "constrained"])
def test_a_resumed_run_finds_the_same_string(
    method: str, files: list[Path], tmp_path: Path
) -> None:
    """Stopped by a limit on the way, then gone on with."""
    path = preset(tmp_path, *files, method=method)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert main(["run", path, "--headless", "--out", str(whole)]) == 0
    ended = finished(read_records(RunDir(whole)))
    assert ended is not None and ended.totals.bead_steps > 20
    steps = f"limits.steps={ended.totals.bead_steps // 2}"
    assert main(["run", path, "--headless", "--out", str(cut), "--set", steps]) == 3
    assert main(["resume", str(cut), "--headless", "--set", "limits.steps=null"]) == 0
    assert (cut / "string.safetensors").exists()
    one, other = (read(folder / "string.safetensors").string for folder in (whole, cut))
    assert one.beads.tobytes() == other.beads.tobytes()
    assert one.profiles.tobytes() == other.profiles.tobytes()
