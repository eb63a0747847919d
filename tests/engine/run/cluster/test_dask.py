"""Workers of a real Dask cluster on this machine, one of which is killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from dask import config
from distributed import LocalCluster, Scheduler, Security, SpecCluster, Worker, get_worker

from dss_tui.cli import main
from engine.__main__ import main as engine_of
from engine.errors import InputError
from engine.record.compare_folder import ComparePlan, variants_of
from engine.record.components_folder import ComponentsPlan
from engine.record.records import read_records
from engine.record.signals import Signals
from engine.record.sweep_folder import Plan, write_plan
from engine.record.sweep_state import read_state
from engine.run import sweep
from engine.run.batched import Batched
from engine.run.cluster import dask
from engine.run.cluster.address import parse_address
from engine.run.cluster.crew import OnCluster
from engine.run.crews import crew_of
from presets import load_preset
from tests.support.run_strings import cells, same_cells, same_string

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
    alone = sweep.start(spec, LEVELS, PAIRS, tmp_path / "alone", Batched())
    assert alone.run(Signals()).exit_status == 0
    with dask.open_cluster(parse_address("local:2")) as workers:
        made = sweep.start(spec, LEVELS, PAIRS, tmp_path / "sweep", OnCluster(workers))
        killer = threading.Thread(target=killed_once, args=(made.folder,))
        killer.start()
        end = made.run(Signals())
        killer.join()
    assert (end.exit_status, made.count()) == (0, 4)
    assert same_cells(alone.folder, made.folder)
    for run in cells(made.folder):
        names = [record.event.name for record in read_records(run)]
        assert names.count("run_started") == names.count("run_finished") == 1


@pytest.mark.filterwarnings("ignore")  # Dask's, of sockets of workers that end
@pytest.mark.parametrize("lost", [dask.STARTS - 1, dask.STARTS])
def test_workers_that_are_lost_while_they_start_are_started_anew(
    lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[int] = []

    def start(**options: Any) -> LocalCluster:
        starts.append(options["n_workers"])
        if len(starts) <= lost:
            raise RuntimeError("Nanny failed to start.")
        return LocalCluster(**options, processes=False)  # type: ignore[no-untyped-call]

    monkeypatch.setattr("distributed.LocalCluster", start)
    address = parse_address("local:1")
    if lost == dask.STARTS:
        why = r"--cluster: is local:1, whose workers do not start \(Nanny failed to start\); give"
        with pytest.raises(InputError, match=why), dask.open_cluster(address):
            pass
    else:
        with dask.open_cluster(address) as workers:
            assert workers.submit(os.getpid).result() == os.getpid()
    assert starts == [1] * dask.STARTS


def test_without_dask_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    missing = r"Dask is not installed; install the extra `cluster`"
    with pytest.raises(InputError, match=missing), crew_of("local:2"):
        pass


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore")  # Dask's, of sockets of workers that end
def test_components_on_real_workers(tmp_path: Path) -> None:
    command = ["components", "quadratic", "--models", "3", "--levels", "0.05", "--headless"]
    command += [part for key in TINY for part in ("--set", key) if "level" not in key]
    assert main([*command, "--out", str(tmp_path / "alone")]) == 0
    assert main([*command, "--cluster", "local:2", "--out", str(tmp_path / "many")]) == 0
    for name in ("levels.csv", "components.csv", "disconnectivity.csv"):
        assert (tmp_path / "alone" / name).read_text() == (tmp_path / "many" / name).read_text()
    runs = [path.parent for path in (tmp_path / "alone").glob("level-*/*/run.yaml")]
    assert len(runs) >= 2
    for run in runs:
        other = tmp_path / "many" / run.relative_to(tmp_path / "alone")
        assert same_string(run, other)
        assert f'"pid":{os.getpid()},' not in (other / "meta.json").read_text()


PLANS: dict[str, Plan | ComparePlan | ComponentsPlan] = {
    "sweep.yaml": Plan(load_preset("quadratic", TINY), LEVELS, PAIRS),
    "compare.yaml": ComparePlan(load_preset("quadratic", TINY), variants_of("greedy", []), PAIRS),
    "components.yaml": ComponentsPlan(load_preset("quadratic", TINY), LEVELS, 3),
}


@pytest.mark.parametrize("name", PLANS)
def test_nobody_at_the_address_is_told_in_the_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the engine that a screen launches, in one sentence."""
    monkeypatch.setattr(dask, "CONNECT_S", 1)
    write_plan(PLANS[name].text(), tmp_path, name)
    assert engine_of([str(tmp_path), "tcp://127.0.0.1:1"]) == 2
    assert "no Dask scheduler answers" in capsys.readouterr().err
    state = read_state(tmp_path)
    assert state is not None
    assert state.state == "ended"
    assert state.exit_status == 2
    assert "dask scheduler" in state.sentence


# ---------------------------------------------------------------- certificates, GPUs


TLS = "distributed.comm.tls"


def named(folder: Path) -> dict[str, object]:
    """Makes a certificate, and returns Dask's configuration that names it."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=dss"]
    command = [*make, "-days", "2", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    tls: dict[str, object] = {f"{TLS}.ca-file": str(cert)}
    for role in ("scheduler", "worker", "client"):
        tls |= {f"{TLS}.{role}.cert": str(cert), f"{TLS}.{role}.key": str(key)}
    return tls


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
@pytest.mark.filterwarnings("ignore")  # Dask's, of sockets of workers that end
def test_workers_with_certificates_are_reached_by_who_has_them(tmp_path: Path) -> None:
    with (
        config.set(named(tmp_path)),
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=1,
            processes=False,
            protocol="tls",
            security=Security(),  # type: ignore[no-untyped-call]
            dashboard_address=None,
        ) as there,
    ):
        address = parse_address(there.scheduler_address)
        assert address.kind == "tls"
        with dask.open_cluster(address) as workers:
            assert workers.submit(os.getpid).result() == os.getpid()
        with (
            config.set({f"{TLS}.client.cert": None, f"{TLS}.client.key": None}),
            pytest.raises(InputError, match="no certificates are named here"),
            dask.open_cluster(address),
        ):
            pass


def worker_name() -> object:
    """Returns the name of the worker that calls it."""
    return get_worker().name


@pytest.mark.filterwarnings("ignore")  # Dask's, of sockets of workers that end
def test_searches_go_to_the_workers_that_declare_gpus() -> None:
    cards = {"plain": {}, "card": {"resources": {"GPU": 1}}}
    kinds = {
        name: {"cls": Worker, "options": {"nthreads": 1, "dashboard": False, **options}}
        for name, options in cards.items()
    }
    scheduler = {"cls": Scheduler, "options": {"dashboard": False, "port": 0}}
    with (
        SpecCluster(workers=kinds, scheduler=scheduler) as there,  # type: ignore[no-untyped-call]
        dask.open_cluster(parse_address(there.scheduler_address)) as workers,
    ):
        found = [workers.submit(worker_name, gpu=True) for _ in range(4)]
        assert {each.result() for each in found} == {"card"}
        workers.client.retire_workers(names=["card"])
        assert workers.submit(worker_name, gpu=True).result() == "plain"
