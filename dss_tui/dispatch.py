"""The commands of the command line, each of which imports what it needs when it runs.

Every function takes the parsed arguments and returns an exit status.
"""

from __future__ import annotations

import argparse

from engine.errors import InputError


def menu(asked: argparse.Namespace) -> int:
    """Shows the menu and returns the exit status."""
    from dss_tui.commands import run

    return run.menu(asked)


def attach(asked: argparse.Namespace) -> int:
    """Runs `attach` and returns the exit status."""
    from dss_tui.commands import run

    return run.attach(asked)


def run(asked: argparse.Namespace) -> int:
    """Runs `run` and returns the exit status."""
    from dss_tui.commands import run

    return run.run(asked)


def resume(asked: argparse.Namespace) -> int:
    """Runs `resume` and returns the exit status."""
    from dss_tui.commands import run

    return run.resume(asked)


def shorten(asked: argparse.Namespace) -> int:
    """Runs `shorten` and returns the exit status."""
    from dss_tui.commands import run

    return run.shorten(asked)


def diagnose(asked: argparse.Namespace) -> int:
    """Runs `diagnose` and returns the exit status."""
    from dss_tui.commands import diagnose

    return diagnose.diagnose(asked.run, as_json=asked.json)


def sweep(asked: argparse.Namespace) -> int:
    """Runs `sweep` and returns the exit status."""
    from dss_tui.commands import sweep

    return sweep.sweep(asked)


def compare(asked: argparse.Namespace) -> int:
    """Runs `compare` and returns the exit status."""
    from dss_tui.commands import compare

    return compare.compare(asked)


def components(asked: argparse.Namespace) -> int:
    """Runs `components` and returns the exit status."""
    from dss_tui.commands import components

    return components.components(asked)


def ls(asked: argparse.Namespace) -> int:
    """Runs `ls` and returns the exit status."""
    from dss_tui.commands import runs

    return runs.ls()


def stop(asked: argparse.Namespace) -> int:
    """Runs `stop` and returns the exit status."""
    from dss_tui.commands import runs

    return runs.stop(asked.run)


def export(asked: argparse.Namespace) -> int:
    """Runs `export` and returns the exit status."""
    from dss_tui.commands import strings

    return strings.export(
        asked.run,
        asked.out,
        with_data=asked.with_data,
        force=asked.force,
        run_factories=asked.run_factories,
    )


def verify(asked: argparse.Namespace) -> int:
    """Runs `verify`, or its proof, and returns the exit status."""
    from dss_tui.commands import strings

    if asked.certify:
        if asked.device != "cpu":
            raise InputError(
                "is for measuring, and proofs are made on the CPU; leave it out", key="--device"
            )
        return strings.certify(
            asked.string,
            level=asked.level,
            straight=asked.straight,
            as_json=asked.json,
            with_cells=asked.cells,
            run_factories=asked.run_factories,
        )
    for key in ("level", "straight", "cells"):
        if getattr(asked, key):
            raise InputError("belongs to --certify; give that too", key=f"--{key}")
    return strings.verify(
        asked.string,
        points=asked.grid,
        as_json=asked.json,
        run_factories=asked.run_factories,
        device=asked.device,
    )


def measure(asked: argparse.Namespace) -> int:
    """Runs `measure` and returns the exit status."""
    if asked.what is not None:
        from dss_tui.commands import along

        return along.along(asked)
    for key in ("between", "seed", "csv"):
        if getattr(asked, key):
            raise InputError("belongs to --what; give that instead of --plane", key=f"--{key}")
    from dss_tui.commands import measure

    return measure.measure(
        asked.string,
        asked.plane,
        out=asked.out,
        as_json=asked.json,
        run_factories=asked.run_factories,
    )


def figure(asked: argparse.Namespace) -> int:
    """Runs `figure` and returns the exit status."""
    from dss_tui.commands import figure

    return figure.figure(asked)


def align(asked: argparse.Namespace) -> int:
    """Runs `align` and returns the exit status."""
    from dss_tui.commands import align

    return align.align(asked)


def presets(asked: argparse.Namespace) -> int:
    """Runs `presets` and returns the exit status."""
    from dss_tui.commands import presets

    return presets.show(asked.name)


def data(asked: argparse.Namespace) -> int:
    """Runs `data` and returns the exit status."""
    from dss_tui.commands import data

    return data.data(asked.name, as_json=asked.json, to=asked.to, run_factories=asked.run_factories)


def barrier(asked: argparse.Namespace) -> int:
    """Runs `barrier` and returns the exit status."""
    from dss_tui.commands import barrier

    return barrier.barrier(asked)


def bench(asked: argparse.Namespace) -> int:
    """Runs `bench` and returns the exit status."""
    from dss_tui.commands import bench

    return bench.bench(asked)


def doctor(asked: argparse.Namespace) -> int:
    """Runs `doctor` and returns the exit status."""
    from dss_tui.commands import doctor

    return doctor.doctor(as_json=asked.json)


def serve(asked: argparse.Namespace) -> int:
    """Runs `serve` and returns the exit status."""
    from dss_tui.commands import serve

    return serve.serve(host=asked.host, port=asked.port, sessions=asked.sessions)
