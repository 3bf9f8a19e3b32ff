"""`plimsoll`: every command, its exit code, and the one place where an error becomes a line for the owner.

Exit codes: 0 done, 1 failed, 2 usage or settings, 3 refused by a rule. Nothing heavy is imported before a
command needs it: `plimsoll status` answers in the time it takes Python to start.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from app.cli.arguments import parse
from app.cli.causes import first_cause
from app.errors import clean

DEBUG = "PLIMSOLL_DEBUG"  # set it to see the traceback of an internal error
ADVICE_NO_SPACE = "free some space and start again; nothing that was confirmed is lost"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Never raises, never shows a traceback to the owner."""
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
        return int(arguments.run(arguments))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of our output went away
        return 0
    except KeyboardInterrupt:
        return _say("interrupted", 1)
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        return _explain(error)


def _explain(error: BaseException) -> int:
    first = first_cause(error)
    code = getattr(first, "exit_code", None)  # one of ours, or of the compiled modules, which know no `app`
    if code is not None:
        return _say(str(first), int(code))
    if isinstance(first, OSError):
        advice = f"; {ADVICE_NO_SPACE}" if first.errno in (28, 122) else ""  # ENOSPC, EDQUOT
        if isinstance(first, PermissionError) and os.geteuid():
            advice = "; use sudo"
        name = f"{first.filename}: " if first.filename else ""
        return _say(f"{name}{first.strerror or first}{advice}", 1)
    return _say(f"internal error, please report it: {type(first).__name__} {clean(first)} {_where(first)}", 1)


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace else ""


def _say(text: str, code: int) -> int:
    print(f"plimsoll: {text}", file=sys.stderr)
    return code
