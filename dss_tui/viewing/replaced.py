"""What is said where dss-tui was installed anew, or removed, while it runs.

Screens and commands are imported when they are first needed. Where their files are other ones by
then, Python finds a module, or a name in it, no more.
"""

from __future__ import annotations

#: The packages whose files are replaced when dss-tui is installed.
OURS = ("dss_tui", "engine", "presets")
SENTENCE = (
    "dss-tui was installed anew or removed while this was open, so a part of it cannot be loaded; "
    "start dss-tui again (runs go on meanwhile)"
)


def replaced(error: BaseException) -> bool:
    """Returns whether an error means that a module of dss-tui is another one, or gone."""
    name = error.name if isinstance(error, ImportError) else None
    return name is not None and name.partition(".")[0] in OURS
