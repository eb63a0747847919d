"""A string from a file as the start of a search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from engine.errors import InputError
from engine.problem.problem import Problem, build_problem
from engine.record.events import (
    BeadFailed,
    BeadInserted,
    BeadTrained,
    LevelLowered,
    Outcome,
    SegmentFailed,
    SegmentMeasured,
)
from engine.record.geometry import BeadString
from engine.record.string_file import Header, StringFile
from engine.spec.keys import Spec
from tests.support.landscapes import landscape, ring, spec_for
from tests.support.searches import highest_loss, method_for, run
from tests.support.string_files import encode
from tests.support.strings import string_spec

ANGLES = np.linspace(0.1, 3.0, 6)
ARC = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)


def write(path: Path, problem: Problem, spec: Spec, beads: np.ndarray, level: float) -> Path:
    """What an earlier run left. The ids are not in order: they count in the order of making."""
    count = len(beads)
    header = Header(
        outcome="connected",
        level=level,
        alpha=0.8,
        method="greedy",
        seed=5,
        problem=spec.problem,
        parameters=tuple((p.name, p.shape) for p in problem.parameters),
        data_sha256=problem.checksum,
        bead_ids=(1, *range(count, 2, -1), 2),
        elapsed_s=3.0,
    )
    t = np.linspace(0, 1, 5)
    string = BeadString(beads, np.zeros(count), t, np.full((count - 1, 5), 0.5 * level))
    path.write_bytes(encode(StringFile(header, string), path.suffix))
    return path


def starting_from(path: Path, level: float) -> Spec:
    spec = spec_for(level=level)
    return spec.model_copy(update={"search": spec.search.model_copy(update={"string": str(path)})})


@pytest.mark.parametrize("ending", [".safetensors", ".npz", ".pt"])
def test_beads_and_their_order_are_kept(tmp_path: Path, ending: str) -> None:
    problem = landscape(ring)
    path = write(tmp_path / f"arc{ending}", problem, spec_for(0.1), ARC, 0.1)
    with method_for(problem, starting_from(path, 0.1)) as method:
        assert method.string().beads.tobytes() == ARC.tobytes()
        assert method.progress().training == ()
        events = run(method)
        assert method.string().beads.tobytes() == ARC.tobytes()
        assert method.progress().order == (1, 3, 4, 5, 6, 2)
        assert method.progress().beads_per_depth == (2, 4)
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.CONNECTED
        assert method.progress().bead_steps == 0
    measured = {(e.left, e.right) for e in events if isinstance(e, SegmentMeasured)}
    assert measured == {(1, 3), (3, 4), (4, 5), (5, 6), (6, 2)}


def test_profiles_are_measured_and_not_believed(tmp_path: Path) -> None:
    """A file that says it connects, by a straight line over the hill in the middle."""
    problem = landscape(ring)
    path = write(tmp_path / "line.safetensors", problem, spec_for(0.1), ARC[[0, -1]], 0.1)
    with method_for(problem, starting_from(path, 0.1)) as method:
        events = run(method)
        assert any(isinstance(event, BeadInserted) for event in events)
        assert highest_loss(method) <= 0.1
        assert method.progress().beads > 2


def test_a_lower_level_makes_the_search_go_on(tmp_path: Path) -> None:
    """The ends come down to the new level too; between them the string is searched for anew."""
    problem = landscape(ring)
    raised = ARC * np.float32(1.1)  # at (1.1² − 1)² = 0.044
    path = write(tmp_path / "arc.safetensors", problem, spec_for(0.1), raised, 0.1)
    with method_for(problem, starting_from(path, 0.1)) as method:
        run(method)
        assert method.verdict is not None and method.verdict.outcome is Outcome.CONNECTED
        assert method.progress().beads == len(ARC)
    with method_for(problem, starting_from(path, 0.0005)) as method:
        events = run(method)
        assert method.verdict is not None and method.verdict.outcome is Outcome.CONNECTED
        assert highest_loss(method) <= 0.0005
        assert method.progress().beads > len(ARC)
        new = [event.bead for event in events if isinstance(event, BeadInserted)]
        assert min(new) > len(ARC)  # ids of the file's beads are not given twice
        assert len(set(new)) == len(new)
        assert any(isinstance(event, BeadTrained) and event.bead in new for event in events)


# ---------------------------------------------------------------- constrained DSS


def constrained_from(path: Path, level: float, hyperplane: str = "hard") -> Spec:
    spec = string_spec(level, hyperplane=hyperplane)
    return spec.model_copy(update={"search": spec.search.model_copy(update={"string": str(path)})})


def test_constrained_dss_lowers_the_string_of_a_file_as_a_whole(tmp_path: Path) -> None:
    """Its ends come down with it, since they are no models that were given."""
    problem = landscape(ring)
    raised = ARC * np.float32(1.1)  # at (1.1² − 1)² = 0.044
    path = write(tmp_path / "arc.safetensors", problem, spec_for(0.1), raised, 0.1)
    with method_for(problem, constrained_from(path, 0.005, hyperplane="soft")) as method:
        events = run(method)
        assert method.verdict is not None and method.verdict.outcome is Outcome.CONNECTED
        assert highest_loss(method) <= 0.005
        lowered = [event.level for event in events if isinstance(event, LevelLowered)]
        assert 0.044 > lowered[0] > lowered[-1] > 0
        assert [stage.name for stage in method.stages] == ["start", "search"]
        radii = np.linalg.norm(method.string().beads, axis=1)
        assert (radii < 1.09).all()
        assert method.progress().normalized_length > 1.2  # it did not set out from a straight line


def test_constrained_dss_leaves_a_connected_string_to_the_bit(tmp_path: Path) -> None:
    problem = landscape(ring)
    path = write(tmp_path / "arc.safetensors", problem, spec_for(0.1), ARC, 0.1)
    with method_for(problem, constrained_from(path, 0.1)) as method:
        run(method)
        assert method.verdict is not None and method.verdict.outcome is Outcome.CONNECTED
        assert method.string().beads.tobytes() == ARC.tobytes()
        assert method.progress().bead_steps == 0


def test_an_end_that_gets_stuck_is_not_drawn_anew(tmp_path: Path) -> None:
    """The ring lies at 0.01, so that no model comes below 0.005."""

    def high(w: Tensor) -> Tensor:
        return ring(w) + 0.01

    problem = landscape(high)
    path = write(tmp_path / "arc.safetensors", problem, spec_for(0.1), ARC, 0.1)
    spec = constrained_from(path, 0.005)
    with method_for(problem, spec) as method:
        events = run(method)
        assert method.verdict is not None and method.verdict.outcome is Outcome.NOT_CONNECTED
        failed = [event for event in events if isinstance(event, SegmentFailed)]
        assert failed and all(event.reason.startswith("stuck at level") for event in failed)
        assert not any(isinstance(event, BeadFailed) for event in events)
        assert method.progress().normalized_length > 1.2


def test_a_string_of_another_network_is_refused(tmp_path: Path) -> None:
    spec = spec_for(0.1)
    path = write(tmp_path / "arc.safetensors", landscape(ring), spec, ARC, 0.1)
    with (
        pytest.raises(InputError, match=r"not those of problem\.network") as caught,
        method_for(build_problem(spec.problem), starting_from(path, 0.1)),
    ):
        pass
    assert str(caught.value).startswith(f"{path}: search.string: ")


def test_as_many_parameters_in_other_shapes_are_refused(tmp_path: Path) -> None:
    """Two numbers either way, a point of the plane or a weight and a bias."""
    spec = spec_for(0.1)
    network = build_problem(spec.problem)
    assert network.parameter_count == landscape(ring).parameter_count
    path = write(tmp_path / "net.safetensors", network, spec, ARC, 0.1)
    with (
        pytest.raises(InputError, match=r"search\.string"),
        method_for(landscape(ring), starting_from(path, 0.1)),
    ):
        pass


def test_a_missing_file_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "none.safetensors"
    with (
        pytest.raises(InputError, match="no such file") as caught,
        method_for(landscape(ring), starting_from(path, 0.1)),
    ):
        pass
    assert str(path) in str(caught.value)
