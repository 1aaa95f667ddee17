"""``accel-logreg speedup``: the lesson's claim, measured on every engine of this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from accel_logreg.cli.common import Precision, Threads, optional, reports_errors, whole_number


@reports_errors
def speedup(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the report.")] = Path("report"),
    engines: Annotated[
        str | None, optional("Engines, separated by commas; all that run if not given.")
    ] = None,
    sizes: Annotated[
        str | None,
        optional("Lengths of vectors for the dot product: 1000,1e7. The lesson's 1e6 always runs."),
    ] = None,
    dtype: Annotated[Precision, typer.Option(help="How X is stored.")] = Precision.FLOAT64,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer sizes and repeats.")] = False,
    n_threads: Threads = None,
) -> None:
    """Time the lesson's loop against one call, np.dot, on this machine, and write a page.

    Then gradient descent on pictures, the same steps on every engine. All answers are compared before
    anything is timed. It takes about two minutes, less with --quick.
    """
    try:
        from accel_logreg.lesson.study import FULL, QUICK, run_study
    except ImportError as error:
        package = (error.name or str(error)).partition(".")[0]
        raise ImportError(
            f'speedup needs {package}, which is missing: pip install "accel_logreg[lab]"', name=package
        ) from error
    size = QUICK if quick else FULL
    if sizes is not None:
        size = replace(size, dot_sizes=tuple(whole_number("--sizes", text) for text in _split(sizes)))
    names = None if engines is None else _split(engines)
    run_study(size, output=output, engines=names, dtype=dtype.value, n_threads=n_threads)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
