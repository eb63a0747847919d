"""The command `python -m engine.bench`, which `suite` starts, makes one measurement.

The request comes as JSON on stdin, and the answer is the last line on stdout.
"""

from __future__ import annotations

import sys
from dataclasses import asdict

from pydantic import TypeAdapter

from engine.bench.suite import REFUSED, Request
from engine.errors import InputError
from engine.record.events import dump_json


def main() -> int:
    """Answers the request and returns the exit status.

    The status is 0, or 2 where the request is refused, with the reason as the answer.
    """
    request = TypeAdapter(Request).validate_json(sys.stdin.read())
    from engine.bench.answer import answer

    try:
        print(dump_json(asdict(answer(request))))
    except InputError as error:
        print(dump_json({REFUSED: str(error)}))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
