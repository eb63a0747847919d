"""Presets measured one after another, each in a process of its own. No torch here."""

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

#: The key of an answer that is a reason.
REFUSED = "refused"
#: Seconds between looks whether to stop.
LOOK_S = 0.2


@dataclass(frozen=True)
class Request:
    """What a process is asked for."""

    spec: Spec
    preset: str | None
    """Its name; None: for the machine's limits with the spec's device and workers."""
    sizes: tuple[int, ...]
    """Numbers of beads that train at a time."""
    effort: Effort


class Stopped(Exception):
    """It was asked to stop before the answer was there."""


class Failed(Exception):
    """A process ended without an answer."""


def suite(
    specs: Sequence[tuple[str, Spec]],
    sizes: Sequence[int],
    effort: Effort,
    environment: Mapping[str, str],
    stopped: Callable[[], bool] = lambda: False,
    begin: Callable[[str], None] = lambda what: None,
) -> Iterator[Limits | PresetReport | LeftOut]:
    """The limits of each device that a preset runs on, before the first such preset; the presets.

    Ends early when asked to stop. `begin` is told what is measured next.
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
    """Raises InputError for what is refused, Stopped, or Failed."""
    tree = {**asdict(request), "spec": request.spec.model_dump(mode="json")}
    given: str | None = json.dumps(tree)
    with subprocess.Popen(
        # -P: a folder named engine where the user happens to be is none of ours.
        [sys.executable, "-P", "-m", "engine.bench"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,  # Ctrl-C is for us to act on
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
