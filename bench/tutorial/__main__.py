"""``python -m bench.tutorial``: run the tutorial's blocks at full size, write their figures into its pages.

About a minute and a half. Nothing is written unless every block ran and every answer was right. The Chinese
pages get the same figures, and every page is written once more as a notebook beside it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from accel_logreg.backends import BackendUnavailableError
from accel_logreg.files.atomic import atomic_write
from accel_logreg.measure import machine
from bench.tutorial.notebook import to_notebook
from bench.tutorial.page import MACHINE, PAGES, TRANSLATIONS, execute, fill, machine_in_words


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.tutorial", description=__doc__)
    parser.add_argument("pages", type=Path, nargs="*", help="pages to run, if not the tutorial's own two")
    parser.add_argument("--quick", action="store_true", help="small sizes; prints and writes nothing")
    parser.add_argument("--notebooks", action="store_true", help="only write the notebooks, measure nothing")
    options = parser.parse_args(arguments)
    pages = options.pages or PAGES
    if options.notebooks:
        return _write({page: page.read_text(encoding="utf-8") for page in _all(pages)})
    load_average = os.getloadavg()[0]
    here = machine_in_words(machine.describe(), load_average, "python -m bench.tutorial")
    filled = {}
    for page in pages:
        text = page.read_text(encoding="utf-8")
        print(f"\n{page.name}\n")
        try:
            shown = execute(text, options.quick, str(page))
        except BackendUnavailableError as error:
            print(error, file=sys.stderr)
            return 1
        for one in _all([page]):
            filled[one] = fill(one.read_text(encoding="utf-8"), {**shown, MACHINE: here})
    if options.quick:
        print("a quick run: nothing was written")
        return 0
    return _write(filled)


def _all(pages: Sequence[Path]) -> list[Path]:
    """Pages and their translations."""
    return [one for page in pages for one in (page, TRANSLATIONS.get(page)) if one is not None]


def _write(texts: Mapping[Path, str]) -> int:
    for page, text in texts.items():
        for path, content in ((page, text), (page.with_suffix(".ipynb"), to_notebook(text))):
            with atomic_write(path) as stream:
                stream.write(content.encode())
            print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
