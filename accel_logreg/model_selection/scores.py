"""Held-out scores of many fits at once, from their logits."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer, make_scorer
from sklearn.utils.validation import _check_method_params

from accel_logreg.interface.arrays import Float64

_CLIPPED = float(np.finfo(np.float64).eps)  # as scikit-learn's log_loss does it


class Scores:
    """Held-out scores from logits."""

    def __init__(
        self,
        scoring: Any,
        classes: NDArray[Any],
        params: Mapping[str, Any],
        X: Any,
        n: int,
    ) -> None:
        """``scoring`` is a name, a callable or None, which is accuracy; ``params`` go to the scorer, those of
        n values cut to the test rows; X is for a scorer that looks at it.
        """
        self.classes, self.params, self.X = classes, params, X
        self.everyone = np.arange(n)
        self.scoring = scoring or "accuracy"
        scorer = get_scorer(self.scoring)
        function = getattr(scorer, "_score_func", None)
        self.from_logits = function is not None  # it looks at predictions alone, never at X
        accepted = inspect.signature(function).parameters if function is not None else {}
        if "labels" in accepted:  # a fold's rows need not have all classes
            labels: dict[str, Any] = {"labels": classes}
            if "pos_label" in accepted and len(classes) == 2:
                labels["pos_label"] = classes[-1]
            scorer = make_scorer(
                function,
                response_method=scorer._response_method,
                greater_is_better=scorer._sign == 1,
                **{**labels, **scorer._kwargs},
            )
        self.scorer = scorer

    def of(self, Z: Float64, y: NDArray[Any], codes: NDArray[Any], rows: NDArray[np.intp]) -> Float64:
        """The score of every column of Z (m, n_Cs) against y (m,), whose codes are 0 and 1; X's ``rows``."""
        params = _check_method_params(self.everyone, self.params, indices=rows)
        by_row = self._by_row(Z, codes)
        if by_row is not None and not params.keys() - {"sample_weight"}:
            s = params.get("sample_weight")
            return np.asarray(np.average(by_row, axis=0, weights=s))
        X = rows if self.from_logits else self.X[rows]
        return np.array([
            self.scorer(_KnownLogits(self.classes, z), X, y, **params) for z in np.ascontiguousarray(Z.T)
        ])  # fmt: skip

    def of_estimator(self, estimator: Any, X: Any, y: NDArray[Any], rows: NDArray[np.intp]) -> float:
        """The score of a fitted estimator on X (m, d), which are these rows of all."""
        params = _check_method_params(self.everyone, self.params, indices=rows)
        return float(self.scorer(estimator, X, y, **params))

    def errors_by_rows(self, Z: Float64, codes: NDArray[Any]) -> Float64:
        """The scores' standard errors over rows, (n_Cs,); NaN for a score that is no mean over rows."""
        by_row = self._by_row(Z, codes)
        if by_row is None:
            return np.full(Z.shape[1], math.nan)
        return np.asarray(by_row.std(axis=0, ddof=1) / math.sqrt(len(Z)))

    def _by_row(self, Z: Float64, codes: NDArray[Any]) -> Float64 | None:
        """What rows contribute, (m, n_Cs), where the score is their mean."""
        if self.scoring == "accuracy":
            return np.asarray((Z > 0.0) == (codes == 1)[:, np.newaxis], dtype=np.float64)
        if self.scoring == "neg_log_loss":
            margins = np.where(codes == 1, 1.0, -1.0)[:, np.newaxis] * Z
            return np.asarray(np.clip(log_expit(margins), math.log(_CLIPPED), math.log1p(-_CLIPPED)))
        return None


class _KnownLogits(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted classifier for a scorer: what it says of X is known already."""

    def __init__(self, classes: NDArray[Any], z: Float64) -> None:
        self.classes_, self.z = classes, z

    def decision_function(self, _X: Any) -> Float64:
        return self.z

    def predict_proba(self, _X: Any) -> Float64:
        return np.column_stack([expit(-self.z), expit(self.z)])

    def predict_log_proba(self, _X: Any) -> Float64:
        return np.column_stack([log_expit(-self.z), log_expit(self.z)])

    def predict(self, _X: Any) -> NDArray[Any]:
        return self.classes_[(self.z > 0.0).astype(np.intp)]

    def __sklearn_is_fitted__(self) -> bool:
        return True
