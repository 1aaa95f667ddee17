"""``accel-logreg check``: the gradients of the engines, in two independent ways."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from accel_logreg import check_gradient
from accel_logreg.cli.common import (
    BackendName,
    Decimal,
    Drop,
    Encoding,
    Missing,
    NoHeader,
    Precision,
    Sep,
    dialect,
    note,
    optional,
    out,
    reports_errors,
    split,
    told,
    waiting,
)
from accel_logreg.files.checks import Matrix
from accel_logreg.files.formats import Dialect
from accel_logreg.files.tables import read_training_data
from accel_logreg.measure.table import Table, show

GRAPH_LIMIT = 1e-9
DIFFERENCES_LIMIT = 1e-6
SAMPLE_ENTRIES = 100_000  # of X


@reports_errors
def check(
    data: Annotated[
        Path | None,
        typer.Argument(
            help="A table or arrays, as train reads them; if not given, a small problem.", show_default=False
        ),
    ] = None,
    target: Annotated[str | None, optional("The column of the classes (NPZ: the array).")] = None,
    drop: Drop = None,
    sep: Sep = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    no_header: NoHeader = False,
    missing: Missing = None,
    backend: Annotated[
        BackendName, typer.Option(help="The engine to check; auto is every engine that runs here.")
    ] = "auto",
) -> None:
    """accel-logreg check flowers.csv --target kind

    Check the gradient of every engine in two ways, in float32 and float64, for any number of classes.

    Against the computation graph walked backwards step by step, and against central differences of the
    engine's own cost. Large data are checked on a random sample of the rows. The exit code is 1 if an
    error, relative to the gradient's largest entry, is above its limit: 1e-9 for the graph, 1e-6 for
    the differences.
    """
    X, *labels = _small_problem() if data is None else _sample(
        data, target, split(drop) or [], dialect(sep, encoding, decimal, no_header, missing)
    )  # fmt: skip
    name = None if backend == "auto" else backend
    rows = []
    failures = 0
    for y, dtype in product(labels, Precision):
        with told(backend):
            found = check_gradient(X.astype(dtype.dtype), y, backend=name, verbose=False)
        for engine in found.engines:
            graph, differences = engine.error_backward_graph, engine.error_central_differences
            good = graph <= GRAPH_LIMIT and differences <= DIFFERENCES_LIMIT  # NaN is not good
            failures += not good
            which = (engine.backend, engine.dtype, str(len(np.unique(y))))
            rows.append((*which, f"{graph:.1e}", f"{differences:.1e}", "✓" if good else "✗"))
    title = f"Largest relative error of the gradient on {X.shape[0]:,} rows of {X.shape[1]:,} features"
    columns = ("engine", "dtype", "classes", "backward graph", "central differences", "")
    show(out, Table(title, columns, tuple(rows)))
    if failures:
        raise ArithmeticError(f"{failures} gradients are beyond {GRAPH_LIMIT:g} or {DIFFERENCES_LIMIT:g}")


def _small_problem() -> tuple[Matrix, NDArray[Any], NDArray[Any]]:
    """X, and labels of two classes and of three."""
    generator = np.random.default_rng(0)
    X = generator.standard_normal((40, 7))
    z = X @ generator.standard_normal(7) + generator.standard_normal(40)
    return X, z > 0, np.digitize(z, [-1.0, 1.0])


def _sample(data: Path, target: str | None, drop: list[str], how: Dialect) -> tuple[Matrix, NDArray[Any]]:
    """As many rows as the Python loop does in a few seconds, one of each class among them."""
    with waiting(f"reading {data}"):
        found = read_training_data(data, target=target, drop=drop, dialect=how, tell=note)
    assert found.y is not None
    classes, first = np.unique(found.y, return_index=True)
    rows = max(SAMPLE_ENTRIES // (found.X.shape[1] * max(len(classes) - 1, 1)), 10, 2 * len(classes))
    picked = np.arange(len(found.y))
    if rows < len(picked):
        others = np.random.default_rng(0).permutation(np.delete(picked, first))
        picked = np.concatenate([first, others[: rows - len(first)]])
    X: Any = found.X[picked]
    return X.toarray() if hasattr(X, "toarray") else X, found.y[picked]
