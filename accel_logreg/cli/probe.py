"""``accel-logreg probe``: how well labels can be read off embeddings, by C; and the best model, saved."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from scipy.sparse import issparse

from accel_logreg import ProbeResult, linear_probe, save_model
from accel_logreg.cli.common import (
    AsJson,
    Backend,
    Decimal,
    Encoding,
    HowToSolve,
    JsonFile,
    MaxIter,
    Missing,
    NoHeader,
    Sep,
    Threads,
    check_output,
    console_beside,
    dialect,
    err,
    facts,
    note,
    one_output,
    optional,
    reports_errors,
    several,
    split,
    standard_output,
    told,
    waiting,
)  # fmt: skip
from accel_logreg.files.arrays import read_labels
from accel_logreg.files.atomic import atomic_write
from accel_logreg.files.checks import Matrix
from accel_logreg.files.formats import Dialect
from accel_logreg.files.model import SUFFIXES
from accel_logreg.files.tables import read_features
from accel_logreg.measure.table import Table, show

PICTURES = (".png", ".svg", ".pdf")


@reports_errors
def probe(
    X: Annotated[
        Path,
        typer.Argument(
            help="Embeddings, a row each: NPY, NPZ (the array X), or a table as train reads it.",
            show_default=False,
        ),
    ],
    y: Annotated[
        Path | None,
        typer.Argument(
            help="Labels: NPY, NPZ (the array y) or a text file, one a line. An NPZ file of embeddings may "
            "hold them itself.",
            show_default=False,
        ),
    ] = None,
    Cs: Annotated[
        list[str] | None,
        several(
            "Numbers by commas, 1e-3,0.1,10, or how many from 1e-4 to 1e4; 9 if not given.",
            "--Cs",
            metavar="<float,…>",
        ),
    ] = None,
    held_out: Annotated[
        float, typer.Option(help="The share of the rows to score on, every class alike.")
    ] = 0.2,
    test_X: Annotated[Path | None, optional("Embeddings to score on instead.", "--test-X")] = None,
    test_y: Annotated[Path | None, optional("Their labels.", "--test-y")] = None,
    output: Annotated[
        Path | None, optional("The file for the best model: .json or .npz.", "--output", "-o")
    ] = None,
    picture: Annotated[Path | None, optional("Draw accuracy and log loss by C: .png, .svg or .pdf.")] = None,
    as_json: AsJson = False,
    json_file: JsonFile = None,
    refit: Annotated[
        bool, typer.Option(help="Fit the best model to all rows, those held out as well.")
    ] = True,
    sep: Sep = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    no_header: NoHeader = False,
    missing: Missing = None,
    backend: Backend = "auto",
    solver: HowToSolve = "auto",
    tol: Annotated[float, typer.Option(help="Stop each fit at this relative gap to its optimum.")] = 1e-8,
    max_iter: MaxIter = None,
    n_threads: Threads = None,
    seed: Annotated[int, typer.Option(help="Of the split and of the model's random_state.")] = 0,
) -> None:
    """accel-logreg probe X.npy y.npy --output probe.json

    Fit linear probes on embeddings over a range of C, and score them on rows held out.

    The features are read as they are. NPY files of float32 and float64 are not copied. The best C is that of
    the highest accuracy; of equal ones, that of the strongest penalty.
    """
    output = None if output is None else standard_output(output)
    json_file = None if json_file is None else standard_output(json_file)
    for path, suffixes, option in (
        (output, SUFFIXES, "--output"), (picture, PICTURES, "--picture"), (json_file, (), "--json-file")
    ):  # fmt: skip
        one_output(option, path, as_json)
        if path is not None:
            check_output(path, suffixes, option)
    if picture is not None and find_spec("matplotlib") is None:
        raise ImportError('--picture needs matplotlib, which is missing: pip install "accel_logreg[lab]"')
    if (test_X is None) != (test_y is None):
        raise ValueError("--test-X and --test-y go together: give both, or neither and --held-out")
    grid = _numbers(",".join(split(Cs) or ["9"]))
    how = dialect(sep, encoding, decimal, no_header, missing)
    with waiting(f"reading {X}"):
        features, labels = _read(X, y, how)
    test: dict[str, Any] = {"held_out": held_out}
    if test_X is not None:
        test = dict(zip(("X_test", "y_test"), _read(test_X, test_y, how), strict=True))
    again = refit and test_X is None
    with told(backend), Progress(console=err, transient=True, disable=not err.is_terminal) as bar:

        def progress(values: Sequence[float]) -> Iterable[float]:
            task = bar.add_task("", total=len(values) + again)
            for C in values:
                bar.update(task, description=f"C = {C:g}")
                yield C
                bar.advance(task)
            if again:
                bar.update(task, description="fit to all rows")

        found = linear_probe(
            features, labels, Cs=grid, refit=refit, random_state=seed, progress=progress, **test,
            backend=backend, solver=solver, tol=tol, max_iter=max_iter, n_threads=n_threads,
        )  # fmt: skip
    drawn = None if picture is None else _drawn(found)
    written = [path for path in (output, picture, json_file) if path is not None]
    scored = {name: value for name, value in asdict(found.best).items() if name in ("accuracy", "log_loss")}
    if output is not None:
        save_model(
            found.model, output, metadata={"input": "arrays", "dtype": str(features.dtype), "probe": scored}
        )
    if picture is not None and drawn is not None:
        with atomic_write(picture) as file:
            drawn.savefig(file, format=picture.suffix[1:].lower(), dpi=150)
    if json_file is not None:
        with atomic_write(json_file) as file:
            file.write(to_json(found).encode())
    if as_json:
        typer.echo(to_json(found))
    else:
        _say(found, features, written, console_beside(*written))


def to_json(found: ProbeResult) -> str:
    """The figures; null is what is infinite."""
    figures = {
        "best_C": found.best.C, "refitted": found.refitted, "n_train": found.n_train,
        "n_held_out": found.n_held_out, "classes": found.model.classes_.tolist(),
        "points": [
            {name: None if value in (math.inf, -math.inf) else value for name, value in asdict(point).items()}
            for point in found.points
        ],
    }  # fmt: skip
    return json.dumps(figures, indent=1, ensure_ascii=False, allow_nan=False)


def _read(X: Path, y: Path | None, how: Dialect) -> tuple[Matrix, Any]:
    if y is None and X.suffix.lower() != ".npz":
        raise ValueError(f"{X} holds no labels: name the file of labels after it")
    labels = read_labels(X if y is None else y)
    found = read_features(X, None, dtype=None, dialect=how, tell=note)
    if issparse(found.X):
        raise ValueError(f"{X} is sparse, and probes are of dense embeddings; accel-logreg train takes it")
    if found.converted:
        note(f"{X} holds {found.converted}: copied into memory as {found.X.dtype}")
    if len(labels) != len(found.X):
        raise ValueError(
            f"{y or X} has {len(labels):,} labels and {X} {len(found.X):,} rows; there must be one for "
            "each. A first line with a name is a label too: leave it out"
        )
    return found.X, labels


def _numbers(text: str) -> int | list[float]:
    """Of "9", a count, or of "1e-3,0.1", numbers."""
    try:
        return int(text) if text.strip().isdigit() else [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(
            f"--Cs {text!r} must be numbers above 0 by commas, such as 1e-3,0.1,10, or a count of them"
        ) from None


def _drawn(found: ProbeResult) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    found.plot(figure.add_subplot())
    return figure


def _say(found: ProbeResult, X: Matrix, written: Sequence[Path], console: Console) -> None:
    model, best = found.model, found.best
    title = (
        f"Linear probes, {X.shape[0]:,} × {X.shape[1]:,} {X.dtype}, {len(model.classes_):,} classes: "
        f"{found.n_train:,} rows to fit, {found.n_held_out:,} held out"
    )
    loading = "The first fit's seconds include what the engine took to load or compile."
    show(console, Table(title, found.COLUMNS, found.rows(), (loading,)))
    seen = "all rows" if found.refitted else f"{found.n_train:,} rows"
    facts(
        [
            (
                "best C",
                f"{best.C:g}, held-out accuracy {best.accuracy:.4f}, log loss {best.log_loss:.4f} nats",
            ),
            ("model", f"fitted to {seen}, relative gap {model.gap_:.1e} ({model.gap_kind_})"),
            ("engine, solver", f"{model.backend_}, {model.solver_}"),
            *(("written to", str(path)) for path in written),
        ],
        console,
    )
