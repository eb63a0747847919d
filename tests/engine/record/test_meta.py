"""What a session notes of its machine, and the line that it tells."""

from __future__ import annotations

from pathlib import Path

from engine.devices.memory import GIB
from engine.record.meta import Gpu, Meta, read_meta
from tests.support.told_runs import greedy_run

CPU = Meta(
    devices=("cpu, 2 threads",),
    free=3 * GIB,
    total=4 * GIB,
    backend="fused",
    backend_why="as the preset says",
    precision="float32",
    torch="2.13.0+cpu",
)
GPUS = (
    Gpu("cuda:0", "NVIDIA H200", "GPU-a", free=138 * GIB, total=140 * GIB),
    Gpu("cuda:1", "NVIDIA H200", "GPU-b"),
)
ON_GPUS = Meta(
    devices=("NVIDIA H200", "NVIDIA H200"),
    gpus=GPUS,
    driver="580.65.06",
    backend="graph",
    precision="tf32",
    torch="2.13.0+cu130",
    cuda="CUDA 13.0",
)


def test_the_line_of_a_session() -> None:
    assert CPU.words == (
        "computing on cpu, 2 threads (3.0 of 4.0 GiB free); torch 2.13.0+cpu; backend fused (as "
        "the preset says); precision float32"
    )
    assert ON_GPUS.words == (
        "computing on cuda:0 NVIDIA H200 (138.0 of 140.0 GiB free), cuda:1 NVIDIA H200; driver "
        "580.65.06, torch 2.13.0+cu130 (CUDA 13.0); backend graph; precision tf32"
    )


def test_the_file_holds_it(tmp_path: Path) -> None:
    run = greedy_run(tmp_path)
    for meta in (CPU, ON_GPUS):
        run.meta.write_bytes(meta.to_json())
        assert read_meta(run) == meta


def test_a_file_of_before_is_read(tmp_path: Path) -> None:
    run = greedy_run(tmp_path)
    run.meta.write_text('{"version": "0.1.0", "host": "h", "pid": 3, "devices": ["NVIDIA H200"]}')
    found = read_meta(run)
    assert found is not None and (found.host, found.gpus) == ("h", ())
