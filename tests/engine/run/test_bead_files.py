"""The files of beads at rest: written once, named so that none is mistaken, and deleted in time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.errors import SaveError
from engine.path.chain_state import Bead
from engine.record.reading import Damaged
from engine.record.rundir import RunDir
from engine.run.bead_files import BeadFiles


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path)


def weights(value: float) -> Tensor:
    return torch.full((5,), float(value))


def listed(run: RunDir) -> list[str]:
    return sorted(path.name for path in run.beads.iterdir())


def saved(files: BeadFiles, *beads: Bead) -> set[str]:
    """Writes what a checkpoint of these beads does, and returns their names."""
    names = files.name(beads)
    new = {name: each for each, name in names.items() if name not in files.written}
    files.write(new)
    files.keep(names.values())
    return set(names.values())


def test_few_bytes_stay_in_the_checkpoint(run: RunDir) -> None:
    beads = [Bead(1, weights(1.0)), Bead(2, weights(2.0))]
    assert BeadFiles(run, apart=40).name(beads) == {}
    assert len(BeadFiles(run, apart=39).name(beads)) == 2


def test_a_bead_in_two_strings_counts_once(run: RunDir) -> None:
    bead = Bead(1, weights(1.0))
    assert BeadFiles(run, apart=20).name([bead, Bead(1, bead.weights)]) == {}


def test_a_bead_keeps_its_name_until_it_moves(run: RunDir) -> None:
    files, first, moved = BeadFiles(run, apart=0), weights(1.0), weights(2.0)
    assert saved(files, Bead(7, first)) == {"beads/7.1"}
    before = (run.beads / "7.1.safetensors").stat()
    assert saved(files, Bead(7, first)) == {"beads/7.1"}
    assert (run.beads / "7.1.safetensors").stat().st_mtime_ns == before.st_mtime_ns
    assert saved(files, Bead(7, moved)) == {"beads/7.2"}
    assert saved(files, Bead(7, moved), Bead(7, weights(3.0))) == {"beads/7.2", "beads/7.3"}


def test_what_neither_checkpoint_refers_to_is_deleted(run: RunDir) -> None:
    files = BeadFiles(run, apart=0)
    for value in range(4):
        saved(files, Bead(1, weights(0.0)), Bead(2, weights(value)))
    assert listed(run) == [
        "1.3.safetensors",
        "1.4.safetensors",
        "2.3.safetensors",
        "2.4.safetensors",
    ]


def test_beads_come_back_with_their_names_and_are_not_written_again(run: RunDir) -> None:
    saved(BeadFiles(run, apart=0), Bead(1, weights(1.0)), Bead(2, weights(2.0)))
    files = BeadFiles(run, apart=0)
    found = files.read(["beads/1.1", "beads/2.1"])
    files.take_stock(found.keys(), ())
    assert [tensor.tolist() for tensor in found.values()] == [[1.0] * 5, [2.0] * 5]
    beads = [Bead(bead, tensor) for bead, tensor in zip((1, 2), found.values(), strict=True)]
    names = files.name(beads)
    assert set(names.values()) == found.keys() <= files.written


def test_what_a_killed_process_left_is_deleted_and_its_names_are_free(run: RunDir) -> None:
    left = BeadFiles(run, apart=0)
    names = left.name([Bead(1, weights(1.0)), Bead(2, weights(2.0))])
    left.write({name: tensor for tensor, name in names.items()})
    (run.beads / "notes.txt").write_text("mine")
    files = BeadFiles(run, apart=0)
    files.take_stock(["beads/1.1"], ())
    assert listed(run) == ["1.1.safetensors", "notes.txt"]
    assert set(files.name([Bead(1, weights(5.0)), Bead(2, weights(6.0))]).values()) == {
        "beads/1.2",
        "beads/2.1",
    }


def test_only_so_many_bytes_stay_in_memory(run: RunDir) -> None:
    """The tensors stay the same objects with the same values, since beads are known by them."""
    files = BeadFiles(run, apart=0, in_memory=20)
    beads = [Bead(number, weights(number)) for number in (1, 2, 3)]
    places = [each.weights.data_ptr() for each in beads]
    saved(files, *beads)
    files.make_room()
    moved = [each.weights.data_ptr() != at for each, at in zip(beads, places, strict=True)]
    assert moved == [True, True, False]
    assert [each.weights.tolist() for each in beads] == [[n] * 5 for n in (1.0, 2.0, 3.0)]
    assert files.name(beads).keys() == {each.weights for each in beads}


def test_no_link_is_followed(run: RunDir, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run.beads.symlink_to(elsewhere)
    files = BeadFiles(run, apart=0)
    with pytest.raises(SaveError, match="beads: is a link"):
        saved(files, Bead(1, weights(1.0)))
    with pytest.raises(Damaged, match="beads: it is no folder"):
        files.read(["beads/1.1"])
    files.take_stock((), ())
    assert list(elsewhere.iterdir()) == []


def test_a_file_that_holds_no_bead_is_refused(run: RunDir) -> None:
    files = BeadFiles(run, apart=0)
    saved(files, Bead(1, weights(1.0)))
    path = run.beads / "1.1.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Damaged, match=r"1\.1\.safetensors: it cannot be read"):
        files.read(["beads/1.1"])
    path.unlink()
    with pytest.raises(Damaged, match=r"1\.1\.safetensors: it is missing"):
        files.read(["beads/1.1"])
    path.symlink_to(run.path / "other")
    with pytest.raises(Damaged, match=r"1\.1\.safetensors: it is a link"):
        files.read(["beads/1.1"])
