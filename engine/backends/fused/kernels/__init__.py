"""Compiled networks, losses and optimizers. This package needs numba.

`calls` holds the functions that Python calls, and is the place to begin reading. Each of them
goes through the samples by `passes`, which go layer by layer (`layers`, `products`), and takes
steps (`optimizers`, `tethers`) until `judging` ends a row. `arrays` says what they work on.
"""

from __future__ import annotations

from pathlib import Path

#: The folder whose sources the compiled code on the disk belongs to.
SOURCES = Path(__file__).parent
