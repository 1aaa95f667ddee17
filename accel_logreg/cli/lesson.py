"""``accel-logreg doctor``, ``speedup`` and ``check``: look at this machine and at the engines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.markup import escape
from sklearn.model_selection import train_test_split

from accel_logreg import check_gradient
from accel_logreg.cli.common import BackendName, Precision, out, reports_errors
from accel_logreg.doctor.findings import Section, examine, runs_fast
from accel_logreg.files.checks import Matrix
from accel_logreg.files.tables import read_training_data
from accel_logreg.measure.machine import describe
from accel_logreg.measure.table import Table, show

GRAPH_LIMIT = 1e-9
DIFFERENCES_LIMIT = 1e-6
SAMPLE_ENTRIES = 100_000  # of X, for check

_MARKS = {"ok": "[green]✓[/]", "note": "[yellow]·[/]", "trouble": "[red]✗[/]"}


@reports_errors
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    bandwidth: Annotated[
        bool, typer.Option(help="Measure how fast this machine reads memory, which takes a few seconds.")
    ] = True,
) -> None:
    """Say which engines run on this machine, and how to mend those that do not.

    Every trouble (✗) comes with the command that mends it. The exit code is 0 if numba or cupy runs.
    """
    machine = describe()
    sections = examine(machine, measure=bandwidth)
    fast = runs_fast()
    if as_json:
        found = {
            "fast_engine": fast,
            "sections": [asdict(section) for section in sections],
            "machine": machine.to_dict(),
        }
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        _print_sections(sections)
    raise typer.Exit(0 if fast else 1)


def _print_sections(sections: Sequence[Section]) -> None:
    for section in sections:
        out.print(f"[bold]{escape(section.title)}[/]")
        for finding in section.findings:
            out.print(f"  {_MARKS[finding.level]} {escape(finding.text)}", soft_wrap=True)
            if finding.remedy:
                out.print(f"      → {escape(finding.remedy)}", soft_wrap=True)


@reports_errors
def speedup(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the report.")] = Path("report"),
    engines: Annotated[
        str | None,
        typer.Option(help="Engines, separated by commas; all that run if not given.", show_default=False),
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(
            help="Lengths of vectors for the dot product, by commas: 1000,1e6.",
            show_default=False,
        ),
    ] = None,
    dtype: Annotated[Precision, typer.Option(help="How X is stored.")] = Precision.FLOAT64,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer sizes and repeats.")] = False,
    n_threads: Annotated[
        int | None, typer.Option(help="Threads of the engines; all cores if not given.", show_default=False)
    ] = None,
) -> None:
    """Measure loop against vectorised code on this machine and write a report.

    The engines get equal work, and their results are compared before they are timed.
    """
    try:
        from accel_logreg.lesson.study import run_speedup
    except ImportError as error:
        package = (error.name or str(error)).partition(".")[0]
        raise ImportError(
            f'speedup needs {package}, which is missing: pip install "accel_logreg[lab]"', name=package
        ) from error
    run_speedup(
        output=output,
        engines=None if engines is None else _split(engines),
        sizes=None if sizes is None else [_length(text) for text in _split(sizes)],
        dtype=dtype.value,
        quick=quick,
        n_threads=n_threads,
    )


@reports_errors
def check(
    data: Annotated[
        Path | None,
        typer.Argument(help="A CSV, Parquet or NPZ file; if not given, a small problem.", show_default=False),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The column of the two classes (NPZ: the array).", show_default=False)
    ] = None,
    backend: Annotated[
        BackendName, typer.Option(help="The engine to check; auto is every engine that runs here.")
    ] = BackendName.AUTO,
) -> None:
    """Check the gradient of every engine in two ways, in float32 and float64.

    Against the computation graph walked backwards step by step, and against central differences of the
    engine's own cost. Large data are checked on a random sample of the rows. The exit code is 1 if an
    error, relative to the gradient's largest entry, is above its limit: 1e-9 for the graph, 1e-6 for
    the differences.
    """
    X, y = _small_problem() if data is None else _sample(data, target)
    name = None if backend is BackendName.AUTO else backend.value
    rows = []
    failures = 0
    for dtype in Precision:
        for engine in check_gradient(X.astype(dtype.dtype), y, backend=name, verbose=False).engines:
            graph, differences = engine.error_backward_graph, engine.error_central_differences
            good = graph <= GRAPH_LIMIT and differences <= DIFFERENCES_LIMIT  # NaN is not good
            failures += not good
            mark = "✓" if good else "✗"
            rows.append((engine.backend, engine.dtype, f"{graph:.1e}", f"{differences:.1e}", mark))
    title = f"Largest relative error of the gradient on {X.shape[0]:,} rows of {X.shape[1]:,} features"
    show(out, Table(title, ("engine", "dtype", "backward graph", "central differences", ""), tuple(rows)))
    if failures:
        raise ArithmeticError(f"{failures} gradients are beyond {GRAPH_LIMIT:g} or {DIFFERENCES_LIMIT:g}")


def _small_problem() -> tuple[Matrix, NDArray[Any]]:
    generator = np.random.default_rng(0)
    X = generator.standard_normal((40, 7))
    return X, X @ generator.standard_normal(7) + generator.standard_normal(40) > 0


def _sample(data: Path, target: str | None) -> tuple[Matrix, NDArray[Any]]:
    """As many rows as the Python loop does in a few seconds, both classes alike."""
    found = read_training_data(data, target=target)
    assert found.y is not None
    rows = max(SAMPLE_ENTRIES // found.X.shape[1], 10)
    if rows >= len(found.X):
        return found.X, found.y
    X, _, y, _ = train_test_split(found.X, found.y, train_size=rows, stratify=found.y, random_state=0)
    return X, y


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _length(text: str) -> int:
    try:
        value = float(text)
    except ValueError:
        value = 0.5
    if value < 1 or value != int(value):
        raise ValueError(f"--sizes: {text!r} is not a whole number above 0; write them as 1000,100000,1e6")
    return int(value)
