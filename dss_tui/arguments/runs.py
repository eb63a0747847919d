"""The arguments of the commands on single runs and their strings."""

from __future__ import annotations

from pathlib import Path

from dss_tui import dispatch
from dss_tui.arguments.options import Commands, add_display, add_fps, add_set, add_trust


def add_run(commands: Commands) -> None:
    """Adds the command `run`."""
    run = commands.add_parser("run", help="search for a path, from a preset")
    run.add_argument("preset", metavar="PRESET", help="the name of a preset, or a .yaml file")
    add_set(run, "search.level=1e-3")
    run.add_argument("--out", type=Path, metavar="DIR", help="the run directory (new or empty)")
    run.add_argument("--seed", type=int, metavar="N", help="the same as --set seed=N")
    run.add_argument("--device", metavar="D", help="auto, cpu, cuda, or cuda:0,cuda:1")
    add_trust(run)
    add_display(run)
    run.set_defaults(command=dispatch.run)


def add_attach(commands: Commands) -> None:
    """Adds the command `attach`."""
    attach = commands.add_parser("attach", help="watch a run or a sweep, live or ended")
    attach.add_argument("run", metavar="RUN", help="or the folder of a sweep")
    add_fps(attach)
    attach.set_defaults(command=dispatch.attach)


def add_runs(commands: Commands) -> None:
    """Adds the commands about runs: `ls`, `resume`, `diagnose` and `stop`."""
    ls = commands.add_parser("ls", help="list the runs and sweeps")
    ls.set_defaults(command=dispatch.ls)

    resume = commands.add_parser("resume", help="go on with a run or a sweep from its checkpoints")
    resume.add_argument("run", metavar="RUN")
    resume.add_argument(
        "--set",
        dest="overrides",
        metavar="limits.KEY=VALUE",
        action="append",
        default=[],
        help="change a limit, such as limits.beads=4000 (repeatable)",
    )
    resume.add_argument(
        "--not-mine", action="store_true", help="go on with a run that belongs to somebody else"
    )
    add_trust(resume)
    add_display(resume)
    resume.set_defaults(command=dispatch.resume)

    diagnose = commands.add_parser("diagnose", help="why a run did not connect")
    diagnose.add_argument("run", metavar="RUN")
    diagnose.add_argument("--json", action="store_true", help="the diagnosis as one JSON object")
    diagnose.set_defaults(command=dispatch.diagnose)

    stop = commands.add_parser("stop", help="ask a run or a sweep to save itself and stop")
    stop.add_argument("run", metavar="RUN", help="or a sweep")
    stop.set_defaults(command=dispatch.stop)


def add_strings(commands: Commands) -> None:
    """Adds the commands about strings: `shorten`, `export` and `verify`."""
    shorten = commands.add_parser(
        "shorten", help="pull the string of a connected run tight, as a new run"
    )
    shorten.add_argument("run", metavar="RUN")
    add_set(shorten, "search.shortening.sweeps=200")
    shorten.add_argument("--out", type=Path, metavar="DIR", help="the new run's directory")
    add_trust(shorten)
    add_display(shorten)
    shorten.set_defaults(command=dispatch.shorten)

    export = commands.add_parser("export", help="write a run's string to a file")
    export.add_argument("run", metavar="RUN")
    export.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help=".safetensors, .npz or .pt"
    )
    export.add_argument("--with-data", action="store_true", help="add the training tensors")
    export.add_argument("--force", action="store_true", help="replace FILE if it exists")
    add_trust(export)
    export.set_defaults(command=dispatch.export)

    verify = commands.add_parser("verify", help="measure a string file's path from scratch")
    verify.add_argument("string", type=Path, metavar="STRING", help="a string file")
    verify.add_argument(
        "--grid", type=int, default=1001, metavar="N", help="points a segment (default 1001)"
    )
    verify.add_argument(
        "--certify",
        action="store_true",
        help="prove the path for every t, from its weights and the data alone",
    )
    verify.add_argument(
        "--level",
        metavar="X",
        help="with --certify: another level than the file's, or lowest for the lowest provable one",
    )
    verify.add_argument(
        "--straight",
        action="store_true",
        help="with --certify: the straight line between the two ends instead of the path",
    )
    verify.add_argument("--cells", action="store_true", help="with --certify: list the cells of t")
    verify.add_argument(
        "--device", default="cpu", help="what measures: cpu (default), cuda, auto or a list"
    )
    verify.add_argument("--json", action="store_true", help="the result as one JSON object")
    add_trust(verify)
    verify.set_defaults(command=dispatch.verify)
    add_measure(commands)


