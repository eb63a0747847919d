"""What every method promises the search loop, whatever its stages: one contract for all.

Each case is a small problem, the method's settings and the outcome that is known for it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from engine.methods import build_method
from engine.methods.method import MethodState, StagedMethod
from engine.path.snapshot import Key, MethodProgress
from engine.problem.problem import Problem, build_problem
from engine.record.commands import Command
from engine.record.events import (
    BeadInserted,
    CheckpointSaved,
    Continued,
    Event,
    Outcome,
    RunFinished,
    RunStarted,
    StringShortened,
)
from engine.record.geometry import BeadString
from engine.record.packing import pack, unpack
from engine.record.string_file import Header, StringFile
from engine.run.loop import Pace, search
from engine.run.stopwatch import Stopwatch
from engine.spec.keys import Limits, Spec
from engine.spec.yaml_file import parse
from engine.told import Told
from engine.workers.pool import Pool
from tests.support.landscapes import Surface, double_well, landscape, ring
from tests.support.more import always
from tests.support.string_files import encode
from tests.support.workers import vmapped

FAST = {"optimizer": {"kind": "sgd", "lr": 0.05}, "max_steps": 400}
#: Steps after which a method that should have ended is taken to run for ever.
ENDLESS = 300
RESTORED_TO_THE_END = 2
"""Checkpoints of a run from which it is run to its end."""


def high(w: Tensor) -> Tensor:
    """Nowhere as low as the level that is asked for."""
    return ring(w) + 0.5


def tree(level: float, seed: int, search: dict[str, Any], **others: Any) -> dict[str, Any]:
    """A preset in which everything trains by plain gradient descent."""
    return {
        "problem": {
            "data": {"kind": "polynomial", "coefficients": [0.1, 0.8], "points": 8},
            "network": {"kind": "mlp", "sizes": [1, 3, 1], "activation": "tanh"},
            "loss": "mse",
        },
        "endpoints": FAST | {"patience": 100, "restarts": 2},
        "search": {
            "level": level,
            "greedy": FAST
            | {"patience": 60, "max_depth": 4, "grid": 17}
            | search.pop("greedy", {}),
            "constrained": FAST
            | {
                "patience": 60,
                "check_every": 20,
                "max_beads": 14,
                "rho": 0.3,
                "grid": 17,
                "hyperplane": "hard",
            }
            | search.pop("constrained", {}),
            "auto": {"patience": 60, "detours": 1},
            "shortening": {"sweeps": 6, "doublings": 1},
        }
        | search,
        "seed": seed,
    } | others


@dataclass(frozen=True)
class Case:
    """A method on a problem; `file` holds the beads of a string to start from."""

    outcome: Outcome
    level: float
    method: str = "greedy"
    surface: Surface | None = None
    """A network's own loss where there is none."""
    seed: int = 1
    search: tuple[tuple[str, Any], ...] = ()
    others: tuple[tuple[str, Any], ...] = ()
    file: tuple[tuple[float, ...], ...] | None = None

    def spec(self, folder: Path) -> Spec:
        search = {"method": self.method} | json.loads(json.dumps(dict(self.search)))
        spec = parse(tree(self.level, self.seed, search, **dict(self.others)))
        if self.file is None:
            return spec
        path = folder / f"{abs(hash(self.file))}.safetensors"
        path.write_bytes(encode(string_file(self.problem(spec), spec, self.file), ".safetensors"))
        with_file = spec.search.model_copy(update={"string": str(path)})
        return spec.model_copy(update={"search": with_file})

    def problem(self, spec: Spec) -> Problem:
        return build_problem(spec.problem) if self.surface is None else landscape(self.surface)


def string_file(problem: Problem, spec: Spec, beads: tuple[tuple[float, ...], ...]) -> StringFile:
    """As an earlier run would have left it; the profiles are not looked at by a search."""
    theta = np.array(beads, np.float32)
    flat = np.full((len(beads) - 1, 5), 0.1)
    string = BeadString(theta, np.full(len(beads), 0.1), np.linspace(0, 1, 5), flat)
    header = Header(
        outcome="connected",
        level=2.0,
        alpha=0.8,
        method="greedy",
        seed=0,
        problem=spec.problem,
        parameters=tuple((p.name, p.shape) for p in problem.parameters),
        data_sha256=problem.checksum,
        bead_ids=tuple(range(1, len(beads) + 1)),
        elapsed_s=1.0,
    )
    return StringFile(header, string)


