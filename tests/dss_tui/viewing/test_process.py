"""Commands in processes of their own: run to their end, and never left behind."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import tempfile
from typing import Any

import pytest

from dss_tui.viewing.process import answer, finished


def test_the_answer_of_the_command_line_is_status_and_words() -> None:
    status, words = asyncio.run(answer("presets", "no-such-preset"))
    assert status == 2 and "no-such-preset" in words


def test_it_gives_status_and_output() -> None:
    async def body() -> tuple[int, bytes]:
        with tempfile.TemporaryFile() as output:
            code = "import sys; print('said'); print('warned', file=sys.stderr); sys.exit(7)"
            status = await finished([sys.executable, "-c", code], output)
            output.seek(0)
            return status, output.read()

    status, said = asyncio.run(body())
    assert status == 7 and sorted(said.split()) == [b"said", b"warned"]


def test_a_process_ends_with_the_task_that_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[subprocess.Popen[bytes]] = []
    begin = subprocess.Popen

    def recorded(*command: Any, **keys: Any) -> subprocess.Popen[bytes]:
        begun.append(begin(*command, **keys))
        return begun[-1]

    monkeypatch.setattr(subprocess, "Popen", recorded)

    async def body() -> None:
        with tempfile.TemporaryFile() as output:
            code = "import time; time.sleep(3600)"
            task = asyncio.create_task(finished([sys.executable, "-c", code], output))
            while not begun:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(body())
    assert begun[0].returncode == -signal.SIGKILL
