"""The way into the command line, which says what to install when its packages are missing."""

from __future__ import annotations

import sys

INSTALL = 'pip install "accel_logreg[lab]"'
PACKAGES = ("typer", "rich")  # what every command needs; a command says by itself what else it needs


def main() -> int:
    """Run ``accel-logreg`` with the arguments of this process.

    Returns 0 where all went well, 1 where the machine lacks something or a check fails, 2 for bad input
    and 130 after Ctrl-C.
    """
    try:
        try:
            from accel_logreg.cli.app import app
        except ImportError as error:
            package = (error.name or "").partition(".")[0]
            if package not in PACKAGES:
                raise
            print(f"accel-logreg needs {package}, which is missing: {INSTALL}", file=sys.stderr)
            return 1
        app(prog_name="accel-logreg")
    except KeyboardInterrupt:  # outside a command, while its packages load
        return 130
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0