def constrained(on_stuck: str, **more: Any) -> tuple[tuple[str, Any], ...]:
    return (("constrained", {"on_stuck": on_stuck} | more),)


SHORTEN: tuple[tuple[str, Any], ...] = (("shorten", True),)
#: Gives up soon where there is nothing to find.
SHALLOW: tuple[tuple[str, Any], ...] = (
    ("greedy", {"patience": 30, "max_depth": 2}),
    *constrained("report", patience=20, max_beads=8),
)
PERMUTED = (("endpoints", FAST | {"kind": "permuted", "optimizer": {"kind": "adam", "lr": 0.02}}),)
HASTY = (("endpoints", FAST | {"max_steps": 150, "patience": 40, "restarts": 1}),)
ADAM = {"optimizer": {"kind": "adam", "lr": 0.02}, "max_steps": 800}
LINEAR = (
    (
        "problem",
        {
            "data": {"kind": "linear_map", "features": 2, "outputs": 1, "samples": 12},
            "network": {"kind": "linear", "sizes": [2, 3, 1]},
            "loss": "mse",
        },
    ),
    ("endpoints", ADAM),
)
#: A block with everything that a recipe may have.
RECIPE: dict[str, Any] = {
    "optimizer": {
        "kind": "sgd",
        "lr": 0.05,
        "momentum": 0.8,
        "nesterov": True,
        "weight_decay": 1e-5,
        "decay_exempt": ["bias"],
    },
    "schedule": {"kind": "cosine", "unit": "epochs", "length": 300, "warmup": 3, "floor": 0.2},
    "clip": {"norm": 0.5, "value": 0.3},
    "batch_size": 3,
    "drop_last": True,
}
BY_RECIPE = (("endpoints", FAST | {"patience": 100, "restarts": 2} | RECIPE),)
ARC = tuple((math.cos(a), math.sin(a)) for a in np.linspace(0.1, 3.0, 5))
YES, NO, UNTRAINED = Outcome.CONNECTED, Outcome.NOT_CONNECTED, Outcome.ENDPOINT_NOT_TRAINED

#: Ends that are trained by their recipe, and a level that is looked for between them.
BY_EPOCHS = (("endpoints", FAST | {"until": "epochs", "epochs": 25}),)
LOWEST = (("level", "lowest"), ("resolution", 0.2))


def raised(w: Tensor) -> Tensor:
    """A ring whose valley has no peak above its floor of 0.05."""
    return ring(w) + 0.05


def pass_of_one(w: Tensor) -> Tensor:
    """Two valleys at 0.1, and a pass of height 1.1 between them."""
    return double_well(w) + 0.1


