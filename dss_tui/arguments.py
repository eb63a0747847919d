"""The arguments that the command line takes, command by command.

Nothing here imports torch, so that `--help` and mistakes answer at once.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

from dss_tui import dispatch
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


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


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
    _add_fps(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_run(commands)
    _add_attach(commands)
    _add_runs(commands)
    _add_strings(commands)
    _add_align(commands)
    _add_sweep(commands)
    _add_compare(commands)
    _add_components(commands)
    _add_figure(commands)
    _add_presets(commands)
    _add_data(commands)
    _add_barrier(commands)
    _add_bench(commands)
    _add_doctor(commands)
    _add_serve(commands)
    return parser


#: What the two models may be that some commands take, for their helps.
TWO_MODELS = (
    "A and B are checkpoints (.pt, .safetensors, .ckpt, …, or a folder from the Hub), or beads of "
    "a string: STRING#first, STRING#last or STRING#17, by its id, of a string file or a run. A "
    "string alone stands for both its ends."
)


def _add_run(commands: Commands) -> None:
    """Adds the command `run`."""
    run = commands.add_parser("run", help="search for a path, from a preset")
    run.add_argument("preset", metavar="PRESET", help="the name of a preset, or a .yaml file")
    _add_set(run, "search.level=1e-3")
    run.add_argument("--out", type=Path, metavar="DIR", help="the run directory (new or empty)")
    run.add_argument("--seed", type=int, metavar="N", help="the same as --set seed=N")
    run.add_argument("--device", metavar="D", help="auto, cpu, cuda, or cuda:0,cuda:1")
    _add_trust(run)
    _add_display(run)
    run.set_defaults(command=dispatch.run)


def _add_attach(commands: Commands) -> None:
    """Adds the command `attach`."""
    attach = commands.add_parser("attach", help="watch a run or a sweep, live or ended")
    attach.add_argument("run", metavar="RUN", help="or the folder of a sweep")
    _add_fps(attach)
    attach.set_defaults(command=dispatch.attach)


def _add_set(parser: argparse.ArgumentParser, example: str = "") -> None:
    """Adds the option `--set`, whose help gives an example."""
    such = f", such as {example}" if example else ""
    parser.add_argument(
        "--set",
        dest="overrides",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help=f"override a key of the preset{such} (repeatable)",
    )


def _add_names(parser: argparse.ArgumentParser) -> None:
    """Adds the options by which tensors are found in checkpoints, `--key` and `--prefix`."""
    parser.add_argument(
        "--key", metavar="K", help="where checkpoints hold the tensors, as endpoints.key"
    )
    parser.add_argument(
        "--prefix", metavar="X", help="before the tensors' names, as endpoints.prefix"
    )


def _add_models(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say what two models are of, and how they are found in files."""
    parser.add_argument(
        "--preset",
        metavar="P",
        help="names data, network and loss; a string that names them itself needs none",
    )
    _add_set(parser, "problem.data.limit=2000")
    for part, example in (
        ("network", "'{kind: mlp, sizes: [64, 32, 10]}' or mine.py:Classifier"),
        ("data", "digits or mine.py:moons"),
        ("loss", "cross_entropy or mine.py:focal"),
    ):
        parser.add_argument(
            f"--{part}",
            metavar="F",
            help=f"instead of a preset: what stands behind problem.{part} there, such as "
            f"{example}, or a .yaml file that holds it",
        )
    _add_names(parser)
    _add_trust(parser)


def _add_trust(parser: argparse.ArgumentParser) -> None:
    """Adds the option by which functions are run that a file names."""
    parser.add_argument(
        "--run-factories",
        action="store_true",
        help="run the functions that a string, or a file that others may have written, names to "
        "make its network, data or loss",
    )


def _add_fps(parser: argparse.ArgumentParser) -> None:
    """Adds the option `--fps`."""
    parser.add_argument(
        "--fps",
        type=_positive,
        metavar="N",
        help="times a second that a run is read and shown (default 2, over SSH 1)",
    )


def _positive(text: str) -> float:
    """Returns a number above 0 and at most 60. Raises ArgumentTypeError for others."""
    value = float(text)
    if not 0 < value <= 60:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 60")
    return value


