"""Keys of `search`: the methods, the level they search below, and what follows a connection."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    Tag,
)

from engine.part import LARGEST_LOSS, Fraction, Names, NonNegativeInt, Part, PositiveInt, Size
from engine.spec.level import LevelOn
from engine.spec.methods import METHODS, known
from engine.spec.training import BatchSize, PartialTraining, Training

Grid = Annotated[int, Field(ge=5, le=10**5)]
Margin = Annotated[float, Field(gt=0, lt=0.5)]


class Greedy(Training):
    """The settings of greedy DSS (Algorithm 1): open segments are split until all are closed."""

    t_star: Literal["peak", "half"] = "peak"
    """The place where a segment is split: at its highest peak, or half-way."""
    grid: Grid = 33
    """The number of points t = 0 … 1 at which a segment's loss is evaluated."""
    margin: Margin = 0.05
    """A new bead starts no nearer than this to either end of its segment, in t."""
    max_depth: Size = 14
    """The depth of splits at which a segment that is still open has failed."""
    slots: Size = 128
    """The largest number of beads that train at the same time."""


class Constrained(Training):
    """The settings of constrained DSS (§6): the whole string trains at once, from a high level."""

    check_every: PositiveInt = 10
    """The number of steps in a round. The string is evaluated after each round."""
    patience: PositiveInt = 300
    """The number of steps of a bead without a loss at least 0.1 % lower after which it counts as
    stuck."""
    hyperplane: Literal["hard", "soft", "off"] = "hard"
    """Whether an inner bead keeps to the plane that is equidistant from its neighbours: always, at
    a cost for leaving it (soft), or not at all."""
    kappa: PositiveFloat = 1e-3
    """The loss per unit of distance from the equidistant plane, for hyperplane soft."""
    zeta: NonNegativeFloat = 0.0
    """The loss per unit of distance between neighbours, of springs that hold them together."""
    alpha1: PositiveFloat = 0.25
    """A segment gets a bead where its peak exceeds (1 + alpha1) × the current level."""
    rho: Fraction = 0.7
    """The factor by which the current level falls when every bead is below it and no peak is too
    high."""
    margin: Margin | None = None
    """A new bead starts no nearer than this to either end of its segment, in t; null takes
    search.greedy.margin."""
    max_beads: Annotated[int, Field(ge=2)] = 400
    """The number of beads on the string, its ends included, at which the search gives up."""
    grid: Grid = 33
    """The number of points t = 0 … 1 at which a segment's loss is evaluated."""
    start_distance: PositiveFloat | None = None
    """The largest distance at which the two random models start from each other; null sets none."""
    on_stuck: Literal["report", "reinit", "greedy"] = "reinit"
    """The consequence of a bead that stops above the level. With report, the run ends with a
    diagnosis; with reinit, a stuck end begins anew, up to endpoints.restarts times, and a stuck
    inner bead is taken out; with greedy, greedy DSS goes on between the beads that are good."""
    take_out: NonNegativeInt = 30
    """The number of stuck inner beads that are taken out before the whole string counts as stuck.
    Where a peak still needs a bead, a new one starts there later."""


class Auto(Part):
    """A search by all means: greedy DSS first, constrained DSS where it got stuck, then detours."""

    patience: PositiveInt = 200
    """The number of steps without progress after which an end begins anew. Attempt k has this
    times the k-th number of the Luby sequence 1, 1, 2, 1, 1, 2, 4, …; an end has failed after
    (endpoints.restarts + 1) × endpoints.max_steps steps in all."""
    detours: NonNegativeInt = 2
    """The number of new models that are tried as way-points around a stretch that was not
    crossed."""


class Neb(PartialTraining):
    """The settings of the nudged elastic band, whose beads relax across the band.

    A key that is left out is taken from search.greedy, but check_every. The band is trained in
    cycles, and gets beads between them where it is too high (AutoNEB, Draxler et al. 2018).
    """

    check_every: PositiveInt = 10
    """The number of steps in a round. Tangents go by the losses after the last round."""
    beads: Size = 5
    """The number of inner beads that the band begins with, evenly spaced."""
    spring: NonNegativeFloat = 1e-3
    """The constant of the springs between neighbours, which act along the band."""
    cycle: Size = 200
    """The number of steps of a cycle, after which segments are measured and beads inserted."""
    insert: NonNegativeFloat = 0.2
    """A segment gets a bead where its peak rises above both of its beads by more than this share of
    the higher one, or where it alone exceeds the level."""
    climb: NonNegativeInt = 0
    """The number of last cycles in which the highest bead climbs to the saddle."""
    max_beads: Annotated[int, Field(ge=3)] = 100
    """The number of beads on the band, its ends included, up to which beads are inserted."""