CASES = {
    "greedy": Case(YES, 0.02, surface=ring, seed=8),
    "greedy, no path": Case(NO, 0.3, surface=double_well, seed=1),
    "greedy, untrained": Case(UNTRAINED, 0.1, surface=high, others=HASTY),
    "greedy, network": Case(YES, 0.008, seed=2),
    "greedy, recipe": Case(
        YES, 0.01, seed=2, search=(("greedy", RECIPE | {"patience": 200}),), others=BY_RECIPE
    ),
    "constrained, recipe": Case(
        YES,
        0.03,
        "constrained",
        seed=2,
        search=(("constrained", RECIPE | {"patience": 200}),),
        others=BY_RECIPE,
    ),
    "greedy, permuted": Case(YES, 0.01, seed=1, others=PERMUTED),
    "greedy, shorten": Case(YES, 0.02, surface=ring, seed=8, search=SHORTEN),
    "greedy, shorten, no path": Case(NO, 0.3, surface=double_well, seed=1, search=SHORTEN),
    "linear": Case(YES, 0.1, "linear", seed=10, others=LINEAR),
    "linear, shorten": Case(YES, 0.1, "linear", seed=10, search=SHORTEN, others=LINEAR),
    "auto": Case(YES, 0.05, "auto", ring, seed=8),
    "auto, no path": Case(NO, 0.3, "auto", double_well, seed=1, search=SHALLOW),
    "auto, untrained": Case(UNTRAINED, 0.1, "auto", high, others=HASTY),
    "auto, shorten": Case(YES, 0.05, "auto", ring, seed=7, search=SHORTEN),
    "file": Case(YES, 0.05, surface=ring, file=ARC),
    "file, shorten": Case(YES, 0.05, surface=ring, file=ARC, search=SHORTEN),
    "file, untrained": Case(UNTRAINED, 0.1, surface=high, file=ARC),
    "greedy, lowest": Case(YES, 0.061, surface=raised, seed=8, search=LOWEST, others=BY_EPOCHS),
    "greedy, lowest over a pass": Case(
        YES, 1.1 * 1.25, surface=pass_of_one, seed=1, search=LOWEST + SHALLOW, others=BY_EPOCHS
    ),
    "constrained, lowest": Case(
        YES, 0.061, "constrained", raised, seed=8, search=LOWEST, others=BY_EPOCHS
    ),
    "constrained, lowest over a pass": Case(
        YES, 1.1 * 1.25, "constrained", pass_of_one, 1, search=LOWEST + SHALLOW, others=BY_EPOCHS
    ),
    "auto, lowest, shorten": Case(
        YES, 0.061, "auto", raised, seed=8, search=LOWEST + SHORTEN, others=BY_EPOCHS
    ),
    "file, lowest": Case(YES, 0.061, surface=raised, file=ARC, search=LOWEST),
    "linear, lowest": Case(
        YES, 0.1, "linear", seed=10, search=LOWEST, others=(LINEAR[0], BY_EPOCHS[0])
    ),
    "greedy, times the ends": Case(
        YES,
        0.1,
        surface=raised,
        seed=8,
        search=(("level", {"times_ends": 1.3}),),
        others=BY_EPOCHS,
    ),
    "auto, times the ends, no path": Case(
        NO,
        0.3,
        "auto",
        pass_of_one,
        seed=1,
        search=(("level", {"times_ends": 1.5}), *SHALLOW),
        others=BY_EPOCHS,
    ),
    "constrained, permuted": Case(YES, 0.01, "constrained", seed=1, others=PERMUTED),
}
for _on_stuck in ("report", "reinit", "greedy"):
    CASES[f"constrained {_on_stuck}"] = Case(
        YES, 0.05, "constrained", ring, seed=8, search=constrained(_on_stuck)
    )
for _on_stuck in ("report", "greedy"):
    CASES[f"constrained {_on_stuck}, no path"] = Case(
        NO,
        0.3,
        "constrained",
        double_well,
        seed=1,
        search=SHALLOW + constrained(_on_stuck, patience=20, max_beads=8),
    )
for _on_stuck in ("report", "reinit"):
    CASES[f"constrained {_on_stuck}, never low"] = Case(
        NO if _on_stuck == "report" else UNTRAINED,
        0.1,
        "constrained",
        high,
        search=constrained(_on_stuck),
        others=HASTY,
    )
CASES["constrained greedy, shorten"] = Case(
    YES, 0.05, "constrained", ring, seed=8, search=constrained("greedy") + SHORTEN
)
#: Few steps, of a band or a curve that finds no way.
SOON = {"max_steps": 120, "check_every": 20}
PEERS: dict[str, dict[str, Any]] = {
    "neb": {"cycle": 60, "spring": 0.1, "beads": 3},
    "bezier": {"control_points": 2, "look_every": 60},
    "polychain": {"control_points": 3, "look_every": 60},
    "simplex": {"control_points": 1, "look_every": 60, "volume": 1e-4},
}
for _name, _keys in PEERS.items():
    CASES[_name] = Case(YES, 0.4, _name, ring, seed=8, search=((_name, _keys),))
    CASES[f"{_name}, no path"] = Case(
        NO, 0.3, _name, double_well, seed=1, search=((_name, _keys | SOON),)
    )
CASES["neb, climbing, mini-batches"] = Case(
    YES, 0.01, "neb", seed=2, search=(("neb", {"climb": 100, "cycle": 60, "batch_size": 4}),)
)
GROWS = FAST | {"batch_size": 1, "grow_batch": True, "check_every": 10, "patience": 80}
CASES["greedy, growing mini-batches"] = Case(
    YES, 0.003, seed=2, search=(("greedy", GROWS),), others=(("endpoints", GROWS),)
)
CASES["bezier, growing mini-batches"] = Case(
    YES, 0.05, "bezier", seed=2, search=(("bezier", {"grow_batch": True, "batch_size": 4}),)
)
CASES["bezier, mini-batches, shorten"] = Case(
    YES, 0.05, "bezier", seed=2, search=(("bezier", {"batch_size": 4}), *SHORTEN)
)
CASES["polychain, lowest"] = Case(
    YES,
    0.2,
    "polychain",
    raised,
    seed=8,
    search=(("polychain", {"control_points": 5}), *LOWEST),
    others=BY_EPOCHS,
)


