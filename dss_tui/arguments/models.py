"""The arguments of the commands on two models, which train nothing."""

from __future__ import annotations

from pathlib import Path

from dss_tui import dispatch
from dss_tui.arguments.options import TWO_MODELS, Commands, add_models


def add_align(commands: Commands) -> None:
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
    add_models(align)
    align.set_defaults(command=dispatch.align)


def add_barrier(commands: Commands) -> None:
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
    add_models(barrier)
    barrier.add_argument("--json", action="store_true", help="the result as one JSON object")
    barrier.add_argument("--csv", type=Path, metavar="FILE", help="write the values to a .csv file")
    barrier.set_defaults(command=dispatch.barrier)
