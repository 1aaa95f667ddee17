"""``accel-logreg speedup``: the lesson's claim, measured on every engine of this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from accel_logreg.cli.common import Precision, Threads, reports_errors, several, split, whole_number


@reports_errors
def speedup(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the report.")] = Path("report"),
    engines: Annotated[
        list[str] | None, several("Engines, by commas; all that run if not given.", metavar="<engine,…>")
    ] = None,
    sizes: Annotated[
        list[str] | None,
        several("Lengths for the dot product: 1000,1e7. The lesson's 1e6 always runs.", metavar="<length,…>"),
    ] = None,
    dtype: Annotated[Precision, typer.Option(help="How X is stored.")] = Precision.FLOAT64,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer sizes and repeats.")] = False,
    n_threads: Threads = None,
) -> None:
    """accel-logreg speedup --quick --output report

    Time the lesson's loop against one call, np.dot, on this machine, and write a page.

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
    lengths = split(sizes)
    if lengths is not None:
        size = replace(size, dot_sizes=tuple(whole_number("--sizes", text) for text in lengths))
    run_study(size, output=output, engines=split(engines), dtype=dtype.value, n_threads=n_threads)