# ---------------------------------------------------------------- running a method


def through_bytes(state: MethodState) -> MethodState:
    """A method's state as a checkpoint file brings it back: safetensors, and JSON in its header."""
    tensors, plain = pack(state)
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = safetensors.torch.save(on_cpu, {"method": json.dumps(plain)})
    size = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + size])["__metadata__"]
    packed = safetensors.torch.load(content), json.loads(metadata["method"])
    return unpack(MethodState, packed, Path("checkpoint"))


def bits(state: MethodState) -> str:
    """Equal for states that are equal to the bit."""
    tensors, plain = pack(state)
    held = {
        name: (str(tensor.dtype), tuple(tensor.shape), tensor.cpu().numpy().tobytes().hex())
        for name, tensor in sorted(tensors.items())
    }
    return repr(held) + json.dumps(plain, sort_keys=True)


def string_bits(string: BeadString) -> list[bytes]:
    arrays = (string.beads, string.losses, string.t, string.profiles)
    return [np.ascontiguousarray(array).tobytes() for array in arrays]


@dataclass
class Looks:
    """What was seen of a method between its steps."""

    events: list[list[Event]] = field(default_factory=list)
    """Of each step."""
    boards: list[MethodProgress] = field(default_factory=list)
    """Before the first step and after each."""
    saved: list[MethodState] = field(default_factory=list)
    string: BeadString | None = None
    method: StagedMethod | None = None


