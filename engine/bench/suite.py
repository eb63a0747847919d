"""Measures presets one after another, each in a process of its own. No torch here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter

from engine.bench.measures import Effort, LeftOut, Limits, PresetReport
from engine.errors import InputError
from engine.spec.keys import Spec

Answer = TypeVar("Answer", Limits, PresetReport)

#: The key of an answer that holds the reason of a refusal.
REFUSED = "refused"
#: The seconds between two checks whether to stop.
LOOK_S = 0.2


@dataclass(frozen=True)
class Request:
    """A request for one measurement, for a process of its own."""

    spec: Spec
    preset: str | None
    """The preset's name, or None for the machine's limits with the spec's device and workers."""
    sizes: tuple[int, ...]
    """The numbers of beads that train at a time, one after another."""
    effort: Effort


class Stopped(Exception):
    """Raised where a measurement was asked to stop before its answer was there."""


class Failed(Exception):
    """Raised where a process ended without an answer; says why."""


def suite(
    specs: Sequence[tuple[str, Spec]],
    sizes: Sequence[int],
    effort: Effort,
    environment: Mapping[str, str],
    stopped: Callable[[], bool] = lambda: False,
    begin: Callable[[str], None] = lambda what: None,
) -> Iterator[Limits | PresetReport | LeftOut]:
    """Yields the report of each preset, and before the first on a device that device's limits.

    Ends early where `stopped` says so. `begin` is told in words what is measured next.
    """
    known: dict[tuple[str, int | None], Limits] = {}

    def ask(preset: str | None, spec: Spec, kind: type[Answer]) -> Answer:
        request = Request(spec, preset, tuple(sizes), effort)
        return TypeAdapter(kind).validate_python(answered(request, environment, stopped))

    for name, spec in specs:
        place = spec.device, spec.workers
        try:
            if place not in known:
                begin("the machine's limits")
                known[place] = ask(None, spec, Limits)
                yield known[place]
            begin(name)
            yield ask(name, spec, PresetReport).against(known[place])
        except Stopped:
            return
        except InputError as error:
            yield LeftOut(name, str(error))
        except Failed as error:
            yield LeftOut(name, str(error), failed=True)


def answered(
    request: Request, environment: Mapping[str, str], stopped: Callable[[], bool]
) -> dict[str, Any]:
    """Returns the answer of a new process to a request, as plain values.

    Raises InputError where the request is refused, Stopped where `stopped` says so, and Failed
    where the process ends without an answer.
    """
    tree = {**asdict(request), "spec": request.spec.model_dump(mode="json")}
    given: str | None = json.dumps(tree)
    with subprocess.Popen(
        # -P: a folder named engine in the current folder must not be imported in place of this one.
        [sys.executable, "-P", "-m", "engine.bench"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,  # so that Ctrl-C reaches only this process
    ) as process:
        try:
            while True:
                try:
                    out, errors = process.communicate(given, timeout=LOOK_S)
                    break
                except subprocess.TimeoutExpired:
                    given = None
                    if stopped():
                        raise Stopped from None
        finally:
            process.kill()
    lines = out.splitlines()
    if process.returncode not in (0, 2) or not lines:
        last = errors.strip().splitlines()[-1:] or ["it said nothing"]
        raise Failed(f"its process ended with status {process.returncode}: {last[0]}")
    answer: dict[str, Any] = json.loads(lines[-1])
    if REFUSED in answer:
        raise InputError(answer[REFUSED])
    return answer
