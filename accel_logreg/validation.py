"""Parameters, X, y and weights checked once, before any engine sees them; labels encoded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, validate_data

from accel_logreg.backends.base import Float64, Matrix

SOLVERS = ("auto", "lbfgs", "gradient-descent")


@dataclass(frozen=True)
class TrainingData:
    """X (n, d) float32 or float64, C-contiguous and finite; y (n,) 0.0 or 1.0; weights (n,) or None."""

    X: Matrix
    y: Float64
    sample_weight: Float64 | None
    classes: NDArray[Any]

    @property
    def smallest_weight(self) -> float:
        """The smallest positive sample weight."""
        s = self.sample_weight
        return 1.0 if s is None else float(s[s > 0].min())


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise TypeError or ValueError that names the parameter, its value and what is allowed."""
    p = parameters
    _choice(p, "solver", SOLVERS)
    _positive(p, "C", "C=float('inf') means no penalty")
    _positive(p, "tol", "it bounds the relative suboptimality (J - J*)/J*")
    if p["learning_rate"] != "auto":
        _positive(p, "learning_rate", "'auto' takes 1/L from the data")
        if math.isinf(p["learning_rate"]):
            raise ValueError("learning_rate=inf must be finite; 'auto' takes 1/L from the data")
    if not isinstance(p["l1_ratio"], Real) or p["l1_ratio"] != 0.0:
        raise ValueError(
            f"l1_ratio={p['l1_ratio']!r} is not available: only 0.0, the pure L2 penalty, is. "
            "For L1 or elastic net use sklearn.linear_model.LogisticRegression(solver='saga')"
        )
    for name in ("max_iter", "n_threads"):
        if p[name] is not None:
            _integer(p, name, 1)
    _integer(p, "verbose", 0)
    for name in ("fit_intercept", "warm_start"):
        if not isinstance(p[name], (bool, np.bool_)):
            raise TypeError(f"{name}={p[name]!r} must be True or False")
    if not (
        p["class_weight"] is None or p["class_weight"] == "balanced" or isinstance(p["class_weight"], Mapping)
    ):
        raise ValueError(
            f"class_weight={p['class_weight']!r} must be None, 'balanced' or a dict {{class label: weight}}"
        )
    check_random_state(p["random_state"])


def _choice(p: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> None:
    if p[name] not in allowed:
        raise ValueError(f"{name}={p[name]!r} is unknown; allowed: {', '.join(map(repr, allowed))}")


def _positive(p: Mapping[str, Any], name: str, hint: str) -> None:
    value = p[name]
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name}={value!r} must be a number above 0; {hint}")
    if not value > 0:
        raise ValueError(f"{name}={value!r} must be above 0; {hint}")


def _integer(p: Mapping[str, Any], name: str, least: int) -> None:
    value = p[name]
    if not isinstance(value, Integral):
        raise TypeError(f"{name}={value!r} must be an integer of at least {least}")
    if value < least:
        raise ValueError(f"{name}={value!r} must be at least {least}")


def check_host_array(X: Any) -> None:
    """Refuse arrays that live on a GPU: fitting them where they lie is not supported yet."""
    if hasattr(X, "__cuda_array_interface__"):
        raise TypeError(
            f"X is a {type(X).__module__}.{type(X).__name__} on a GPU; this version takes host arrays and "
            "copies them to the device once. Pass cupy.asnumpy(X), or X.cpu().numpy() for a torch tensor"
        )


def check_training_data(
    estimator: Any, X: Any, y: Any, sample_weight: ArrayLike | None, class_weight: Any
) -> TrainingData:
    """Validate with scikit-learn's own checks and encode the labels.

    Sets ``n_features_in_`` and ``feature_names_in_`` on the estimator.

    Raises
    ------
    ValueError
        NaN, infinity, empty, wrong shapes, one class, more than two classes, continuous labels,
        negative, all-zero or non-finite weights, a class whose weights sum to zero.
    """
    check_host_array(X)
    X, y = validate_data(
        estimator,
        X,
        y,
        dtype=[np.float64, np.float32],
        order="C",
        ensure_min_samples=2,
        accept_large_sparse=False,
    )
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) > 2:
        raise ValueError(
            f"Only binary classification is supported. The type of the target is {type_of_target(y)}: "
            f"y has {len(classes)} classes. For more than two use "
            "sklearn.multiclass.OneVsRestClassifier(LogisticRegression())"
        )
    if len(classes) < 2:
        raise ValueError(f"y has only one class, {classes.tolist()[0]!r}; two are needed to fit a classifier")
    s = _weights(X, codes, sample_weight, class_weight, classes)
    return TrainingData(X, codes.astype(np.float64), s, classes)


def _weights(
    X: Matrix,
    codes: NDArray[np.intp],
    sample_weight: ArrayLike | None,
    class_weight: Any,
    classes: NDArray[Any],
) -> Float64 | None:
    """Sample weights times class weights, or None where they are all one."""
    if sample_weight is None and class_weight is None:
        return None
    s: Float64 = _check_sample_weight(sample_weight, X, dtype=np.float64, copy=True)
    if (s < 0).any():
        row = int(np.argmax(s < 0))
        raise ValueError(f"sample_weight[{row}]={float(s[row])!r} is negative; weights must be 0 or above")
    if not s.any():
        raise ValueError(
            "all sample weights are zero; at least one row of each class needs a positive weight"
        )
    s *= _class_weights(class_weight, classes, codes, s)[codes]
    for code, label in enumerate(classes.tolist()):
        if not s[codes == code].any():
            raise ValueError(
                f"the rows of class {label!r} have a total weight of zero, so y has only one class left; "
                "give them positive sample and class weights, or drop the class"
            )
    return s


def _class_weights(class_weight: Any, classes: NDArray[Any], codes: NDArray[np.intp], s: Float64) -> Float64:
    """One weight a class. "balanced": S / (2 Sₖ) with Sₖ the sample weights of class k."""
    if class_weight is None:
        return np.ones(2)
    if isinstance(class_weight, Mapping):
        labels = classes.tolist()
        unknown = [key for key in class_weight if key not in labels]
        if unknown:
            raise ValueError(
                f"class_weight names {unknown!r}, which y does not have; its classes are {labels!r}"
            )
        weights = np.array([float(class_weight.get(label, 1.0)) for label in labels])
        if not (np.isfinite(weights) & (weights >= 0)).all():
            raise ValueError(f"class_weight={dict(class_weight)!r} must hold finite weights of 0 or above")
        return weights
    sums = np.bincount(codes, weights=s, minlength=2)
    # A class without weight is named by the caller; it must not become 0/0 here.
    return np.asarray(s.sum() / (2.0 * np.where(sums > 0, sums, 1.0)), dtype=np.float64)


def check_prediction_data(estimator: Any, X: Any) -> Matrix:
    """Validate X (m, d) against the fitted estimator."""
    check_host_array(X)
    checked: Matrix = validate_data(estimator, X, reset=False, dtype=[np.float64, np.float32], order="C")
    return checked