def add_measure(commands: Commands) -> None:
    """Adds the command `measure`."""
    measure = commands.add_parser(
        "measure",
        help="measure what lies along a path, or a loss plane through three beads",
        description="With --what, measures quantities at each bead of a string, over all samples: "
        "the beads as an ensemble, the average of weights, gradients, calibration, the accuracy of "
        "each class, likeness of representations, sharpness. With --plane, measures the objective "
        "on 21 x 21 points in the plane through three beads (Garipov et al. 2018), and draws it.",
        epilog="Of a run, a quantity is also written to measures/NAME.json and a plane to "
        "planes/A-B-C.json in its folder, unless --json or --out is given or the run is live. "
        "exit status: 0 measured, 2 bad input, or a quantity that the network does not allow",
    )
    measure.add_argument(
        "string", metavar="STRING", help="a string file, or a run, whose newest string is measured"
    )
    which = measure.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--what",
        metavar="Q,Q,…",
        help="one or several of ensemble, distances, swa, gradient, calibration, classes, cka, "
        "sharpness; or all, for those that the network allows",
    )
    which.add_argument(
        "--plane",
        metavar="A,B,C",
        help="three beads by their ids, as the screens show them and the file's bead_ids list "
        "them from end to end (1 and 2 are the ends); in a file without ids, beads are numbered "
        "from 1 along the string",
    )
    measure.add_argument(
        "--between",
        type=int,
        default=0,
        metavar="N",
        help="with --what: measure N points between two beads too (default 0)",
    )
    measure.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="with --what: of random vectors and samples (default 0)",
    )
    measure.add_argument(
        "--csv", type=Path, metavar="F", help="with --what: write the values to a .csv file"
    )
    measure.add_argument("--out", type=Path, metavar="F", help="write what --json prints to F.json")
    measure.add_argument("--json", action="store_true", help="the result as one JSON object")
    add_trust(measure)
    measure.set_defaults(command=dispatch.measure)


def add_figure(commands: Commands) -> None:
    """Adds the command `figure`."""
    figure = commands.add_parser(
        "figure",
        help="a figure for a publication, and its numbers (needs the extra figures)",
        description="Draws a run, a string, a sweep or a comparison as an .svg, .pdf or .png file, "
        "and writes the numbers beside it as .csv, from which alone it is drawn. With --out F.csv "
        "only the numbers are written, which needs no matplotlib; `dss-tui figure F.csv --out "
        "F.svg` draws them, on another machine too.",
        epilog="exit status: 0 written, 2 bad input, or the source lacks what the kind takes",
    )
    figure.add_argument(
        "source",
        metavar="SOURCE",
        help="a run, a string file, or the folder of a sweep, a comparison or components; or the "
        ".csv of a figure, or that of `measure --what`",
    )
    figure.add_argument(
        "--kind",
        metavar="K",
        help="what to draw: levels, methods, disconnectivity, path, string, plane, depths or "
        "quantities; or list, which tells what SOURCE allows (default: the natural one)",
    )
    figure.add_argument("--out", type=Path, metavar="F", help=".svg, .pdf, .png or .csv")
    figure.add_argument(
        "--width", default="one", metavar="W", help="one or two columns, or a width in mm"
    )
    figure.add_argument(
        "--plane",
        metavar="A,B,C",
        help="for the kind plane: three beads by their ids; a plane that is not there yet is "
        "measured",
    )
    add_trust(figure)
    figure.set_defaults(command=dispatch.figure)
