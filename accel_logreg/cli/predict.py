"""``accel-logreg predict``: a model file and data in, labels and probabilities out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from accel_logreg import LogisticRegression
from accel_logreg.cli.common import (
    AsJson,
    Decimal,
    Encoding,
    MaxMemory,
    Missing,
    NoHeader,
    Precision,
    Sep,
    SkipBroken,
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
from accel_logreg.cli.in_parts import check_suited, predict_in_parts, refuse
from accel_logreg.evaluation import report
from accel_logreg.evaluation.scores import score
from accel_logreg.files.checks import Matrix, listed
from accel_logreg.files.formats import Dialect
from accel_logreg.files.images import load_image_folder
from accel_logreg.files.model import read_model_file
from accel_logreg.files.tables import WRITTEN, Data, read_features, write_columns
from accel_logreg.measure.table import show


@reports_errors
def predict(
    model: Annotated[Path, typer.Argument(help="A model file that 'train' wrote.", show_default=False)],
    data: Annotated[
        Path,
        typer.Argument(
            help="What to label: a file of the kind that was trained on, '-' for standard input, or a folder "
            "of pictures.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        optional(
            "The file to write: .csv, .csv.gz, .tsv, .jsonl, .parquet, .npz; '-': CSV to standard output.",
            "--output",
            "-o",
        ),
    ],
    ids: Annotated[
        list[str] | None,
        several("Columns to be carried through; those of the training if not given.", "--id"),
    ] = None,
    target: Annotated[
        str | None,
        optional("Score the predictions against this column; that of the training, where it is there."),
    ] = None,
    labels: Annotated[
        Path | None, optional("Score them against a file of labels: .npy, .npz, or a text with one a line.")
    ] = None,
    sep: Sep = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    no_header: NoHeader = False,
    missing: Missing = None,
    max_memory: MaxMemory = None,
    as_json: AsJson = False,
    skip_broken: SkipBroken = False,
) -> None:
    """accel-logreg predict model.json new.csv --output answers.csv

    Predict a label and the probability of each class for every row. Columns are found by name. The output has
    the id columns, 'predicted' and 'probability_<class>'; for pictures also 'path'. Where the data have the
    classes, the predictions are scored.
    """
    output = standard_output(output)
    check_output(output, WRITTEN)
    one_output("--output", output, as_json)
    console = console_beside(output)
    fitted, metadata, preparation = read_model_file(model)
    if max_memory is not None:
        check_suited(data)
        refuse(
            {
                "--id": ids, "--target": target, "--labels": labels, "--json": as_json,
                f"{model}'s preparation": preparation,
            }
        )  # fmt: skip
        predict_in_parts(fitted, str(data), output, console)
        return
    columns: dict[str, Any] = {}
    y = None
    with waiting(f"reading {data}"):
        if data.is_dir():
            X, columns["path"] = _pictures(model, data, metadata, skip_broken, console)
        else:
            how = dialect(sep, encoding, decimal, no_header, missing)
            found = _table(model, data, fitted, metadata, preparation, how, target, labels, split(ids))
            X, y = found.X, found.y
            columns |= found.ids
            if preparation is not None:
                X = preparation.transform(X)
    if X.shape[1] != fitted.n_features_in_:
        raise ValueError(
            f"{data} has {X.shape[1]} features and {model} was trained on {fitted.n_features_in_}"
        )
    with waiting("predicting"), told(fitted.backend):
        probabilities = fitted.predict_proba(X)
        predicted = fitted.predict(X)
    named = {"predicted": predicted}
    named |= {f"probability_{label}": probabilities[:, k] for k, label in enumerate(fitted.classes_.tolist())}
    if twice := sorted(columns.keys() & named.keys()):
        raise ValueError(f"the id {listed(twice)} is also what predictions are called; rename the column")
    write_columns(output, columns | named)
    scores = None
    if y is not None:
        try:
            scores = score("data", y, probabilities, fitted.classes_)
        except ValueError as error:
            note(f"nothing is scored: {error}")
    labels_, counts = np.unique(predicted, return_counts=True)
    shares = {str(label): count for label, count in zip(labels_.tolist(), counts.tolist(), strict=True)}
    if as_json:
        typer.echo(report.answers_to_json(str(data), str(output), X.shape[0], shares, scores), nl=False)
        return
    words = report.some([f"{label}: {count:,}" for label, count in shares.items()])
    facts([("rows", f"{X.shape[0]:,}"), ("predicted", words), ("written to", str(output))], console)
    if scores is not None:
        console.print()
        for table in report.tables([scores]).values():
            show(console, table)


def _pictures(
    model: Path, data: Path, metadata: dict[str, Any], skip_broken: bool, console: Any
) -> tuple[Matrix, NDArray[np.str_]]:
    size = metadata.get("size")
    if metadata.get("input") != "pictures" or not isinstance(size, int):
        raise ValueError(
            f"{model} was not trained on pictures by accel-logreg train, and {data} is a folder; "
            "name a file of the kind it was trained on"
        )
    folder = load_image_folder(data, size=size, skip_broken=skip_broken, dtype=_precision(metadata).dtype)
    report_pictures(len(folder.paths), folder.resized, size, folder.skipped, console)
    return folder.X, np.array([str(path) for path in folder.paths])


def _table(
    model: Path,
    data: Path,
    fitted: LogisticRegression,
    metadata: dict[str, Any],
    preparation: Any,
    how: Dialect,
    target: str | None,
    labels: Path | None,
    ids: list[str] | None,
) -> Data:
    if metadata.get("input") == "pictures":
        raise ValueError(f"{model} was trained on pictures, and {data} is a file; name a folder of pictures")
    names = getattr(fitted, "feature_names_in_", metadata.get("features"))
    trained = metadata.get("target") or ("y" if metadata.get("input") == "arrays" else None)
    found = read_features(
        data, None if names is None else list(names), dtype=_precision(metadata).dtype, dialect=how,
        target=target or trained, labels=labels, ids=ids or (),
        more_ids=metadata.get("id", ()) if ids is None else (),
        preparation=preparation, n_features=fitted.n_features_in_, zero_based=metadata.get("zero_based"),
        tell=note,
    )  # fmt: skip
    if preparation is not None and found.names is None:
        raise ValueError(
            f"{model} takes named columns ({listed(list(names or ()), 5)}), which {data} has not"
        )
    if target is not None and found.y is None:
        raise ValueError(f"{data} has no column {target!r} to score against")
    if names is None and found.names is not None:
        note(f"{model} knows no column names: all columns of {data} are taken, in file order")
    if names is not None and found.names is None:
        note(f"the columns of {data} have no names: they are taken to be in the order of {model}")
    elif found.ignored:
        note(f"columns that the model does not use: {listed(found.ignored)}")
    if hasattr(fitted, "feature_names_in_"):
        del fitted.feature_names_in_  # matched above; scikit-learn would miss them in an array and warn
    return found


def _precision(metadata: dict[str, Any]) -> Precision:
    return Precision(metadata.get("dtype", Precision.FLOAT64))