class Curve(PartialTraining):
    """The settings of a curve that is trained for its expected loss (Garipov et al. 2018).

    A key that is left out is taken from search.greedy.
    """

    control_points: Size = 1
    """The number of control points between the two ends, all of which are trained."""
    look_every: PositiveInt = 100
    """The number of steps after which models along the curve are judged. Where all are below the
    level, the curve is made a string and measured."""


class Complex(Curve):
    """The settings of two simplexes that join the ends (Benton et al. 2021)."""

    control_points: Size = 2
    """The number of vertices that both simplexes share, all of which are trained."""
    volume: NonNegativeFloat = 1e-5
    """The loss by which the logarithm of each simplex's volume counts in steps."""


class Polish(PartialTraining):
    """The training by which the beads of a stuck string are trained further, each for itself.

    A key that is left out is taken from search.greedy, but the patience from search.constrained.
    """


class Detour(PartialTraining):
    """The training of a new model that serves as a way-point around a failed stretch.

    A key that is left out is taken from endpoints, but the patience from search.auto.
    """

    patience: PositiveInt | None = None
    """The number of steps without progress after which a model begins anew. Attempt k has this
    times the k-th number of the Luby sequence, as in search.auto."""
    restarts: NonNegativeInt | None = None
    """A model has failed after (restarts + 1) × max_steps steps in all; null takes
    endpoints.restarts."""


class Shortening(Part):
    """The settings by which a connected string is pulled tight below the level."""

    sweeps: PositiveInt = 100
    """The largest number of sweeps, in each of which all beads move once."""
    gain: Fraction = 2e-3
    """Two sweeps that each shorten the string by less than this share are followed by slopes on
    more samples, then by more beads, and at last by the end."""
    doublings: NonNegativeInt = 1
    """The number of times that every segment gets a bead in its middle, so that the string can
    bend."""


class Audit(Part):
    """The audit of the whole string, which a run must pass before it is called connected."""

    grid: Literal["auto", "fine", "coarse"] = "auto"
    """The grid of the audit: with fine 10× the search's points in float64, with coarse 2× in
    float32, with auto fine where that is cheap beside the run. The neighbourhoods
    of the highest peaks are refined in any case."""
    share: Fraction = 0.2
    """The share of the run's own cost up to which a fine audit counts as cheap, for grid auto."""
    batch_size: BatchSize | None = None
    """The number of training samples of a step by which the run's cost is reckoned; null takes
    search.greedy.batch_size."""


Certify = Literal["auto", "off", "require"]


class TimesEnds(Part):
    """A level that follows from the ends, once both are there."""

    times_ends: Annotated[float, Field(ge=1)]
    """The factor, at least 1, by which the worse end's objective is multiplied."""


def _kind_of_level(value: object) -> str:
    """Returns which of the three kinds of level a value is meant to be."""
    if isinstance(value, dict | TimesEnds):
        return TimesEnds.__name__
    word = isinstance(value, str) and not re.fullmatch(r"[-+.\d].*", value)
    return "a word" if word else "a number"


def _word(value: object) -> object:
    """Returns the word of a level. Raises ValueError for another one."""
    if value != "lowest":
        raise ValueError(f'is "{value}"; give a number above 0, {{times_ends: 1.5}} or lowest')
    return value


AnyLevel = Annotated[
    Annotated[float, Field(gt=0, le=LARGEST_LOSS), Tag("a number")]
    | Annotated[TimesEnds, Tag("TimesEnds")]
    | Annotated[Literal["lowest"], BeforeValidator(_word), Tag("a word")],
    Discriminator(_kind_of_level),
]


