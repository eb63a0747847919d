"""Whether a test notices each rounding margin of the proofs that is taken to be nothing.

`python -m benchmarks.margins OUT` copies the tree to OUT, takes one margin after another away, and
runs the tests of the proofs until one fails. It prints a line for each.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.mutants import ROOT, copied, in_place, judged, pytest

PACKAGE = Path("engine/path/certificate")
TESTS = "tests/engine/path/certificate"

#: File, text that stands in it once, and the text without the margin.
MARGINS = (
    (
        "affine",
        "terms * (largest(x) * weights.mass + weights.bias_mass) + TINY",
        "0 * weights.mass",
    ),
    ("affine", "largest(x) * weights.mass + weights.bias_mass", "largest(x) * weights.mass"),
    ("affine", "SKEW * bow.abs() + ", ""),
    ("affine", " + torch.maximum(high, -low) / 2", ""),
    ("chord", "return x * (1 + 8 * EPSILON)", "return x"),
    ("dense", "slack = 2 * rounding(x, weights).max()", "slack = 0.0"),
    ("piecewise_linear", "outward(below - gap)", "below - gap"),
    ("piecewise_linear", "4 * EPSILON * (largest(x) + largest(y)) + TINY", "0.0"),
    ("pooling", "(size[0] * size[1] + 8) * EPSILON * largest(x) + TINY", "0.0"),
    ("sigmoid", "64 * EPSILON * (1 + fast + size + high - low)", "0.0"),
    ("scalar", "OUTWARD = 1 + 8 * EPSILON", "OUTWARD = 1.0"),
    ("bernstein", "within + 64 * EPSILON * size", "within"),
    ("losses", "error = 2 * len(parts) * EPSILON * coefficients.abs().sum(0)", "error = 0.0"),
    (
        "losses",
        "rest = rest + (count + 256) * 32 * EPSILON * sizes",
        "rest = rest + 0.0 * sizes",
    ),
    ("losses", "rest = rest + (count + 64) * 4 * EPSILON * sizes", "rest = rest + 0.0 * sizes"),
    ("losses", "(high.shape[-1] + 32) * 4 * EPSILON", "0.0"),
    ("losses", " + (scores.shape[-1] + 16) * EPSILON * (1 + size)", ""),
    ("compiled_layers", "terms = 4 * (inputs + 10) * EPSILON", "terms = 0.0"),
    ("compiled_layers", "room.sizes[0, s] * mass + bias_mass", "room.sizes[0, s] * mass"),
    ("compiled_layers", "SKEW * abs(x[2, i, s])", "0.0"),
    ("compiled_layers", " + larger(x[4, i, s], -x[3, i, s]) / 2", ""),
    ("compiled_forms", "1 + 2 * (forms.counts[s] + 4) * EPSILON", "1.0"),
    ("compiled_layers", "2 * heaviest, 2 * heaviest_bias", "0.0 * heaviest, 0.0"),
    ("compiled_losses", "(classes + 32) * 4 * EPSILON", "0.0"),
    ("compiled_losses", "(error * (1 + size) if p < 2 else 0.0)", "0.0"),
    ("scalar", "64 * EPSILON * (1 + fast + size + high - low)", "0.0"),
    (
        "network",
        "8 * torch.finfo(torch.float64).eps * (start.abs() + end.abs() + bow.abs())",
        "0.0",
    ),
)


def main() -> None:
    """Takes each margin away and prints which test notices."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="a folder for the copy")
    tree = copied(ROOT, parser.parse_args().out.resolve() / "tree")
    noticed = 0
    for name, margin, without in MARGINS:
        file = tree / PACKAGE / f"{name}.py"
        source = file.read_text(encoding="utf-8")
        if source.count(margin) != 1:
            sys.exit(f"{file}: {margin!r} stands in it {source.count(margin)} times; mend the list")
        with in_place(file, source.replace(margin, without), source):
            outcome, test = judged(pytest(tree, "-n", "0", "-x", "--tb=no", TESTS))
        noticed += outcome == "killed"
        print(f"{outcome:8} {name:16} {margin}  {test}", flush=True)
    print(f"{noticed} of {len(MARGINS)} are noticed")


if __name__ == "__main__":
    main()
