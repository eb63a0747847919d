"""The arguments that the command line takes, command by command.

Nothing here imports torch, so that `--help` and mistakes answer at once.
"""

from __future__ import annotations

import argparse

from dss_tui import dispatch
from dss_tui.arguments import machine, many, models, runs
from dss_tui.arguments.options import add_fps
from engine import __version__

STATUSES = """\
exit status:
  0  connected (verify: the path holds; sweep, compare, components: every search has
     ended; measure, figure, align, barrier: done)
  3  the search or the check ended without a connection (doctor: something is wrong)
  2  bad input, said in one line
  1  an internal failure; the run's engine.log has the details
  128+N  ended by signal N, with the checkpoint written

RUN is a run directory, or a run's name under the runs folder ($DSS_TUI_RUNS, else the
platform's state directory). The start of one name is enough, and `last` is the newest run.

PRESET is a shipped preset's name, or that of a file of your own in dss-tui/presets of your
configuration folder or in the current folder, or the path of a .yaml file.
"""


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line, with a subparser for each command."""
    parser = argparse.ArgumentParser(
        prog="dss-tui",
        description="Finds low-loss paths between trained neural networks by Dynamic String "
        "Sampling, and measures them. Without a command it opens the menu.",
        epilog=STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"dss-tui {__version__}")
    parser.set_defaults(command=dispatch.menu)
    add_fps(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    runs.add_run(commands)
    runs.add_attach(commands)
    runs.add_runs(commands)
    runs.add_strings(commands)
    models.add_align(commands)
    many.add_sweep(commands)
    many.add_compare(commands)
    many.add_components(commands)
    runs.add_figure(commands)
    machine.add_presets(commands)
    machine.add_data(commands)
    models.add_barrier(commands)
    machine.add_bench(commands)
    machine.add_doctor(commands)
    machine.add_serve(commands)
    return parser