class Search(Part):
    """The search for a path, and the level that it must stay below."""

    method: Annotated[str, AfterValidator(known)] = "greedy"
    """The method. Dynamic String Sampling: greedy (Algorithm 1), constrained (§6), or auto for both
    and detours. Other searches: neb (nudged elastic band), bezier, polychain and simplex, which are
    trained for their expected loss. Or linear, the path in closed form between deep linear networks
    (§2.1)."""
    level: AnyLevel
    """The level L0 that no point of the path may exceed, a training loss unless level_on says
    otherwise: a number; {times_ends: 1.5}, that many times the worse end's; or lowest, the lowest
    level at which the method finds a path between these two ends."""
    resolution: Fraction = 0.02
    """The share to which a lowest level is looked for: the search ends when it has failed at a
    level that is lower by this share, or has come as near to the worse end. Only for level:
    lowest."""
    tolerance: NonNegativeFloat = 0.0
    """A segment counts as closed up to (1 + tolerance) × level. Beads are trained to a share of
    the level all the same. Where it is not 0, both numbers are told."""
    level_on: LevelOn = LevelOn()
    """The objective: the metric and the split that are held against the level."""
    alpha: Fraction = 0.8
    """The share of the level that beads are trained to."""
    min_inner_beads: Annotated[int, Field(ge=0, le=10**5)] = 0
    """The number of beads that are trained first with the methods greedy and auto, evenly spaced
    on the line between the ends, even where that line is below the level. One that misses its
    target from every start is left out. Greedy DSS then closes the segments between them, and they
    are audited like any other. Shortening moves them, but leaves so many on the string. A search
    that starts from a string file takes the beads of that file instead."""
    grid: Grid | None = None
    """The number of points t = 0 … 1 at which every stage evaluates a segment; null takes
    search.constrained.grid with method constrained, and search.greedy.grid with the others."""
    greedy: Greedy = Greedy()
    """The settings of greedy DSS, in every method that uses it."""
    constrained: Constrained = Constrained()
    """The settings of constrained DSS, in every method that uses it."""
    neb: Neb = Neb()
    """The settings of the nudged elastic band."""
    bezier: Curve = Curve()
    """The settings of the Bezier curve."""
    polychain: Curve = Curve()
    """The settings of the chain of straight lines."""
    simplex: Complex = Complex()
    """The settings of the simplexes."""
    polish: Polish = Polish()
    """The training of the beads of a stuck string, each for itself."""
    auto: Auto = Auto()
    """The settings of method auto."""
    detour: Detour = Detour()
    """The training of the models of detours."""
    shorten: bool = False
    """Whether a string that connects is then pulled tight below the level."""
    shortening: Shortening = Shortening()
    """The settings of shortening."""
    string: Annotated[str | None, Names.PATH] = None
    """A string file to start from in place of random ends and a first search. Constrained DSS
    lowers it as a whole; with any other method its beads train one by one, and greedy DSS goes
    on."""
    certify: Certify = "auto"
    """Whether a path is proven to stay below the level for every t before it is called connected.
    auto: where the network allows a proof and its cost is in proportion to the search's own, else
    the path is audited; require: always, or the search ends without a connection; off: never."""
    audit: Audit = Audit()
    """The settings of the audit, which a run must pass before it is called connected."""
    batching: Literal["auto", "fused", "triton", "vmap", "graph", "loop"] = "auto"
    """The backend, which computes beads together: by compiled code for fully connected networks on
    the CPU (fused), or whole rounds of theirs in one launch on a GPU (triton), in one call for all
    (vmap), in such a call recorded as a CUDA graph (graph), or one after another (loop). With auto,
    it is fused or triton for small fully connected networks, and else the fastest one, which is
    measured once. run.yaml holds its name."""
    compile: bool = False
    """Whether steps are compiled by torch: those of all models together (batching: vmap), or the
    network of one model at a time (loop). With auto, together where the network can be batched.
    Compiling takes ten seconds or more for each shape of samples and each power of two of models,
    and needs a C++ compiler on the CPU and Triton on a GPU. Losses are measured without it."""

    @property
    def number(self) -> float | None:
        """The level where the preset names it; None where it comes about in the search."""
        return float(self.level) if isinstance(self.level, int | float) else None

    @property
    def splits_a_string(self) -> bool:
        """Whether the string of a file is split by greedy DSS, since the method takes none."""
        return self.string is not None and not METHODS[self.method].takes_strings

    @property
    def level_words(self) -> str:
        """The level in words: a number, "1.5 × the worse end" or "lowest"."""
        if isinstance(self.level, TimesEnds):
            return f"{self.level.times_ends:g} × the worse end"
        return self.level if isinstance(self.level, str) else f"{self.level:g}"