def _add_display(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a command that shows a search: `--headless`, `--fps` and `--json`."""
    parser.add_argument(
        "--headless", action="store_true", help="no screen: progress in lines, then a summary"
    )
    _add_fps(parser)
    parser.add_argument(
        "--json", action="store_true", help="every event as a JSON line on stdout, nothing else"
    )


def _add_runs(commands: Commands) -> None:
    """Adds the commands about runs: `ls`, `resume`, `diagnose` and `stop`."""
    ls = commands.add_parser("ls", help="list the runs and sweeps")
    ls.set_defaults(command=dispatch.ls)

    resume = commands.add_parser("resume", help="go on with a run from its checkpoint")
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
    _add_trust(resume)
    _add_display(resume)
    resume.set_defaults(command=dispatch.resume)

    diagnose = commands.add_parser("diagnose", help="why a run did not connect")
    diagnose.add_argument("run", metavar="RUN")
    diagnose.add_argument("--json", action="store_true", help="the diagnosis as one JSON object")
    diagnose.set_defaults(command=dispatch.diagnose)

    stop = commands.add_parser("stop", help="ask a run or a sweep to save itself and stop")
    stop.add_argument("run", metavar="RUN", help="or a sweep")
    stop.set_defaults(command=dispatch.stop)


def _add_strings(commands: Commands) -> None:
    """Adds the commands about strings: `shorten`, `export` and `verify`."""
    shorten = commands.add_parser(
        "shorten", help="pull the string of a connected run tight, as a new run"
    )
    shorten.add_argument("run", metavar="RUN")
    _add_set(shorten, "search.shortening.sweeps=200")
    shorten.add_argument("--out", type=Path, metavar="DIR", help="the new run's directory")
    _add_trust(shorten)
    _add_display(shorten)
    shorten.set_defaults(command=dispatch.shorten)

    export = commands.add_parser("export", help="write a run's string to a file")
    export.add_argument("run", metavar="RUN")
    export.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help=".safetensors, .npz or .pt"
    )
    export.add_argument("--with-data", action="store_true", help="add the training tensors")
    export.add_argument("--force", action="store_true", help="replace FILE if it exists")
    _add_trust(export)
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
    _add_trust(verify)
    verify.set_defaults(command=dispatch.verify)
    _add_measure(commands)


def _add_measure(commands: Commands) -> None:
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
        help="one or several of ensemble, swa, gradient, calibration, classes, cka, sharpness; or "
        "all, for those that the network allows",
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
    _add_trust(measure)
    measure.set_defaults(command=dispatch.measure)


def _add_align(commands: Commands) -> None:
    """Adds the command `align`."""
    align = commands.add_parser(
        "align",
        help="a model with its hidden units in another one's order, its function unchanged",
        description="Writes model B with its hidden units relabelled into the order of model A's, "
        "and those of ReLU networks rescaled. The result is checked to be the same function on "
        "training samples, in float64.",
        epilog=f"{TWO_MODELS} Of such a string B is the last bead. exit status: 0 done, 2 bad "
        "input, or a network whose units cannot be found",
    )
    align.add_argument("first", metavar="A", help="the checkpoint or bead whose order is taken")
    align.add_argument(
        "second", metavar="B", nargs="?", help="the checkpoint or bead that is relabelled"
    )
    align.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        required=True,
        help="where to write B's tensors by their own names: .safetensors or .pt",
    )
    align.add_argument(
        "--by",
        choices=("weights", "activations"),
        default="weights",
        help="what is compared (default weights); activations are those on training samples",
    )
    align.add_argument(
        "--permutation", type=Path, metavar="F", help="write the orders to a .safetensors file too"
    )
    align.add_argument(
        "--apply", type=Path, metavar="F", help="take the orders of such a file; A is not compared"
    )
    _add_models(align)
    align.set_defaults(command=dispatch.align)


def _add_sweep(commands: Commands) -> None:
    """Adds the command `sweep`."""
    sweep = commands.add_parser(
        "sweep", help="many pairs at many levels, in one batch; the same command goes on"
    )
    sweep.add_argument("preset", metavar="PRESET", help="the name of a preset, or a .yaml file")
    sweep.add_argument(
        "--levels",
        required=True,
        metavar="A,B,C",
        help="such as 0.1,0.05 or lowest or 1.5x (times the worse end)",
    )
    sweep.add_argument("--pairs", type=int, required=True, metavar="N", help="at each level")
    sweep.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="new, or one to go on with"
    )
    _add_set(sweep)
    sweep.add_argument("--seed", type=int, metavar="N", help="of pair 0; pair k has N + k")
    sweep.add_argument("--device", metavar="D", help="auto, cpu, cuda, or cuda:0,cuda:1")
    sweep.add_argument(
        "--at-once", type=int, default=64, metavar="N", help="pairs under way at a time"
    )
    sweep.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="Dask workers run the cells: local:N, tls://HOST:PORT or tcp://HOST:PORT",
    )
    sweep.add_argument(
        "--headless", action="store_true", help="no screen: progress in lines, then the tables"
    )
    _add_fps(sweep)
    _add_trust(sweep)
    sweep.add_argument("--json", action="store_true", help="the tables as one JSON object")
    sweep.set_defaults(command=dispatch.sweep)


def _add_compare(commands: Commands) -> None:
    """Adds the command `compare`."""
    compare = commands.add_parser(
        "compare",
        help="several methods between the same ends, measured by the same code",
        description="Trains the ends of each pair once, as the preset says, gives them to each "
        "method, and measures every path by one evaluator, with what each search has computed. "
        "With --preset, A and B are two models of your own instead: checkpoints, or beads of a "
        "string as in `dss-tui barrier`. The same command goes on where it was stopped.",
        epilog="A method is a value of search.method, with +shorten, +align or both behind it, "
        "such as greedy+align+shorten. --variant gives others. exit status: 0 where every cell has "
        "ended, connected or not",
    )
    compare.add_argument("first", metavar="PRESET|A", help="a preset, or a model of your own")
    compare.add_argument("second", metavar="B", nargs="?", help="the other model of your own")
    compare.add_argument("--preset", metavar="P", help="with A and B: names data, network, loss")
    compare.add_argument(
        "--methods", default="", metavar="M,M", help="such as greedy,greedy+align,constrained"
    )
    compare.add_argument(
        "--variant",
        dest="variants",
        action="append",
        default=[],
        metavar="NAME:KEY=VALUE,…",
        help="a method with keys of its own, such as fast:search.greedy.optimizer.lr=0.01 "
        "(repeatable)",
    )
    compare.add_argument("--pairs", type=int, metavar="N", help="of ends that are trained")
    compare.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="new, or one to go on with"
    )
    _add_set(compare, "search.level=0.02")
    compare.add_argument("--seed", type=int, metavar="N", help="of pair 0; pair k has N + k")
    compare.add_argument("--device", metavar="D", help="auto, cpu, cuda, or cuda:0,cuda:1")
    compare.add_argument(
        "--grid", type=int, default=201, metavar="N", help="points of the evaluator on a segment"
    )
    compare.add_argument(
        "--headless", action="store_true", help="no screen: progress in lines, then the table"
    )
    _add_fps(compare)
    _add_trust(compare)
    compare.add_argument("--json", action="store_true", help="the tables as one JSON object")
    compare.set_defaults(command=dispatch.compare)


def _add_components(commands: Commands) -> None:
    """Adds the command `components`."""
    components = commands.add_parser(
        "components",
        help="which of many models hang together at which level; the disconnectivity graph",
        description="Trains M models, or takes checkpoints of your own, and looks for paths "
        "between them with as few searches as possible: from the lowest level up, only between "
        "components, the closest pairs first. Tells the components at each level, the minimum "
        "spanning tree of barriers, and the disconnectivity graph. What was not connected is not "
        "found: numbers of components and barriers are upper bounds. The same command goes on "
        "where it was stopped.",
        epilog="exit status: 0 where every search that was decided has ended, connected or not",
    )
    components.add_argument("preset", metavar="PRESET", help="the name of a preset, or a .yaml")
    which = components.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--models",
        type=int,
        metavar="M",
        help="train so many; models 2k and 2k + 1 are the ends of a run with seed N + k",
    )
    which.add_argument(
        "--checkpoints",
        nargs="+",
        metavar="F",
        help="models of your own: checkpoints, patterns such as 'models/*.pt', or beads of a "
        "string, such as STRING#first",
    )
    components.add_argument("--levels", required=True, metavar="A,B,C", help="such as 0.1,0.01")
    components.add_argument(
        "--align",
        choices=("weights", "activations"),
        help="bring the second model's hidden units into the first one's order before each search",
    )
    components.add_argument(
        "--tries",
        type=int,
        default=3,
        metavar="N",
        help="pairs of models searched between two components at a level (default 3)",
    )
    components.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="new, or one to go on with"
    )
    _add_set(components)
    components.add_argument("--seed", type=int, metavar="N", help="of models 0 and 1")
    components.add_argument("--device", metavar="D", help="auto, cpu, cuda, or cuda:0,cuda:1")
    components.add_argument(
        "--at-once", type=int, default=64, metavar="N", help="searches under way at a time"
    )
    components.add_argument(
        "--grid", type=int, default=201, metavar="N", help="points of the evaluator on a segment"
    )
    components.add_argument(
        "--headless", action="store_true", help="no screen: progress in lines, then the tables"
    )
    _add_fps(components)
    components.add_argument("--json", action="store_true", help="the tables as one JSON object")
    _add_trust(components)
    components.set_defaults(command=dispatch.components)


def _add_figure(commands: Commands) -> None:
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
    figure.add_argument(
        "--run-factories",
        action="store_true",
        help="let a string name functions of yours, where a plane is measured",
    )
    figure.set_defaults(command=dispatch.figure)


def _add_presets(commands: Commands) -> None:
    """Adds the command `presets`."""
    presets = commands.add_parser("presets", help="list the presets, or print one")
    presets.add_argument("name", nargs="?", metavar="NAME")
    presets.set_defaults(command=dispatch.presets)


def _add_data(commands: Commands) -> None:
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
    _add_trust(data)
    data.set_defaults(command=dispatch.data)


def _add_barrier(commands: Commands) -> None:
    """Adds the command `barrier`."""
    barrier = commands.add_parser(
        "barrier",
        help="loss and error along the straight line between two models",
        description="Measures loss and error, training and held-out, along the straight line from "
        "model A to model B, and the barrier as the literature defines it. Nothing is trained, and "
        "no level is needed. Batch normalization gets statistics of its own at each point.",
        epilog=f"{TWO_MODELS} exit status: 0 measured, 2 bad input",
    )
    barrier.add_argument("first", metavar="A", help="a checkpoint, a bead, or a whole string")
    barrier.add_argument("second", metavar="B", nargs="?", help="another checkpoint or bead")
    barrier.add_argument(
        "--points", type=int, default=33, metavar="N", help="on the line (default 33)"
    )
    barrier.add_argument(
        "--align",
        nargs="?",
        const="weights",
        choices=("weights", "activations"),
        help="first bring B's hidden units into A's order (default: weights are compared)",
    )
    barrier.add_argument(
        "--permutation",
        type=Path,
        metavar="F",
        help="bring them into the order in a file of dss-tui align --permutation instead",
    )
    barrier.add_argument(
        "--repair",
        action="store_true",
        help="rescale the hidden units of the models in between (REPAIR); they then are not on the "
        "line",
    )
    barrier.add_argument(
        "--no-certify",
        dest="certify",
        action="store_false",
        help="measure alone; else a bound is proven where there is one, in some ten seconds each",
    )
    _add_models(barrier)
    barrier.add_argument("--json", action="store_true", help="the result as one JSON object")
    barrier.add_argument("--csv", type=Path, metavar="FILE", help="write the values to a .csv file")
    barrier.set_defaults(command=dispatch.barrier)


def _add_bench(commands: Commands) -> None:
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
    _add_trust(bench)
    bench.add_argument("--json", action="store_true", help="all of it as one JSON object")
    bench.set_defaults(command=dispatch.bench)


def _add_doctor(commands: Commands) -> None:
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


def _add_serve(commands: Commands) -> None:
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
