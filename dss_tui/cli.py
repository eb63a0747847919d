"""The command line: parses arguments and calls the command that they name."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from dss_tui.arguments import build_parser
from engine.errors import InputError, SaveError


def main(arguments: Sequence[str]) -> int:
    """Runs a command line and returns its exit status."""
    parser = build_parser()
    asked = parser.parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = asked.command
    try:
        return command(asked)
    except InputError as error:
        print(f"dss-tui: {error}", file=sys.stderr)
        return 2
    except SaveError as error:
        print(f"dss-tui: {error}", file=sys.stderr)
        return 1
    except MemoryError as error:
        said = str(error).partition("\n")[0] or "what was asked for does not fit"
        print(f"dss-tui: there is not enough memory ({said}); ask for less", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
