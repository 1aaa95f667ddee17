"""The way into the command line, which says what to install when its packages are missing."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

INSTALL = 'pip install "accel_logreg[lab]"'
PACKAGES = ("typer", "rich")  # what every command needs; a command says by itself what else it needs


INTERRUPTED = "accel-logreg: interrupted"


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    os.write(2, f"{INTERRUPTED}\n".encode())
    os._exit(130)


def main() -> int:
    """Run ``accel-logreg`` with the arguments of this process.

    Returns 0 where all went well, 1 where the machine lacks something or a check fails, 2 for bad input
    and 130 after Ctrl-C.
    """
    # While packages load, an exception may fall into somebody's C code and come out as another.
    before = signal.signal(signal.SIGINT, _stop)
    try:
        try:
            from accel_logreg.cli.app import app
        except ImportError as error:
            package = (error.name or "").partition(".")[0]
            if package not in PACKAGES:
                raise
            print(f"accel-logreg needs {package}, which is missing: {INSTALL}", file=sys.stderr)
            return 1
        finally:
            signal.signal(signal.SIGINT, before)
        app(prog_name="accel-logreg")
    except KeyboardInterrupt:  # outside a command
        print(INTERRUPTED, file=sys.stderr)
        return 130
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0