class Bench:
    """Makes the method of a case, anew each time, as a new process would."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case, self.spec = case, case.spec(folder)
        self.problem = case.problem(self.spec)

    @contextmanager
    def method(self, saved: MethodState | None = None) -> Iterator[StagedMethod]:
        with Pool(vmapped(self.problem), [torch.device("cpu")]) as pool:
            made = build_method(self.spec, pool)
            if saved is not None:
                made.resume(through_bytes(saved))
            yield made

    def plain_run(self, saved: MethodState | None = None) -> tuple[list[Event], BeadString]:
        """To the verdict, looking at nothing on the way."""
        with self.method(saved) as method:
            return [event for step in steps(method) for event in step], method.string()

    def watched_run(self) -> Looks:
        """To the verdict, looking at everything between all steps."""
        looks = Looks()

        def look(method: StagedMethod) -> None:
            before = bits(method.state)
            looks.boards.append(method.progress())
            looks.string = method.string()
            method.describe_audit()
            method.diagnosis()
            looks.saved.append(through_bytes(method.state))
            assert bits(looks.saved[-1]) == before
            assert repr(method.progress()) == repr(looks.boards[-1])

        with self.method() as method:
            look(method)
            for events in steps(method):
                looks.events.append(events)
                look(method)
            looks.method = method
        return looks


def steps(method: StagedMethod, beads_left: int | None = None) -> Iterator[list[Event]]:
    for _ in range(ENDLESS):
        if method.verdict is not None:
            return
        yield method.step(beads_left)
    raise AssertionError(f"no verdict after {ENDLESS} steps")


def highest_loss(problem: Problem, string: BeadString, points: int = 2001) -> float:
    """Measured by nothing that the search measures with, in float64."""
    exact = problem.to(dtype=torch.float64)
    t = torch.linspace(0, 1, points, dtype=torch.float64)[:, None]
    beads = torch.from_numpy(string.beads).double()
    return max(vmapped(exact).losses((1 - t) * a + t * b).max().item() for a, b in pairwise(beads))


@dataclass
class Memory:
    """A store that keeps the newest checkpoint, as bytes would."""

    method: StagedMethod
    kept: MethodState | None = None
    seq: int = 0
    resumable: bool = True
    outcomes: list[Outcome] = field(default_factory=list)

    def checkpoint(self, elapsed_s: float) -> None:
        self.kept = through_bytes(self.method.state)
        self.method.string()

    @property
    def busy(self) -> bool:
        return False

    def settle(self) -> None:
        pass

    def string(self, elapsed_s: float) -> None:
        pass

    def final_string(self, outcome: Outcome, elapsed_s: float, told: Told) -> None:
        self.outcomes.append(outcome)

    def progress(self, now: MethodProgress, elapsed_s: float, state: str) -> None:
        pass

    def within(self, share: float, left_s: float | None, elapsed_s: float) -> None:
        pass

    def plane(self, beads: tuple[int, int, int], elapsed_s: float) -> None:
        raise AssertionError("nobody has asked for it")


@dataclass
class StopAfter:
    """Asks for a stop after that many steps."""

    steps: int | None
    looks: int = 0

    def commands(self) -> list[Command]:
        self.looks += 1
        return ["stop"] if self.steps is not None and self.looks == self.steps + 1 else []

    def signal(self) -> str | None:
        return None

    def is_to_end(self) -> bool:
        return False

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody has paused it")


def session(
    bench: Bench, saved: MethodState | None, stop_after: int | None, limits: Limits
) -> tuple[list[Event], MethodState | None, BeadString]:
    """One session of the search loop on a clock that stands still."""
    first: RunStarted | Continued = Continued(0)
    if saved is None:
        first = RunStarted(bench.case.method, bench.case.level, 0.8, 0, 2, 3, ("cpu",))
    with bench.method(saved) as method:
        store, clock = Memory(method), Stopwatch(lambda: 0.0)
        pace = Pace(checkpoint_s=1e9, progress_s=0.0)
        found = search(method, limits, store, StopAfter(stop_after), clock, first, pace)
        events = []
        for event in found:
            store.seq += 1
            events.append(event)
        return events, store.kept, method.string()


def facts(events: list[Event]) -> list[str]:
    """Without those of the loop; not-a-numbers are equal."""
    of_loop = (RunStarted, Continued, CheckpointSaved, RunFinished)
    return [repr(event) for event in events if not isinstance(event, of_loop)]


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Bench]:
    folder = tmp_path_factory.mktemp("strings")
    return cache(lambda name: Bench(CASES[name], folder))


@pytest.fixture(scope="module")
def watched(benches: Callable[[str], Bench]) -> Callable[[str], Looks]:
    """The watched run of each case, made once."""
    return cache(lambda name: benches(name).watched_run())


#: The cases that every change is held against, which have each method and each of its ways.
ALWAYS = {
    *("greedy", "greedy, no path", "greedy, untrained", "greedy, network", "greedy, recipe"),
    *("greedy, permuted", "greedy, lowest", "auto", "auto, no path", "auto, shorten"),
    *("auto, lowest, shorten", "file, shorten", "file, lowest", "linear", "constrained, lowest"),
    *("constrained reinit", "constrained report, no path", "constrained report, never low"),
    *("neb", "bezier", "polychain", "simplex", "simplex, no path"),
    *("neb, climbing, mini-batches", "bezier, mini-batches, shorten"),
    "greedy, growing mini-batches",
}


@pytest.fixture(params=always(ALWAYS, CASES), scope="module")
def name(request: pytest.FixtureRequest) -> str:
    """A case; all tests of one come together, so that one worker has its watched run for all."""
    return str(request.param)


# ---------------------------------------------------------------- the contract


def test_it_ends_as_promised_and_a_connection_holds(
    name: str, benches: Callable[[str], Bench], watched: Callable[[str], Looks]
) -> None:
    bench, looks = benches(name), watched(name)
    method, string = looks.method, looks.string
    assert method is not None and method.verdict is not None and string is not None
    assert method.verdict.outcome is bench.case.outcome
    peak = highest_loss(bench.problem, string)
    assert (peak <= bench.case.level * (1 + 1e-9)) == (bench.case.outcome is YES)
    now = looks.boards[-1]
    if now.segments:  # endpoints that are not trained leave none
        assert now.beads == len(string.beads) == len(now.order)
        assert (now.order[0], now.order[-1]) == (1, 2)
    if bench.case.outcome is YES:
        assert now.max_peak == pytest.approx(peak, rel=1e-3)
        assert {segment.state for segment in now.segments} == {"closed"}
    steps_taken = [now.bead_steps for now in looks.boards]
    assert steps_taken == sorted(steps_taken)


def test_looking_changes_nothing_and_a_seed_says_all(
    name: str, benches: Callable[[str], Bench], watched: Callable[[str], Looks]
) -> None:
    """Another run of the same seed, at which nobody looks, is the same run."""
    looks = watched(name)
    events, string = benches(name).plain_run()
    assert facts(events) == facts([event for step in looks.events for event in step])
    assert looks.string is not None
    assert string_bits(string) == string_bits(looks.string)


def test_a_step_from_every_checkpoint_leads_to_the_next(
    name: str, benches: Callable[[str], Bench], watched: Callable[[str], Looks]
) -> None:
    """By induction every checkpoint leads to the end; the audit begins anew."""
    bench, looks = benches(name), watched(name)
    last = len(looks.events) - 1
    for number, saved in enumerate(looks.saved[:-1]):
        if 8 < number < last - 4 and number % 8:
            continue  # the middle of a long run is more of the same
        with bench.method(saved) as method:
            assert bits(method.state) == bits(saved)
            if looks.boards[number].phase == "audit":
                continue
            assert repr(method.progress()) == repr(looks.boards[number])
            events = method.step(None)
            assert facts(events) == facts(looks.events[number])
            assert bits(method.state) == bits(looks.saved[number + 1])


def test_a_restored_method_runs_to_the_same_end(
    name: str, benches: Callable[[str], Bench], watched: Callable[[str], Looks]
) -> None:
    bench, looks = benches(name), watched(name)
    count = len(looks.events)
    assert looks.string is not None
    for number in sorted(
        {round(n) for n in np.linspace(count // 3, count - 1, RESTORED_TO_THE_END)}
    ):
        events, string = bench.plain_run(looks.saved[number])
        rest = [event for step in looks.events[number:] for event in step]
        assert facts(events) == facts(rest)
        assert string_bits(string) == string_bits(looks.string)


def test_the_loop_stops_it_and_goes_on_to_the_same_end(
    name: str, benches: Callable[[str], Bench], watched: Callable[[str], Looks]
) -> None:
    bench, looks = benches(name), watched(name)
    before, kept, _ = session(bench, None, len(looks.events) // 2, Limits())
    assert kept is not None
    after, no_checkpoint, string = session(bench, kept, None, Limits())
    assert no_checkpoint is None  # nothing is left to go on with
    whole = [event for step in looks.events for event in step]
    assert facts(before + after) == facts(whole)
    endings = [event for event in before + after if isinstance(event, RunFinished)]
    assert [event.outcome for event in endings] == [Outcome.STOPPED, bench.case.outcome]
    assert isinstance(after[-1], RunFinished)
    assert looks.string is not None
    assert string_bits(string) == string_bits(looks.string)


@pytest.mark.parametrize("more", always([2], [0, 2]))
def test_never_more_beads_than_asked(
    name: str, more: int, benches: Callable[[str], Bench], watched: Callable[[str], Looks]
) -> None:
    """Room for so many beads more than it begins with."""
    with benches(name).method() as method:
        began = len(method.string().beads)
        for _ in range(len(watched(name).events) + 5):
            if method.verdict is not None:
                break
            events = method.step(more + began - len(method.chain.order))
            assert len(method.chain.order) <= began + more
            if not more:
                assert not [event for event in events if isinstance(event, BeadInserted)]


def test_a_limit_of_beads_holds_in_the_loop(
    name: str, benches: Callable[[str], Bench], watched: Callable[[str], Looks]
) -> None:
    """A limit that the whole run exceeds ends it, with no more beads than that."""
    bench, looks = benches(name), watched(name)
    most = max(now.beads for now in looks.boards)
    began = 2 if bench.case.file is None else len(bench.case.file)
    if most <= began:
        return  # it asks for none
    events, _, string = session(bench, None, None, Limits(beads=began))
    assert len(string.beads) <= began
    assert isinstance(events[-1], RunFinished)


def test_the_linear_path_gets_no_bead_where_the_limit_was_lowered(tmp_path: Path) -> None:
    """A resumed run may have more beads than its new limit: room for less than none is none."""
    bench = Bench(CASES["linear"], tmp_path)
    with bench.method() as method:
        for _ in range(ENDLESS):
            if len(method.chain.order) > 2:
                break
            method.step(None)
        beads = len(method.chain.order)
        for _ in range(3):
            method.step(-1)
        assert len(method.chain.order) == beads


def test_a_detour_waits_for_room(tmp_path: Path) -> None:
    """A model by way of which the string is to go is a bead like any other."""
    bench = Bench(CASES["auto, no path"], tmp_path)
    with bench.method() as method:
        for _ in range(ENDLESS):
            if method.progress().phase == "detour":
                break
            method.step(None)
        beads = len(method.chain.order)
        for _ in range(50):
            if method.verdict is None:
                method.step(0)
            assert len(method.chain.order) <= beads


# ---------------------------------------------------------------- shortening


def test_shortening_leaves_a_string_without_a_connection_as_it_is(
    benches: Callable[[str], Bench],
) -> None:
    plain, short = (benches(name) for name in ("greedy, no path", "greedy, shorten, no path"))
    (events, string), (same_events, same_string) = plain.plain_run(), short.plain_run()
    assert facts(same_events) == facts(events)
    assert string_bits(same_string) == string_bits(string)


def test_one_sweep_over_a_string_without_a_connection(tmp_path: Path) -> None:
    search = (*SHORTEN, ("shortening", {"sweeps": 1}))
    case = Case(NO, 0.3, surface=double_well, seed=1, search=search)
    events, _ = Bench(case, tmp_path).plain_run()
    assert not [event for event in events if isinstance(event, StringShortened)]


@pytest.mark.parametrize("shorten", [False, True])
def test_a_peak_that_only_the_audit_meets_is_searched_around(shorten: bool, tmp_path: Path) -> None:
    """A bump that a search's grid misses; the way around it is found in the search's own way."""

    def bump(w: Tensor) -> Tensor:
        away = (w[0] - 0.031).square() + (w[1] - 0.001).square()
        return (1 - 2500 * away).clamp(min=0)

    case = Case(
        YES, 0.1, surface=bump, file=((-1.0, 0.0), (1.0, 0.0)), search=(("shorten", shorten),)
    )
    bench = Bench(case, tmp_path)
    with bench.method() as method:
        events = [event for step in steps(method) for event in step]
        assert "audit_failed" in [event.name for event in events]
        assert method.verdict is not None and method.verdict.outcome is YES
        assert highest_loss(bench.problem, method.string()) <= 0.1


def test_a_shortening_that_the_audit_refuses_is_done_again_with_a_wider_margin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was said of the shortened string is true of the one that the run ends with."""
    from engine.path.audit import Audit

    honest = Audit.reopen
    refused: list[Key] = []

    def strict(audit: Audit) -> list[Event]:
        if not refused:
            key = next(iter(audit.measured))
            measured = audit.measured[key]
            refused.append(key)
            peak = 1.02 * audit._chain.bound
            audit.measured[key] = type(measured)(measured.t, measured.losses, peak, 0.5)
        return honest(audit)

    monkeypatch.setattr(Audit, "reopen", strict)
    bench = Bench(CASES["greedy, shorten"], tmp_path)
    with bench.method() as method:
        events = [event for step in steps(method) for event in step]
        said = [event for event in events if isinstance(event, StringShortened)]
        assert refused and len(said) == 2
        assert said[-1].beads_after == method.progress().beads
        assert said[-1].length_after == pytest.approx(method.progress().normalized_length)
        assert said[-1].length_after < said[-1].length_before


