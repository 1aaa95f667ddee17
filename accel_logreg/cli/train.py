"""``accel-logreg train``: a data file or a folder of pictures in, a model file out, and what it is worth."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.multiclass import type_of_target

from accel_logreg import LogisticRegression
from accel_logreg.cli.common import (
    Backend,
    Decimal,
    Drop,
    Encoding,
    HowToSolve,
    MaxIter,
    MaxMemory,
    Missing,
    NoHeader,
    Precision,
    Sep,
    SkipBroken,
    Threads,
    check_output,
    console_beside,
    dialect,
    facts,
    note,
    one_output,
    optional,
    report_pictures,
    reports_errors,
    several,
    split,
    standard_output,
    told,
    waiting,
)
from accel_logreg.cli.in_parts import check_suited, refuse, train_in_parts
from accel_logreg.evaluation import report
from accel_logreg.evaluation.coefficients import by_size
from accel_logreg.evaluation.report import Training
from accel_logreg.evaluation.scores import Scores, score
from accel_logreg.files.atomic import atomic_write
from accel_logreg.files.checks import listed
from accel_logreg.files.images import load_image_folder
from accel_logreg.files.model import SUFFIXES, save_model
from accel_logreg.files.preparation import in_words, to_state
from accel_logreg.files.tables import read_training_data
from accel_logreg.measure.table import show

TEST_SIZE = 0.2
_PAGE = (".html", ".htm")
_NEEDED = ("matplotlib", "jinja2")  # for the page
_GIVEN_AWAY = 0.999  # balanced accuracy of one column alone
_ENTRIES = 500_000  # of X that a column which gives the target away is looked for in
_LEAST = 20  # rows for it
_MOST_CLASSES = 20  # where there are not twice as many rows


@dataclass(frozen=True)
class Source:
    """Data, and what has to be kept to read data of the same kind again."""

    X: Any
    y: NDArray[Any]
    metadata: dict[str, Any]
    preparation: Any = None
    names: list[str] | None = None
    ids: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Fitted:
    model: LogisticRegression
    preparation: Any
    X: Any  # as the model took it
    seconds: float


@reports_errors
def train(
    data: Annotated[
        Path,
        typer.Argument(
            help="A table (.csv, .tsv, .jsonl, .parquet; text also .gz), arrays (.npz, also sparse, .npy, "
            ".svm), '-' for standard input, or a folder with a sub-folder of pictures per class.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, optional("The model file: .json or .npz; '-' is JSON to standard output.", "--output", "-o")
    ],
    target: Annotated[
        str | None,
        optional("The column of the classes (NPZ: the array, 'y' if not given). Not for pictures."),
    ] = None,
    labels: Annotated[
        Path | None, optional("A file of the classes instead: .npy, .npz, or a text with one a line.")
    ] = None,
    features: Annotated[
        list[str] | None,
        several("Use these columns; all but the target if not given."),
    ] = None,
    drop: Drop = None,
    ids: Annotated[
        list[str] | None,
        several("Columns that name the rows: no features, and carried through by predict.", "--id"),
    ] = None,
    categories: Annotated[
        list[str] | None,
        several("Columns to be taken one-hot though they are numbers; columns of text are anyway."),
    ] = None,
    impute: Annotated[
        Literal["mean", "median", "most_frequent"] | None,
        optional("Fill missing numbers in with this of their column, missing categories with the commonest."),
    ] = None,
    standardize: Annotated[
        bool, typer.Option("--standardize", help="Bring each number to mean 0 and deviation 1 first.")
    ] = False,
    sep: Sep = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    no_header: NoHeader = False,
    missing: Missing = None,
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
    max_memory: MaxMemory = None,
    weights: Annotated[
        str | None, optional("With --max-memory: the column, or .npy file, of the rows' weights.")
    ] = None,
    test_size: Annotated[
        float | None,
        optional(
            "Hold this share of the rows out, all classes alike, to score on; 0 for none; 0.2 if not given.",
            "--test-size",
            "--test-fraction",
        ),
    ] = None,
    refit: Annotated[
        bool, typer.Option(help="Save a fit to all rows, those held out too, or the one that was scored.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Seed of the hold-out split and the model's random_state.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all figures as JSON instead, every coefficient too.")
    ] = False,
    page: Annotated[
        Path | None, optional("Write a page with ROC, calibration, coefficients and cost: .html.", "--report")
    ] = None,
    size: Annotated[int, typer.Option(help="Pictures are resized to SIZE × SIZE pixels.")] = 64,
    skip_broken: SkipBroken = False,
) -> None:
    """accel-logreg train flowers.csv --target kind --output model.json

    Train a model, say what it is worth on rows held out, and save it fitted to all rows. Columns of text are
    taken one-hot; missing values are refused unless --impute says how to fill them in.
    """
    output = standard_output(output)
    check_output(output, SUFFIXES)
    if page is not None:
        check_output(page, _PAGE, "--report")
        if absent := [package for package in _NEEDED if find_spec(package) is None]:
            raise ImportError(
                f'--report needs {" and ".join(absent)}, which is missing: pip install "accel_logreg[lab]"'
            )
    one_output("--output", output, as_json)
    if test_size is not None and not 0 <= test_size < 1:
        raise ValueError(f"--test-size {test_size} must lie between 0 and 1, as in 0.2, or be 0 for none")
    console = console_beside(output, Path("/dev/stdout") if as_json else None)
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
    if max_memory is None and weights is not None:
        raise ValueError("--weights goes with --max-memory")
    if max_memory is not None:
        check_suited(data)
        refuse(
            {
                "--id": ids, "--categories": categories, "--impute": impute, "--standardize": standardize,
                "--test-size": test_size, "--report": page, "--json": as_json,
            }
        )  # fmt: skip
        model.set_params(max_memory=max_memory)
        train_in_parts(
            model, str(data), output, console, target=target, labels=labels, weights=weights,
            features=split(features), drop=split(drop),
        )  # fmt: skip
        return
    with waiting(f"reading {data}"):
        if data.is_dir():
            if target or features or drop or labels or ids or categories or impute or standardize:
                raise ValueError(
                    f"{data} is a folder of pictures: leave out --target, --features, --drop and all else "
                    "that is for tables"
                )
            source = _pictures(data, size, skip_broken, dtype, console)
        else:
            found = read_training_data(
                data, target=target, features=split(features), drop=split(drop) or (), dtype=dtype.dtype,
                dialect=dialect(sep, encoding, decimal, no_header, missing), labels=labels,
                ids=split(ids) or (), categories=split(categories) or (), impute=impute,
                standardize=standardize, tell=note,
            )  # fmt: skip
            source = _source(found, target, dtype)
    if source.y.dtype.kind == "f" and type_of_target(source.y) == "continuous":
        numbers = listed(source.y[:3].tolist())
        raise ValueError(
            f"the target holds numbers such as {numbers}, which are no classes; name another --target"
        )
    if (classes := len(np.unique(source.y))) > max(_MOST_CLASSES, len(source.y) // 2):
        raise ValueError(
            f"the target has {classes:,} different values in {len(source.y):,} rows, which are no classes; "
            "name another --target"
        )
    parts = _split(source.y, test_size, seed)
    with waiting("fitting"), told(backend):
        if parts is None:
            fitted = _fit(model, source.preparation, source.X, source.y)
            scores = [_scores("train", fitted, fitted.X, source.y)]
            rows = len(source.y)
        else:
            kept, held_out = parts
            fitted, scores = _scored(model, source, kept, held_out)
            rows = len(kept)
            if refit:
                fitted = _fit(model, source.preparation, source.X, source.y)
    names = _names(fitted, source)
    if (
        given := _given_away(fitted, source.y if parts is None or refit else source.y[parts[0]], names)
    ) is not None:
        note(
            f"{given!r} alone tells the classes apart. If it is known only after the target, leave it out: "
            f"--drop {given.partition('=')[0]!r}"
        )
    save_model(fitted.model, output, metadata=source.metadata, preparation=fitted.preparation)
    training = _training(str(data), str(output), fitted, source, names, scores, rows)
    if page is not None:
        with waiting("drawing"), atomic_write(page) as file:
            file.write(report.to_html(training).encode())
    if as_json:
        typer.echo(report.to_json(training), nl=False)
    else:
        facts(report.facts(training), console)
        console.print()
        tables = report.tables(training.scores, training.coefficients)
        for name, table in tables.items():
            if name != "calibration":  # which the page has
                show(console, table)
    if page is not None:
        note(f"the page is {page}")


def _split(
    y: NDArray[Any], test_size: float | None, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """The rows to fit and those to score on; None for none, or for too few where nothing was asked for."""
    share = TEST_SIZE if test_size is None else test_size
    counts = np.unique(y, return_counts=True)[1]
    if share == 0:
        return None
    if test_size is None and counts.min() * share < 1:
        if len(counts) > 1:
            note("a class has too few rows for a test: the scores are of the rows that were fitted")
        return None
    try:
        kept, held_out = train_test_split(np.arange(len(y)), test_size=share, stratify=y, random_state=seed)
    except ValueError as error:
        raise ValueError(f"--test-size {share} cannot be: {error}") from error
    return kept, held_out


def _rows(X: Any, rows: NDArray[np.intp]) -> Any:
    return X[rows] if hasattr(X, "__array_interface__") or hasattr(X, "indptr") else X.take(rows)


def _fit(model: LogisticRegression, preparation: Any, X: Any, y: NDArray[Any]) -> Fitted:
    model, preparation = clone(model), None if preparation is None else clone(preparation)
    if preparation is not None:
        X = preparation.fit_transform(X)
    start = time.perf_counter()
    model.fit(X, y)
    return Fitted(model, preparation, X, time.perf_counter() - start)


def _scored(
    model: LogisticRegression, source: Source, kept: NDArray[np.intp], held_out: NDArray[np.intp]
) -> tuple[Fitted, list[Scores]]:
    fitted = _fit(model, source.preparation, _rows(source.X, kept), source.y[kept])
    X = _rows(source.X, held_out)
    X = X if fitted.preparation is None else fitted.preparation.transform(X)
    scores = [
        _scores("train", fitted, fitted.X, source.y[kept]),
        _scores("test", fitted, X, source.y[held_out]),
    ]
    return fitted, scores


def _scores(name: str, fitted: Fitted, X: Any, y: NDArray[Any]) -> Scores:
    return score(name, y, fitted.model.predict_proba(X), fitted.model.classes_)


def _names(fitted: Fitted, source: Source) -> list[str]:
    if fitted.preparation is not None:
        return [str(name) for name in fitted.preparation.get_feature_names_out()]
    return source.names or [f"column {j}" for j in range(fitted.X.shape[1])]


def _given_away(fitted: Fitted, y: NDArray[Any], names: list[str]) -> str | None:
    """The column whose values alone tell the classes apart, by a tree that looks at as many as it needs."""
    X, K = fitted.X, len(fitted.model.classes_)
    rows = max(_LEAST, _ENTRIES // X.shape[1])
    if len(y) < _LEAST or X.shape[1] < 2 or X.shape[1] > _ENTRIES // 100:
        return None
    picked = np.random.default_rng(0).permutation(len(y))[:rows] if len(y) > rows else slice(None)
    tree = DecisionTreeClassifier(max_leaf_nodes=K, class_weight="balanced", random_state=0)
    tree.fit(X[picked], y[picked])
    used = np.unique(tree.tree_.feature[tree.tree_.feature >= 0])
    right = tree.predict(X[picked]) == y[picked]
    each = [right[y[picked] == label].mean() for label in tree.classes_]
    return names[used[0]] if len(used) == 1 and len(each) > 1 and np.mean(each) >= _GIVEN_AWAY else None


def _training(
    data: str,
    model_file: str,
    fitted: Fitted,
    source: Source,
    names: list[str],
    scores: list[Scores],
    scored: int,
) -> Training:
    model, X = fitted.model, fitted.X
    pictures = source.metadata["input"] == "pictures"  # whose pixels have no names
    history = {name: np.asarray(model.history_[name]).tolist() for name in ("seconds", "cost")}
    return Training(
        data=data,
        model=model_file,
        rows=len(source.y),
        features=X.shape[1],
        dtype=f"{X.dtype}" + (" (sparse)" if hasattr(X, "indptr") else ""),
        preparation=[] if fitted.preparation is None else in_words(to_state(fitted.preparation)),
        classes=[str(label) for label in model.classes_.tolist()],
        engine=model.backend_,
        solver=model.solver_,
        iterations=int(model.n_iter_[0]),
        nonzero=int(model.n_nonzero_),
        cost=float(model.history_["cost"][-1]),
        gap=float(model.gap_),
        gap_kind=model.gap_kind_,
        seconds=fitted.seconds,
        scored=scored,
        fitted_to=X.shape[0],
        scores=scores,
        coefficients=[] if pictures else by_size(np.atleast_2d(model.dense_coef()), X, names),
        history=history,
    )


def _learning_rate(text: str) -> float | Literal["auto"]:
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--learning-rate {text!r} is neither a number nor 'auto'") from None


def _source(found: Any, target: str | None, dtype: Precision) -> Source:
    kind = "arrays" if found.names is None else "table"
    metadata: dict[str, Any] = {"input": kind, "target": target, "dtype": dtype.value}
    names = None if found.names is None else list(found.names)
    if names is not None:
        metadata |= {"features": names, "id": list(found.ids)}
    if found.zero_based is not None:
        metadata["zero_based"] = found.zero_based
    return Source(found.X, found.y, metadata, found.preparation, names)


def _pictures(data: Path, size: int, skip_broken: bool, dtype: Precision, console: Any) -> Source:
    folder = load_image_folder(data, size=size, skip_broken=skip_broken, dtype=dtype.dtype)
    if folder.y is None:
        raise ValueError(f"{data} has no sub-folders; make one for the pictures of each class")
    report_pictures(len(folder.paths), folder.resized, size, folder.skipped, console)
    return Source(folder.X, folder.y, {"input": "pictures", "size": size, "dtype": dtype.value})
