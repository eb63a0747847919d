"""The arguments of the commands that run many searches in one folder."""

from __future__ import annotations

from dss_tui import dispatch
from dss_tui.arguments.options import Commands, add_crew, add_grid, add_many


def add_sweep(commands: Commands) -> None:
    """Adds the command `sweep`."""
    sweep = commands.add_parser("sweep", help="many pairs at many levels, in one batch")
    sweep.add_argument("preset", metavar="PRESET", help="the name of a preset, or a .yaml file")
    sweep.add_argument(
        "--levels",
        required=True,
        metavar="A,B,C",
        help="such as 0.1,0.05 or lowest or 1.5x (times the worse end)",
    )
    sweep.add_argument("--pairs", type=int, required=True, metavar="N", help="at each level")
    add_crew(sweep)
    add_many(sweep, seed="of pair 0; pair k has N + k")
    sweep.set_defaults(command=dispatch.sweep)


def add_compare(commands: Commands) -> None:
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
    add_crew(compare, at_once=False)
    add_grid(compare)
    add_many(compare, seed="of pair 0; pair k has N + k", example="search.level=0.02")
    compare.set_defaults(command=dispatch.compare)


def add_components(commands: Commands) -> None:
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
    add_crew(components)
    add_grid(components)
    add_many(components, seed="of models 0 and 1")
    components.set_defaults(command=dispatch.components)
