"""What proofs take, beside the sampling that they replace.

`python -m benchmarks.proofs quadratic --seeds 20` connects that many pairs of a preset, proves each
string from its file's content alone, and measures it on the audit's fine grid in the same process.
It prints how many strings are proven at their own level, cells and seconds of one string (median
and worst), the sampling's seconds, and how often a level just below the peak is refuted.

`--close` proves each string at 1.0001 times its true peak as well. `--searches` makes whole
searches that sample and that prove, by turns, and `--pairs 100` so many pairs at once, as a sweep
does.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import TypeVar

import engine
from engine.path.segments import audit_grid
from engine.record.string_file import StringFile
from engine.run.certify import Certificate, certify

Result = TypeVar("Result")

#: Shares by which a level below the sampled peak lies below it.
BELOW = (1e-3, 1e-4, 1e-5, 1e-6)
#: What the true peak is multiplied by for a level that is close to it.
CLOSE = 1.0001
#: Times that each string is proven, of which the quickest counts.
TRIES = 3
WAYS = ("off", "auto")


def timed(call: Callable[[], Result]) -> tuple[Result, float]:
    """Returns what a call returns, and the seconds of processor time that it took."""
    began = time.process_time()
    result = call()
    return result, time.process_time() - began


def connected(preset: str, seeds: int, overrides: Sequence[str]) -> list[StringFile]:
    """Returns the strings of the seeds from 0 on that connect, sampled and not proven."""
    found = []
    for seed in range(seeds):
        settings = ["search.certify=off", *overrides]
        with engine.search(engine.load_preset(preset, settings, seed=seed)) as search:
            if search.run().outcome is engine.Outcome.CONNECTED:
                found.append(search.string())
    return found


def quickest(call: Callable[[], Result]) -> tuple[Result, float]:
    """Returns what a call returns, and the least seconds of processor time of a few calls."""
    found = [timed(call) for _ in range(TRIES)]
    return found[0][0], min(spent for _, spent in found)


def close(files: Sequence[StringFile]) -> str:
    """Returns how levels close to the true peak are proven, in a sentence."""
    good, times, cells = 0, [], []
    for file in files:
        peak = max(profile.peak for profile in engine.measure(file, points=4001))
        _, own = quickest(lambda file=file: certify(file))  # type: ignore[misc]
        found, spent = quickest(lambda file=file, peak=peak: certify(file, level=CLOSE * peak))  # type: ignore[misc]
        good += found.certified is True
        times.append(spent / own)
        cells.append(sum(proof.bounds for proof in found.proofs))
    return (
        f"  at {CLOSE:g} times the peak {good} of {len(files)} are proven, in {median(times):.2f} "
        f"(worst {max(times):.2f}) times the time of their level, {median(cells):g} cells bounded"
    )


def searches(preset: str, seeds: int, overrides: Sequence[str]) -> str:
    """Returns the processor seconds of whole searches that sample and that prove, by turns."""
    spent: dict[str, list[float]] = {way: [] for way in WAYS}
    for seed in range(-1, seeds):
        for way in WAYS:
            spec = engine.load_preset(
                preset, [f"search.certify={way}", *overrides], seed=max(0, seed)
            )
            with engine.search(spec) as search:
                seconds = timed(search.run)[1]
            if seed >= 0:  # the first of all imports and compiles
                spent[way].append(seconds)
    return _searched("whole searches", spent)


def pairs(preset: str, count: int, overrides: Sequence[str]) -> str:
    """Returns the processor seconds of many pairs at once that sample and that prove, by turns."""
    spent: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(TRIES):
        for way in WAYS:
            spec = engine.load_preset(preset, [f"search.certify={way}", *overrides])
            level = spec.search.number
            assert level is not None
            spent[way].append(timed(lambda: engine.search_pairs(spec, [level], count))[1])  # noqa: B023
    return _searched(f"{count} pairs at once", spent)


def _searched(what: str, spent: dict[str, list[float]]) -> str:
    sampled, proven = (spent[way] for way in WAYS)
    return (
        f"  {what}: {median(sampled):.3f} s ({max(sampled):.3f}) sampled, "
        f"{median(proven):.3f} s ({max(proven):.3f}) proven"
    )


def refuted(file: StringFile) -> int:
    """Returns how many levels just below the sampled peak are refuted."""
    peak = max(engine.verify(file, 1001).peaks)
    return sum(certify(file, level=peak * (1 - share)).certified is False for share in BELOW)


def main() -> None:
    """Measures what the command line asks for and prints a row of a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("preset")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--refute", action="store_true", help="levels just below the peak as well")
    parser.add_argument("--close", action="store_true", help="a level just above the peak as well")
    parser.add_argument("--searches", action="store_true", help="whole searches as well")
    parser.add_argument("--pairs", type=int, help="so many pairs at once as well")
    asked = parser.parse_args()
    strings = connected(asked.preset, asked.seeds, asked.set)
    if not strings:
        print(f"{asked.preset}: none of {asked.seeds} pairs connects")
        return
    certify(strings[0])  # imports and compiles
    points = len(audit_grid(33, 10))
    proofs, seconds, sampling, below = [], [], [], 0
    for file in strings:
        proof, spent = timed(lambda file=file: certify(file))  # type: ignore[misc]
        proofs.append(proof)
        seconds.append(spent)
        sampling.append(timed(lambda file=file: engine.measure(file, points=points))[1])  # type: ignore[misc]
        below += refuted(file) if asked.refute else 0
    print(_row(asked.preset, proofs, seconds, sampling))
    if asked.refute:
        print(f"  {below} of {len(BELOW) * len(strings)} levels just below the peak are refuted")
    if asked.close:
        print(close(strings))
    if asked.searches:
        print(searches(asked.preset, asked.seeds, asked.set))
    if asked.pairs:
        print(pairs(asked.preset, asked.pairs, asked.set))


def _row(
    preset: str, proofs: list[Certificate], seconds: list[float], sampling: list[float]
) -> str:
    cells = [sum(len(proof.cells) for proof in each.proofs) for each in proofs]
    proven = sum(each.certified is True for each in proofs)
    return (
        f"| {preset} | {proven} of {len(proofs)} | {median(cells):g} ({max(cells)}) | "
        f"{median(seconds):.3f} ({max(seconds):.3f}) | {median(sampling):.3f} "
        f"({max(sampling):.3f}) |"
    )


if __name__ == "__main__":
    main()