# ---------------------------------------------------------------- what is rare


def test_a_wall_of_what_is_not_finite_between_the_endpoints_comes_to_an_end(
    tmp_path: Path,
) -> None:
    """The level of a held string cannot start at an infinite peak and wait there."""

    def wall(w: Tensor) -> Tensor:
        return torch.where(w[0].abs() < 0.2, torch.inf, double_well(w))

    bench = Bench(Case(NO, 0.3, "auto", wall, seed=7), tmp_path)
    with bench.method() as method:
        for _ in steps(method):
            pass
        assert method.verdict is not None and method.verdict.outcome is NO


def test_a_stuck_string_in_which_the_audit_opens_a_segment_comes_to_an_end(
    tmp_path: Path,
) -> None:
    """The string that it falls back to has fewer beads than the one that got stuck.

    One of its segments is thought closed, as if its peak were too thin for the search's grid.
    """
    bench = Bench(replace(CASES["constrained report, no path"], seed=7), tmp_path)
    with bench.method() as method:
        most = 0
        for _ in range(ENDLESS):
            if method.current == len(method.stages):
                break
            most = len(method.chain.order)
            method.step(None)
        chain = method.chain
        assert len(chain.order) < most
        chain.update(replace(chain.in_order()[0], state="closed"))
        events = [event for step in steps(method) for event in step]
        assert "audit_failed" in [event.name for event in events]
        assert method.verdict is not None and method.verdict.outcome is NO
