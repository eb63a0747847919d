"""What a clean interpreter has imported after running some code."""

from __future__ import annotations

import json
import subprocess
import sys

SCREENS = {"textual", "rich", "plotext"}


def imported_by(code: str) -> set[str]:
    """Top-level modules that a clean interpreter holds after running the code."""
    show = "import json, sys; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True
    )
    return set(json.loads(ran.stdout.splitlines()[-1]))
