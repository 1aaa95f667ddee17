"""How good probabilities are on rows whose classes are known: scikit-learn's metrics, beside their base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, log_loss, roc_auc_score, roc_curve

BINS = 10
_CURVES = 10  # ROC curves: of more classes, the first
_POINTS = 200  # of a ROC curve


@dataclass(frozen=True)
class Bin:
    """About a tenth of the rows, by the predicted probability."""

    rows: int
    predicted: float
    observed: float


@dataclass(frozen=True)
class Curve:
    """A ROC curve: of the second of two classes, or of one against the rest."""

    label: str
    false_positives: list[float]
    true_positives: list[float]


@dataclass(frozen=True)
class Scores:
    """Log losses in nats.

    base_log_loss, base_rate : of a model that knows only how frequent the classes of these rows are
    roc_auc : of more than two classes, the mean of one against the rest; None where a class has no row
    confusion : a row for each true class, a column for each predicted one, in the order of ``classes``
    calibration : of two classes, by the probability of the second; of more, by that of the predicted class,
        against how often it is right
    calibration_error : the mean distance of the two over the rows (expected calibration error)
    unknown : rows left out, whose label the model does not know
    """

    name: str
    classes: list[str]
    rows: int
    unknown: int
    log_loss: float
    base_log_loss: float
    roc_auc: float | None
    accuracy: float
    base_rate: float
    calibration_error: float
    calibration: list[Bin]
    confusion: list[list[int]]
    roc: list[Curve]


def score(name: str, y: NDArray[Any], probabilities: NDArray[Any], classes: NDArray[Any]) -> Scores:
    """The scores of ``probabilities`` (n, K) where ``y`` (n,) is right; ``classes`` (K,) are sorted.

    Raises
    ------
    ValueError
        No label is one of ``classes``.
    """
    known = np.isin(y, classes)
    if not known.any():
        labels, there = ", ".join(map(repr, classes.tolist()[:5])), ", ".join(map(repr, y[:3].tolist()))
        raise ValueError(
            f"none of the labels ({there}, …) is a class of the model ({labels}); look at --target"
        )
    code = np.searchsorted(classes, y[known])  # integers: metrics take strings slowly
    P = np.asarray(probabilities[known], dtype=np.float64)
    P /= P.sum(axis=1, keepdims=True)  # float32 sums to one only roughly
    K = len(classes)
    counts = np.bincount(code, minlength=K)
    shares = counts[counts > 0] / len(code)
    chosen = P.argmax(axis=1)
    bins = _bins(P[:, 1], code == 1) if K == 2 else _bins(P.max(axis=1), chosen == code)
    auc = None
    if counts.all():
        auc = float(roc_auc_score(code, P[:, 1] if K == 2 else P, multi_class="ovr"))
    names = [str(label) for label in classes.tolist()]
    return Scores(
        name=name,
        classes=names,
        rows=len(code),
        unknown=int(len(known) - len(code)),
        log_loss=float(log_loss(code, P, labels=np.arange(K))),
        base_log_loss=float(-(shares * np.log(shares)).sum()),
        roc_auc=auc,
        accuracy=float((chosen == code).mean()),
        base_rate=float(shares.max()),
        calibration_error=sum(one.rows * abs(one.predicted - one.observed) for one in bins) / len(code),
        calibration=bins,
        confusion=confusion_matrix(code, chosen, labels=np.arange(K)).tolist(),
        roc=_curves(code, P, counts, names),
    )


def _bins(predicted: NDArray[Any], happened: NDArray[Any]) -> list[Bin]:
    """Equal probabilities are never parted, so that no order of the rows changes anything."""
    edges = np.unique(np.quantile(predicted, np.arange(1, BINS) / BINS))
    part = np.searchsorted(edges, predicted)
    rows = np.bincount(part)
    sums = [np.bincount(part, values) for values in (predicted, happened)]
    return [Bin(int(n), float(p / n), float(h / n)) for n, p, h in zip(rows, *sums, strict=True) if n]


def _curves(code: NDArray[Any], P: NDArray[Any], counts: NDArray[Any], names: Sequence[str]) -> list[Curve]:
    of = [1] if len(names) == 2 else range(min(len(names), _CURVES))
    curves = []
    for k in of:
        if 0 < counts[k] < len(code):
            x, y, _ = roc_curve(code == k, P[:, k])
            picked = np.unique(np.linspace(0, len(x) - 1, min(len(x), _POINTS)).round().astype(int))
            curves.append(Curve(names[k], x[picked].tolist(), y[picked].tolist()))
    return curves
