"""Runs a command in a process of its own for a screen, which never leaves the process behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from typing import IO

from dss_tui.viewing import session

#: The seconds between two looks at whether the command line has ended.
POLL = 0.05


async def answer(*arguments: str) -> tuple[int, str]:
    """Runs `dss-tui` with arguments and returns its exit status and what it printed.

    The process ends with the task that waits for it.
    """
    with tempfile.TemporaryFile() as output:
        command = [sys.executable, "-P", "-m", "dss_tui", *arguments]
        status = await finished(command, output)
        output.seek(0)
        return status, output.read().decode(errors="replace").strip()


async def finished(command: list[str], output: IO[bytes]) -> int:
    """Runs a command to its end, which comes at once where the caller's task is cancelled.

    The process is asked for its end now and then, not awaited: whatever cancels the task, and
    however often, the process is killed and reaped before this function is left.

    Args:
        command: The program and its arguments.
        output: The file that takes what the command prints, errors included.

    Returns:
        The command's exit status.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=session.environment(),
    ) as process:
        try:
            while process.poll() is None:
                await asyncio.sleep(POLL)
        finally:
            process.kill()  # does nothing to a process that has ended
    return process.returncode
