"""Checkpoints aligned: their own names and precision, statistics, and what is refused."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors
import torch
from torch import Tensor, nn

import engine
from engine.errors import InputError
from engine.problem.copies import drawn
from engine.problem.problem import build_problem
from engine.record.string_file import write
from engine.run.align import align
from engine.run.ends import is_string
from engine.spec.keys import Spec
from engine.spec.parts import problem_of_parts
from engine.spec.yaml_file import parse
from tests.support import unit_zoo
from tests.support.damage import flip_in_tensors, without_checksums
from tests.support.pairs import string_of

Save = Callable[[str, int], tuple[Path, nn.Module]]


@pytest.fixture(scope="module")
def spec() -> Spec:
    return parse(unit_zoo.preset_of("resnet-bn"))


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes a checkpoint as a training script does, with statistics that it has seen."""

    def saved(name: str, seed: int) -> tuple[Path, nn.Module]:
        network = drawn(lambda: unit_zoo.made("resnet-bn"), seed).double()
        network(torch.randn(20, 1, 6, 6, dtype=torch.float64))
        state = {f"module.{key}": each for key, each in network.state_dict().items()}
        path = tmp_path / name
        torch.save({"epoch": 3, "state_dict": state}, path)
        return path, network.eval()

    return saved


def test_the_new_file_is_the_same_model_by_its_own_names(
    spec: Spec, save: Save, tmp_path: Path
) -> None:
    """In its own precision, with the running statistics that go with its channels."""
    (first, _), (second, network) = save("a.pt", 1), save("b.pt", 2)
    found = align(first, second, spec)
    assert found.aligned.moved > 0 and "relabelled by weights" in found.words
    x = torch.randn(5, 1, 6, 6, dtype=torch.float64)
    for ending in (".pt", ".safetensors"):
        out = tmp_path / f"out{ending}"
        found.write(out)
        state = _read(out)
        assert [*state] and {*state} == {f"module.{key}" for key in network.state_dict()}
        again = unit_zoo.made("resnet-bn").double().eval()
        again.load_state_dict({key.removeprefix("module."): each for key, each in state.items()})
        assert not torch.equal(
            again.state_dict()["1.running_var"], network.state_dict()["1.running_var"]
        )
        assert torch.allclose(again(x), network(x), rtol=1e-9)


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".pt":
        held: dict[str, Tensor] = torch.load(path, weights_only=True)
        return held
    from safetensors.torch import load_file

    return load_file(path)


def test_the_new_file_is_an_ordinary_checkpoint_with_checksums(
    spec: Spec, save: Save, tmp_path: Path
) -> None:
    """Of which tools of torch ask for the format, and a changed bit is seen."""
    (first, _), (second, _) = save("a.pt", 1), save("b.pt", 2)
    out = tmp_path / "out.safetensors"
    align(first, second, spec).write(out)
    with safetensors.safe_open(out, framework="pt") as file:
        assert file.metadata()["format"] == "pt"
    assert not is_string(out)
    again = align(first, out, spec)
    without_checksums(out)
    assert torch.equal(align(first, out, spec).aligned.theta, again.aligned.theta)
    again.write(out)
    flip_in_tensors(out)
    with pytest.raises(InputError, match="have changed since"):
        align(first, out, spec)


def test_numbers_that_the_format_lacks_are_refused(spec: Spec, save: Save, tmp_path: Path) -> None:
    (first, _), (second, _) = save("a.pt", 1), save("b.pt", 2)
    found = align(first, second, spec)
    for dtype in (torch.complex128, torch.float8_e4m3fn):
        odd = replace(found, state={**found.state, "odd": torch.zeros(2, dtype=dtype)})
        with pytest.raises(InputError, match="choose a name that ends in"):
            odd.write(tmp_path / "out.safetensors")
        odd.write(tmp_path / "out.pt")
        assert not (tmp_path / "out.safetensors").exists()


def test_a_permutation_is_applied_again(spec: Spec, save: Save, tmp_path: Path) -> None:
    (first, _), (second, _) = save("a.pt", 1), save("b.pt", 2)
    found = align(first, second, spec, "activations")
    path = tmp_path / "perm.safetensors"
    found.write_permutation(path)
    again = align(first, second, spec, permutation=path)
    assert all(torch.equal(again.state[name], each) for name, each in found.state.items())


def test_what_cannot_be_done_is_refused(spec: Spec, save: Save, tmp_path: Path) -> None:
    (first, _), (second, _) = save("a.pt", 1), save("b.pt", 2)
    with pytest.raises(InputError, match="no such file"):
        align(first, tmp_path / "c.pt", spec)
    with pytest.raises(InputError, match=r"must end in \.safetensors or \.pt"):
        align(first, second, spec).write(tmp_path / "out.npz")
    with pytest.raises(InputError, match="decides by the values"):
        one, other = tmp_path / "d.pt", tmp_path / "e.pt"
        for seed, path in enumerate((one, other)):
            network = drawn(lambda: unit_zoo.made("deciding"), seed)
            torch.save(network.state_dict(), path)
        align(one, other, parse(unit_zoo.preset_of("deciding")))


