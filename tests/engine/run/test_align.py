"""Checkpoints aligned: their own names and precision, statistics, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from engine.errors import InputError
from engine.problem.copies import drawn
from engine.run.align import align
from engine.spec.keys import Spec
from engine.spec.yaml_file import parse
from tests.support import unit_zoo

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
