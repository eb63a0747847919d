"""What the words and glyphs of the screens mean, for somebody who has not read the paper."""

from __future__ import annotations

from dataclasses import dataclass

#: Words of the screens with a sentence or two about each, in an order to read them in.
WORDS: tuple[tuple[str, str], ...] = (
    (
        "level",
        "The highest loss that is allowed on the path, L0 in the paper. The question of a run is "
        "whether two trained networks are connected by weights whose loss never exceeds it.",
    ),
    (
        "bead",
        "One set of weights of the network. The two beads at the ends, θ₁ and θ₂, are networks "
        "that were trained from different random weights; beads between them hold the path low.",
    ),
    (
        "string",
        "The path: its beads in order, and the straight lines between neighbours.",
    ),
    (
        "segment",
        "The straight line of weights from one bead to the next, (1 − t)·left + t·right for t "
        "from 0 to 1. It is closed where its loss is at most the level everywhere.",
    ),
    (
        "peak",
        "The highest loss along a segment. An open segment gets a new bead at its peak, which is "
        "trained until it is below the level.",
    ),
    (
        "barrier",
        "How far the straight line between two models rises above them: its peak loss less the "
        "mean of both. A high peak alone is no barrier. `dss-tui barrier` measures both.",
    ),
    (
        "depth",
        "How many splits of segments led to a bead. A landscape that is hard to cross needs "
        "deep splits.",
    ),
    (
        "length",
        "The length of the string divided by the distance of its ends. A straight path has 1; a "
        "crooked one is longer.",
    ),
    (
        "proven",
        "Bounds on the loss were computed that hold for every point of the segment, not only for "
        "points that were tried.",
    ),
    (
        "sampled",
        "The loss was measured at many points of the segment, and none is above the level. What "
        "lies between the points is not known.",
    ),
    (
        "not connected",
        "The search has given up. That does not prove that there is no path; the diagnosis says "
        "what stood in the way.",
    ),
)


@dataclass(frozen=True)
class Glyph:
    """A glyph of a screen and what it says."""

    glyph: str
    word: str
    """Its meaning in a word or two, for a line of legend."""
    about: str
    """Its meaning for somebody who sees it for the first time."""


#: The glyphs of a run's screen.
GLYPHS = (
    Glyph("●", "at most the level", "a bead whose loss is at most the level"),
    Glyph("▲", "above it", "a bead whose loss is above the level"),
    Glyph("○", "loss unknown", "a bead whose loss is not known yet"),
    Glyph("━", "closed by samples", "a segment that is below the level at all points tried"),
    Glyph("═", "proven", "a segment that is proven to be below the level everywhere"),
    Glyph("┅", "open", "a segment with a point above the level"),
    Glyph("◌", "training", "a segment whose new bead is in training"),
    Glyph("╳", "given up", "a segment that the search has given up"),
    Glyph("┄", "level", "the level"),
    Glyph("╌", "aim", "the level that a falling string has to reach next"),
)