def test_beads_of_a_string_are_aligned_without_a_preset(tmp_path: Path) -> None:
    """By the names of the network, so that the file is a checkpoint of it."""
    spec = engine.load_preset("quadratic", {"problem.data.points": 16})
    held = string_of(spec.problem, 3)
    write(held, tmp_path / "path.npz")
    shares: list[float] = []
    first, last = (f"{tmp_path / 'path.npz'}#{word}" for word in ("first", "last"))
    found = align(first, last, told=shares.append)
    assert found.name == last and shares == sorted(shares) and shares[-1] == 1.0
    whole, by_vector = align(held), align(held.string.beads[0], held.string.beads[-1], spec)
    for same in (whole, by_vector):
        assert torch.equal(same.aligned.theta, found.aligned.theta)
    found.write(tmp_path / "out.pt")
    state = torch.load(tmp_path / "out.pt", weights_only=True)
    problem = build_problem(spec.problem)
    network = problem.make_network()
    network.load_state_dict(state)
    assert torch.equal(problem.weights_of(network), found.aligned.theta)
    found.write_permutation(tmp_path / "order.safetensors")
    again = align(first, last, permutation=tmp_path / "order.safetensors")
    assert torch.equal(again.aligned.theta, found.aligned.theta)


def test_functions_that_a_string_names_run_only_where_they_may(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from torch import nn\n\n\ndef network():\n"
        "    return nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1))\n"
    )
    network = {"kind": "custom", "factory": f"{tmp_path / 'own.py'}:network"}
    more = {"problem.network": network, "problem.data.points": 16}
    held = string_of(engine.load_preset("quadratic", more).problem, 2)
    with pytest.raises(InputError, match="give --run-factories"):
        align(held)
    assert {*align(held, run_factories=True).state} == {
        *("0.weight", "0.bias", "2.weight", "2.bias")
    }


# ---------------------------------------------------------------- cases of public reports

REPORTED = """
import torch
from torch import nn


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 6)
        self.mlp = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 6))
        self.head = nn.Linear(6, 7, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x):
        return self.head(self.mlp(self.embed(x)).mean(1))


def tokens():
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 7, (60, 5), generator=draw), torch.arange(60) % 7
"""


@pytest.fixture
def reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], nn.Module]:
    """A network whose head is tied to its embedding, and a.pt of it in the current folder."""
    (tmp_path / "reported.py").write_text(REPORTED)
    monkeypatch.chdir(tmp_path)
    make: Callable[[], nn.Module] = runpy.run_path(str(tmp_path / "reported.py"))["Tied"]
    torch.save(drawn(make, 1).state_dict(), "a.pt")
    return make


def align_reported(second: dict[str, Tensor]) -> dict[str, Tensor]:
    """What becomes of a checkpoint beside a.pt."""
    torch.save(second, "b.pt")
    spec = problem_of_parts("reported.py:Tied", "reported.py:tokens", "cross_entropy")
    align("a.pt", "b.pt", spec).write("c.pt")
    return _read(Path("c.pt"))


def outputs(make: Callable[[], nn.Module], state: dict[str, Tensor]) -> Tensor:
    network = make()
    network.load_state_dict(state, strict=False)
    with torch.no_grad():
        found: Tensor = network(torch.arange(35).reshape(7, 5) % 7)
    return found


def test_weights_that_are_tied_may_be_saved_once_or_twice(
    reported: Callable[[], nn.Module],
) -> None:
    """Merging fails elsewhere where one file has a tied head and the other none (mergekit 464)."""
    state = dict(drawn(reported, 2).state_dict())
    twice = align_reported(state)
    assert torch.equal(twice["head.weight"], twice["embed.weight"])
    assert not torch.equal(twice["embed.weight"], state["embed.weight"])
    once = align_reported({name: each for name, each in state.items() if name != "head.weight"})
    assert [*once] == [name for name in state if name != "head.weight"]
    for found in (once, twice):
        assert torch.allclose(outputs(reported, found), outputs(reported, state), atol=1e-5)


def test_one_model_may_be_of_half_precision(reported: Callable[[], nn.Module]) -> None:
    """Weights not of a kind fail elsewhere (git-re-basin, issue 5). A file keeps its own."""
    state = {name: each.half() for name, each in drawn(reported, 2).state_dict().items()}
    found = align_reported(state)
    assert {each.dtype for each in found.values()} == {torch.float16}
    before, after = outputs(reported, state), outputs(reported, found)
    assert (before - after).abs().max() < 2e-3 * before.abs().max()
