"""``accel-logreg predict``: a model file and data in, labels and probabilities out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from accel_logreg import LogisticRegression
from accel_logreg.cli.common import (
    Precision,
    SkipBroken,
    check_output,
    facts,
    note,
    optional,
    report_pictures,
    reports_errors,
    some,
)
from accel_logreg.files.checks import Matrix, listed
from accel_logreg.files.images import load_image_folder
from accel_logreg.files.model import read_model_file
from accel_logreg.files.tables import SUFFIXES, read_features, write_columns


@reports_errors
def predict(
    model: Annotated[Path, typer.Argument(help="A model file that 'train' wrote.", show_default=False)],
    data: Annotated[
        Path,
        typer.Argument(
            help="What to label: a CSV, Parquet or NPZ file, or a folder of pictures, as in training.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        optional("The file to write: .csv, .parquet or .npz. Replaced if it is there.", "--output", "-o"),
    ],
    skip_broken: SkipBroken = False,
) -> None:
    """Predict a label and the probability of each class for every row.

    Columns are matched by name and brought into the model's order. The output has the columns
    'predicted' and 'probability_<class>'; for pictures also 'path'.
    """
    check_output(output, SUFFIXES)
    fitted, metadata = read_model_file(model)
    columns: dict[str, NDArray[Any]] = {}
    if data.is_dir():
        X, paths = _pictures(model, data, metadata, skip_broken)
        columns["path"] = paths
    else:
        X = _table(model, data, fitted, metadata)
    if X.shape[1] != fitted.n_features_in_:
        raise ValueError(
            f"{data} has {X.shape[1]} features and {model} was trained on {fitted.n_features_in_}"
        )
    probabilities = fitted.predict_proba(X)
    columns["predicted"] = fitted.predict(X)
    for k, label in enumerate(fitted.classes_.tolist()):
        columns[f"probability_{label}"] = probabilities[:, k]
    write_columns(output, columns)
    labels, counts = np.unique(columns["predicted"], return_counts=True)
    predicted = [f"{label}: {count:,}" for label, count in zip(labels.tolist(), counts.tolist(), strict=True)]
    facts([("rows", f"{len(X):,}"), ("predicted", some(predicted)), ("written to", str(output))])


def _pictures(
    model: Path, data: Path, metadata: dict[str, Any], skip_broken: bool
) -> tuple[Matrix, NDArray[np.str_]]:
    size = metadata.get("size")
    if metadata.get("input") != "pictures" or not isinstance(size, int):
        raise ValueError(
            f"{model} was not trained on pictures by accel-logreg train, and {data} is a folder; "
            "name a file of the kind it was trained on"
        )
    folder = load_image_folder(data, size=size, skip_broken=skip_broken, dtype=_precision(metadata).dtype)
    report_pictures(len(folder.paths), folder.resized, size, folder.skipped)
    return folder.X, np.array([str(path) for path in folder.paths])


def _table(model: Path, data: Path, fitted: LogisticRegression, metadata: dict[str, Any]) -> Matrix:
    names = getattr(fitted, "feature_names_in_", metadata.get("features"))
    found = read_features(data, None if names is None else list(names), dtype=_precision(metadata).dtype)
    if names is None and found.names is not None:
        note(f"{model} knows no column names: all columns of {data} are taken, in file order")
    if names is not None and found.names is None:
        note(f"the columns of {data} have no names: they are taken to be in the order of {model}")
    elif found.ignored:
        note(f"columns that the model does not use: {listed(found.ignored)}")
    if hasattr(fitted, "feature_names_in_"):
        del fitted.feature_names_in_  # matched above; scikit-learn would miss them in an array and warn
    return found.X


def _precision(metadata: dict[str, Any]) -> Precision:
    return Precision(metadata.get("dtype", Precision.FLOAT64))
