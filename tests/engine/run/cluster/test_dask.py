"""Workers of a real Dask cluster on this machine, one of which is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.record.records import read_records
from engine.record.signals import Signals
from engine.record.sweep_desk import Desk
from engine.record.sweep_folder import create, plan_for, read_plan
from engine.record.sweep_state import read_state
from engine.run import sweep
from engine.run.cluster import dask
from engine.run.cluster.address import parse_address
from engine.run.cluster.crew import on_cluster
from engine.run.crews import crew_of
from engine.run.sweep import here, run_folder
from presets import load_preset
from tests.support.run_strings import cells, same_cells

LEVELS, PAIRS = (0.05, 0.02), 2
TINY = ["problem.data.points=64", "search.level=0.05", "workers=1", "device=cpu"]


def killed_once(folder: Path) -> None:
    """Kills the worker that is first seen at work on a cell."""
    while not (begun := list(folder.glob("level-*/pair-*/meta.json"))):
        time.sleep(0.01)
    text = begun[0].read_text()
    os.kill(int(text.split('"pid":')[1].split(",")[0]), signal.SIGKILL)


@pytest.mark.filterwarnings("ignore")  # Dask's, of sockets of a worker that was killed
def test_a_killed_worker_costs_nothing(tmp_path: Path) -> None:
    spec = load_preset("quadratic", TINY)
    alone, crew = sweep.start(spec, LEVELS, PAIRS, tmp_path / "alone", here())
    assert alone.run(crew, Signals()).exit_status == 0
    with dask.open_cluster(parse_address("local:2")) as workers:
        made, crew = sweep.start(spec, LEVELS, PAIRS, tmp_path / "sweep", on_cluster(workers))
        killer = threading.Thread(target=killed_once, args=(made.folder,))
        killer.start()
        end = made.run(crew, Signals())
        killer.join()
    assert (end.exit_status, made.count()) == (0, 4)
    assert same_cells(alone.folder, made.folder)
    for run in cells(made.folder):
        names = [record.event.name for record in read_records(run)]
        assert names.count("run_started") == names.count("run_finished") == 1


def test_without_dask_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    missing = r"Dask is not installed; install the extra `cluster`"
    with pytest.raises(InputError, match=missing), crew_of("local:2"):
        pass


def test_nobody_at_the_address_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the engine of a dashboard too, which tells it in the sweep's folder."""
    monkeypatch.setattr(dask, "CONNECT_S", 1)
    create(plan_for(load_preset("quadratic", TINY), LEVELS, PAIRS, tmp_path), tmp_path)
    assert read_plan(tmp_path) is not None
    with pytest.raises(InputError, match="no Dask scheduler answers"):
        run_folder(Desk(tmp_path), Signals(), crew_of("tcp://127.0.0.1:1"))
    state = read_state(tmp_path)
    assert state is not None
    assert state.state == "ended"
    assert state.exit_status == 2
    assert "dask scheduler" in state.sentence
