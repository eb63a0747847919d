"""The arguments of the commands on what is here: presets, data, and this machine."""

from __future__ import annotations

from pathlib import Path

from dss_tui import dispatch
from dss_tui.arguments.options import Commands, add_trust


def add_presets(commands: Commands) -> None:
    """Adds the command `presets`."""
    presets = commands.add_parser("presets", help="list the presets, or print one")
    presets.add_argument("name", nargs="?", metavar="NAME")
    presets.set_defaults(command=dispatch.presets)


def add_data(commands: Commands) -> None:
    """Adds the command `data`."""
    data = commands.add_parser(
        "data", help="list the data sets: what they need, what is there, where to get them"
    )
    data.add_argument(
        "name", nargs="?", metavar="NAME", help="one of them, such as mnist, or a preset"
    )
    data.add_argument(
        "--to", type=Path, metavar="FILE.npz", help="write its samples there, to be mapped from it"
    )
    data.add_argument("--json", action="store_true", help="the list as one JSON array")
    add_trust(data)
    data.set_defaults(command=dispatch.data)


def add_bench(commands: Commands) -> None:
    """Adds the command `bench`."""
    bench = commands.add_parser(
        "bench", help="measure this machine: presets against plain loops and its own limits"
    )
    bench.add_argument(
        "presets", nargs="*", metavar="PRESET", help="default: all shipped whose data are here"
    )
    bench.add_argument("--beads", metavar="A,B,C", help="that train at a time (default 1,8,32,128)")
    bench.add_argument("--repeats", type=int, metavar="N", help="of each timing (default 5)")
    bench.add_argument("--seconds", type=float, metavar="S", help="of a timing (default 0.3)")
    bench.add_argument("--workers", type=int, metavar="N", help="threads on the CPU")
    bench.add_argument("--device", metavar="D", help="auto, cpu, cuda, or cuda:0,cuda:1")
    bench.add_argument("--quick", action="store_true", help="short timings, 3 repeats, 1,32 beads")
    add_trust(bench)
    bench.add_argument("--json", action="store_true", help="all of it as one JSON object")
    bench.set_defaults(command=dispatch.bench)


def add_doctor(commands: Commands) -> None:
    """Adds the command `doctor`."""
    doctor = commands.add_parser(
        "doctor",
        help="look whether all works here: GPUs, backends, terminal, folders, data",
        description="Looks at this machine in about half a minute: software, folders, data, each "
        "GPU, what each backend computes, and the terminal. The last line is for bug reports.",
        epilog="exit status: 0 all is well, 3 something is wrong and its row says what to do",
    )
    doctor.add_argument("--json", action="store_true", help="all of it as one JSON object")
    doctor.set_defaults(command=dispatch.doctor)


def add_serve(commands: Commands) -> None:
    """Adds the command `serve`."""
    serve = commands.add_parser(
        "serve",
        help="the screens in a browser (needs the extra web)",
        description="Serves the screens to a browser on this machine and prints their address, "
        "which holds a token. From another machine, forward the port: "
        "ssh -L 8000:localhost:8000 THIS_MACHINE.",
    )
    serve.add_argument("--port", type=int, default=8000, metavar="N", help="default 8000; 0: any")
    serve.add_argument(
        "--host",
        default="localhost",
        metavar="H",
        help="a loopback name or address (default localhost); others are refused, because "
        "nothing is encrypted",
    )
    serve.add_argument(
        "--sessions",
        type=int,
        default=4,
        metavar="N",
        help="visitors at a time, a process each (default 4)",
    )
    serve.set_defaults(command=dispatch.serve)
