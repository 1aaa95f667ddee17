"""``accel-logreg check``: the gradients of the engines, in two independent ways."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from accel_logreg import check_gradient
from accel_logreg.cli.common import BackendName, Precision, optional, out, reports_errors
from accel_logreg.files.checks import Matrix
from accel_logreg.files.tables import read_training_data
from accel_logreg.measure.table import Table, show

GRAPH_LIMIT = 1e-9
DIFFERENCES_LIMIT = 1e-6
SAMPLE_ENTRIES = 100_000  # of X


@reports_errors
def check(
    data: Annotated[
        Path | None,
        typer.Argument(help="A CSV, Parquet or NPZ file; if not given, a small problem.", show_default=False),
    ] = None,
    target: Annotated[str | None, optional("The column of the two classes (NPZ: the array).")] = None,
    backend: Annotated[
        BackendName, typer.Option(help="The engine to check; auto is every engine that runs here.")
    ] = "auto",
) -> None:
    """Check the gradient of every engine in two ways, in float32 and float64.

    Against the computation graph walked backwards step by step, and against central differences of the
    engine's own cost. Large data are checked on a random sample of the rows. The exit code is 1 if an
    error, relative to the gradient's largest entry, is above its limit: 1e-9 for the graph, 1e-6 for
    the differences.
    """
    X, y = _small_problem() if data is None else _sample(data, target)
    name = None if backend == "auto" else backend
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
