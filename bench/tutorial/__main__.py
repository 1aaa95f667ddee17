"""``python -m bench.tutorial``: run the tutorial's blocks at full size, write their figures into its pages.

About a minute and a half. Nothing is written unless every block ran and every answer was right.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from accel_logreg.backends import BackendUnavailableError
from accel_logreg.files.atomic import atomic_write
from accel_logreg.measure import machine
from bench.tutorial.page import MACHINE, PAGES, execute, fill, machine_in_words


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.tutorial", description=__doc__)
    parser.add_argument("pages", type=Path, nargs="*", help="pages to run, if not the tutorial's own two")
    parser.add_argument("--quick", action="store_true", help="small sizes; prints and writes nothing")
    options = parser.parse_args(arguments)
    load_average = os.getloadavg()[0]
    here = machine_in_words(machine.describe(), load_average, "python -m bench.tutorial")
    filled = {}
    for page in options.pages or PAGES:
        text = page.read_text(encoding="utf-8")
        print(f"\n{page.name}\n")
        try:
            shown = execute(text, options.quick, str(page))
        except BackendUnavailableError as error:
            print(error, file=sys.stderr)
            return 1
        filled[page] = fill(text, {**shown, MACHINE: here})
    if options.quick:
        print("a quick run: nothing was written")
        return 0
    for page, text in filled.items():
        with atomic_write(page) as stream:
            stream.write(text.encode())
        print(f"written: {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
