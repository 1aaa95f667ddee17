"""``accel-logreg train``: a data file or a folder of pictures in, a model file out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from accel_logreg import LogisticRegression
from accel_logreg.cli.common import (
    Backend,
    HowToSolve,
    MaxIter,
    Precision,
    SkipBroken,
    Threads,
    check_output,
    facts,
    optional,
    report_pictures,
    reports_errors,
    some,
)  # fmt: skip
from accel_logreg.files.checks import Matrix
from accel_logreg.files.images import load_image_folder
from accel_logreg.files.model import SUFFIXES, save_model
from accel_logreg.files.tables import read_training_data

# X, y, and what has to be kept to read data of the same kind again.
Source = tuple[Matrix, NDArray[Any], dict[str, Any]]


@reports_errors
def train(
    data: Annotated[
        Path,
        typer.Argument(
            help="A CSV, Parquet or NPZ file, or a folder with one sub-folder of pictures per class.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, optional("The model file: .json or .npz.", "--output", "-o")],
    target: Annotated[
        str | None,
        optional("The column of the classes (NPZ: the array, 'y' if not given). Not for pictures."),
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(help="Use this column; repeat for more. Without it: every column but the target."),
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(help="Leave this column out; repeat for more.")] = None,
    backend: Backend = "auto",
    solver: HowToSolve = "auto",
    C: Annotated[
        float, typer.Option("--C", help="Inverse of the penalty's strength, above 0; 'inf' is no penalty.")
    ] = 1.0,
    l1_ratio: Annotated[
        float,
        typer.Option(help="From 0, the L2 penalty, to 1, the L1 penalty, which makes weights exactly 0."),
    ] = 0.0,
    multi_class: Annotated[
        Literal["auto", "multinomial", "ovr"],
        typer.Option(help="Three and more classes: one softmax, or each against the rest ('ovr')."),
    ] = "auto",
    tol: Annotated[
        float, typer.Option(help="Stop when (J − J*)/J* is at most this: the relative gap to the optimum J*.")
    ] = 1e-8,
    max_iter: MaxIter = None,
    learning_rate: Annotated[
        str, typer.Option(help="Step of gradient descent: a number, or 'auto'.")
    ] = "auto",
    class_weight: Annotated[
        Literal["balanced"] | None, optional("'balanced' gives all classes the same total weight.")
    ] = None,
    dtype: Annotated[
        Precision, typer.Option(help="How X is stored. float32 halves memory and time; sums stay float64.")
    ] = Precision.FLOAT64,
    n_threads: Threads = None,
    test_fraction: Annotated[
        float | None,
        optional("Hold this fraction of the rows out, all classes alike, and report the accuracy on them."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the hold-out split and the model's random_state.")] = 0,
    size: Annotated[int, typer.Option(help="Pictures are resized to SIZE × SIZE pixels.")] = 64,
    skip_broken: SkipBroken = False,
) -> None:
    """Train a model and write it to a file.

    Every feature must be a number and no value may be missing; the message says which column is not so.
    """
    check_output(output, SUFFIXES)
    if test_fraction is not None and not 0 < test_fraction < 1:
        raise ValueError(f"--test-fraction {test_fraction} must lie between 0 and 1, as in 0.2")
    model = LogisticRegression(
        backend=backend,
        solver=solver,
        C=C,
        l1_ratio=l1_ratio,
        multi_class=multi_class,
        tol=tol,
        max_iter=max_iter,
        learning_rate=_learning_rate(learning_rate),
        class_weight=class_weight,
        random_state=seed,
        n_threads=n_threads,
    )
    if data.is_dir():
        if target or features or drop:
            raise ValueError(f"{data} is a folder of pictures: leave out --target, --features and --drop")
        X, y, metadata = _pictures(data, size, skip_broken, dtype)
    else:
        X, y, metadata = _table(data, target, features, drop or [], dtype)
    if test_fraction is not None:
        X, X_test, y, y_test = train_test_split(X, y, test_size=test_fraction, stratify=y, random_state=seed)
    start = time.perf_counter()
    model.fit(X, y)
    seconds = time.perf_counter() - start
    save_model(model, output, metadata=metadata)
    rows = [
        ("rows × features", f"{X.shape[0]:,} × {X.shape[1]:,} {X.dtype}"),
        ("classes", some([str(label) for label in model.classes_.tolist()])),
        ("engine, solver", f"{model.backend_}, {model.solver_}"),
        ("iterations", f"{model.n_iter_[0]}"),
        ("features", f"{model.n_nonzero_:,} of {X.shape[1]:,} with a weight that is not 0"),
        ("cost", f"{model.history_['cost'][-1]:.6g} nats"),
        ("relative gap", f"{model.gap_:.1e} ({model.gap_kind_})"),
        ("seconds", f"{seconds:.3g} for the fit, with loading or compiling the engine"),
        ("accuracy", f"{model.score(X, y):.4f} on the rows it was trained on"),
    ]
    if test_fraction is not None:
        rows.append(("", f"{model.score(X_test, y_test):.4f} on {len(y_test):,} rows held out"))
    facts([*rows, ("model", str(output))])


def _learning_rate(text: str) -> float | Literal["auto"]:
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--learning-rate {text!r} is neither a number nor 'auto'") from None


def _table(
    data: Path, target: str | None, features: Sequence[str] | None, drop: Sequence[str], dtype: Precision
) -> Source:
    found = read_training_data(data, target=target, features=features or None, drop=drop, dtype=dtype.dtype)
    assert found.y is not None
    kind = "arrays" if found.names is None else "table"
    metadata: dict[str, Any] = {"input": kind, "target": target, "dtype": dtype.value}
    if found.names is not None:
        metadata["features"] = list(found.names)
    return found.X, found.y, metadata


def _pictures(data: Path, size: int, skip_broken: bool, dtype: Precision) -> Source:
    folder = load_image_folder(data, size=size, skip_broken=skip_broken, dtype=dtype.dtype)
    if folder.y is None:
        raise ValueError(f"{data} has no sub-folders; make one for the pictures of each class")
    report_pictures(len(folder.paths), folder.resized, size, folder.skipped)
    return folder.X, folder.y, {"input": "pictures", "size": size, "dtype": dtype.value}
