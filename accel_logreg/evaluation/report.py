"""A training as facts and tables for the terminal, as JSON, and as one self-contained HTML page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accel_logreg.evaluation.coefficients import Coefficient
from accel_logreg.evaluation.scores import Scores
from accel_logreg.measure.table import Table

FORMAT_VERSION = 1
_MOST_CLASSES = 10  # of a confusion matrix that is shown
_MOST_COEFFICIENTS = 15


@dataclass(frozen=True)
class Training:
    """What was fitted to what, and what came out.

    scored : how many rows the model saw whose scores these are; the model that was saved saw ``fitted_to``
    history : "cost" and "seconds" of each iteration of the model that was saved
    """

    data: str
    model: str
    rows: int
    features: int
    dtype: str
    preparation: list[str]
    classes: list[str]
    engine: str
    solver: str
    iterations: int
    nonzero: int
    cost: float
    gap: float
    gap_kind: str
    seconds: float
    scored: int
    fitted_to: int
    scores: list[Scores]
    coefficients: list[Coefficient]
    history: dict[str, list[float]]


def facts(training: Training) -> list[tuple[str, str]]:
    """Names and values, the model's file last."""
    first = "" if training.scored < training.fitted_to else ", with loading or compiling the engine"
    held_out = training.rows - training.scored
    rows = [("rows × features", f"{training.rows:,} × {training.features:,} {training.dtype}")]
    rows += [("prepared" if k == 0 else "", words) for k, words in enumerate(training.preparation)]
    rows += [
        ("classes", some(training.classes)),
        ("engine, solver", f"{training.engine}, {training.solver}"),
        ("iterations", f"{training.iterations}"),
        ("features", f"{training.nonzero:,} of {training.features:,} with a weight that is not 0"),
        ("cost", f"{training.cost:.6g} nats"),
        ("relative gap", f"{training.gap:.1e} ({training.gap_kind})"),
        ("seconds", f"{training.seconds:.3g} for the fit" + first),
    ]
    if held_out and training.fitted_to == training.rows:
        seen = f"fitted to all {training.rows:,} rows; the scores are of a fit to {training.scored:,} of them"
    else:
        seen = f"fitted to {training.fitted_to:,} rows" + (", as scored below" if held_out else "")
    return [*rows, ("model", f"{training.model}, {seen}")]


def some(texts: Sequence[str], limit: int = 20) -> str:
    """The first of them by commas, and how many there are."""
    more = f", … ({len(texts):,} in all)" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + more


def tables(scores: Sequence[Scores], coefficients: Sequence[Coefficient] = ()) -> dict[str, Table]:
    """By name: "scores", and of the last of them "confusion" and "calibration"; "coefficients"."""
    last = scores[-1]
    found = {"scores": _scores(scores)}
    if len(last.classes) <= _MOST_CLASSES:
        rows = [
            (name, *map("{:,}".format, row)) for name, row in zip(last.classes, last.confusion, strict=True)
        ]
        title = f"Confusion matrix, {last.name}: true classes by row, predicted ones by column"
        found["confusion"] = Table(title, ("", *last.classes), rows)
    found["calibration"] = _calibration(last)
    if coefficients:
        found["coefficients"] = _coefficients(coefficients, last.classes)
    return found


def _scores(scores: Sequence[Scores]) -> Table:
    def row(name: str, texts: Sequence[str]) -> tuple[str, ...]:
        return name, *texts

    rows = [
        row("rows", [f"{one.rows:,}" for one in scores]),
        row("log loss", [f"{one.log_loss:.4f}" for one in scores]),
        row("log loss of the base rates", [f"{one.base_log_loss:.4f}" for one in scores]),
        row("ROC AUC", ["–" if one.roc_auc is None else f"{one.roc_auc:.4f}" for one in scores]),
        row("accuracy", [f"{one.accuracy:.4f}" for one in scores]),
        row("accuracy of the commonest class", [f"{one.base_rate:.4f}" for one in scores]),
        row("calibration error", [f"{one.calibration_error:.4f}" for one in scores]),
    ]
    notes = [f"{one.unknown:,} rows left out: their label is not one of the model's classes."
             for one in scores if one.unknown]  # fmt: skip
    return Table("Scores", ("", *(one.name for one in scores)), rows, notes)


def _calibration(scores: Scores) -> Table:
    two = len(scores.classes) == 2
    what = f"of {scores.classes[1]}" if two else "of the predicted class"
    rows = [
        (str(k), f"{one.rows:,}", f"{one.predicted:.4f}", f"{one.observed:.4f}")
        for k, one in enumerate(scores.calibration, 1)
    ]
    title = f"Calibration, {scores.name}: tenths of the rows by the predicted probability {what}"
    return Table(title, ("tenth", "rows", "predicted", "observed"), rows)


def _coefficients(coefficients: Sequence[Coefficient], classes: Sequence[str]) -> Table:
    """The largest; of more than two classes, each for the class where it is largest."""
    shown = coefficients[:_MOST_COEFFICIENTS]
    two = len(classes) == 2
    rows = []
    for one in shown:
        k = max(range(len(one.values)), key=lambda k: abs(one.standardized[k]))
        label = [] if two else [classes[k]]
        rows.append((one.name, *label, f"{one.values[k]:.4g}", f"{one.standardized[k]:.4g}"))
    notes = ["Standardized: what one standard deviation of the column more adds to the logit."]
    if rest := len(coefficients) - len(shown):
        notes.append(f"{rest:,} smaller ones are not shown; --json has all.")
    title = f"Coefficients{f' for {classes[1]}' if two else ''}, by their standardized size"
    columns = ("feature", *([] if two else ["for class"]), "coefficient", "standardized")
    return Table(title, columns, rows, notes)


def to_json(training: Training) -> str:
    """All of it; null for what is not a finite number."""
    document = {"format": "accel_logreg training", "version": FORMAT_VERSION, **asdict(training)}
    return _strict(document)


def answers_to_json(
    data: str, output: str, rows: int, predicted: Mapping[str, int], scores: Scores | None
) -> str:
    """Of predictions: how many of each class, and their scores where the classes are known."""
    document = {
        "format": "accel_logreg predictions",
        "version": FORMAT_VERSION,
        "data": data,
        "output": output,
        "rows": rows,
        "predicted": dict(predicted),
        "scores": None if scores is None else asdict(scores),
    }
    return _strict(document)


def _strict(document: dict[str, Any]) -> str:
    return json.dumps(_finite(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_html(training: Training) -> str:
    """The page, with its pictures inside."""
    from accel_logreg.evaluation import plots  # here: a training without a page needs neither of the two
    from accel_logreg.measure.page import render

    last = training.scores[-1]
    pictures = {
        "roc": plots.roc(training.scores),
        "calibration": plots.calibration(training.scores),
        "cost": plots.cost(training.history),
    }
    if training.coefficients:
        pictures["coefficients"] = plots.coefficients(training.coefficients, last.classes)
    return render(
        Path(__file__).with_name("training.html"),
        pictures,
        training=training,
        last=last,
        facts=facts(training),
        tables=tables(training.scores, training.coefficients),
    )
