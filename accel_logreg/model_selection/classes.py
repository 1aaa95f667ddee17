"""The same for three and more classes: a fit a fold and a C, from strong penalties to weak ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import _safe_indexing, column_or_1d, compute_class_weight
from sklearn.utils.validation import validate_data

from accel_logreg.estimator import LogisticRegression
from accel_logreg.interface.arrays import Float64, on_gpu
from accel_logreg.interface.parted_matrix import PartedMatrix
from accel_logreg.model_selection.scores import Scores
from accel_logreg.model_selection.search import Search, require_classes, standard_errors
from accel_logreg.prediction import ClassScores


class ManyClasses:
    """Three classes or more: a fit a fold and a C, from strong penalties to weak ones, each from the last."""

    def __init__(self, search: Search) -> None:
        self.search, self.model = search, search.model

    def run(self) -> None:
        search, model = self.search, self.model
        if isinstance(model.cv, str):
            raise ValueError("cv='loo' is for two classes, and y has more; use cv=5, or LeaveOneOut()")
        if on_gpu(search.X) or isinstance(search.X, PartedMatrix):
            search.y = column_or_1d(search.y, warn=True)
        else:
            search.X, search.y = validate_data(
                model, search.X, search.y, dtype=[np.float64, np.float32], accept_sparse="csr"
            )
        y = search.y
        classes = np.unique(y)
        parameters = {**search.parameters, "warm_start": True}
        if model.class_weight == "balanced":
            weights = compute_class_weight("balanced", classes=classes, y=y, sample_weight=search.weights)
            parameters["class_weight"] = dict(zip(classes.tolist(), weights.tolist(), strict=True))
        folds = search.splits()
        shape = len(folds), len(search.ratios), len(search.Cs)
        scores, n_iter, gaps = np.empty(shape), np.empty(shape, dtype=np.int64), np.empty(shape)
        paths: dict[tuple[int, int, int], Float64] = {}
        scorer = Scores(model.scoring, classes, search.routed.scorer.score, search.X, len(y))
        for f, (train, test) in enumerate(folds):
            require_classes(y[train], classes, None, train, f)
            some, labels, weights, held_out = self._fold(train, test)
            for r, ratio in enumerate(search.ratios.tolist()):
                one = LogisticRegression(**{**parameters, "l1_ratio": ratio})
                for k in np.argsort(search.Cs, kind="stable").tolist():
                    one.set_params(C=float(search.Cs[k])).fit(some, labels, weights)
                    scores[f, r, k] = scorer.of_estimator(self._asked(one, test), held_out, y[test], test)
                    of_one = [one.coef_] + [one.intercept_] * bool(model.fit_intercept)
                    paths[f, r, k] = np.column_stack(of_one)
                    n_iter[f, r, k], gaps[f, r, k] = one.n_iter_.max(), one.gap_
        model.classes_ = classes
        errors = np.stack([standard_errors(scores[:, r]) for r in range(shape[1])])
        W = np.stack([paths[at] for at in np.ndindex(shape)])
        search.finish(scores, errors, W.reshape(*shape, *W.shape[1:]), n_iter)
        model.gaps_ = gaps
        chosen = {"warm_start": False, "C": float(model.C_), "l1_ratio": float(model.l1_ratio_)}
        last = LogisticRegression(**{**parameters, **chosen})
        if model.refit:
            last.fit(search.X, y, search.weights)
            for name in ("coef_", "intercept_", "gap_", "gap_kind_", "solver_", "history_"):
                setattr(model, name, getattr(last, name))
        model.n_features_in_ = one.n_features_in_
        search.legacy()

    def _fold(self, train: NDArray[np.intp], test: NDArray[np.intp]) -> tuple[Any, Any, Any, Any]:
        """X, y and weights to fit to, and X to be asked about: of what is read in parts all rows, those that
        are not trained on without weight, and the numbers of the others.
        """
        search, s = self.search, self.search.weights
        if isinstance(search.X, PartedMatrix):
            times = np.bincount(train, minlength=len(search.y)).astype(np.float64)
            return search.X, search.y, times if s is None else times * s, test
        some = _safe_indexing(search.X, train)
        return some, search.y[train], None if s is None else s[train], _safe_indexing(search.X, test)

    def _asked(self, model: LogisticRegression, test: NDArray[np.intp]) -> Any:
        """What answers for the test rows as the model does."""
        X = self.search.X
        if not isinstance(X, PartedMatrix):
            return model
        return _Answers(model, X.logits(self.search.engine, model.weights(), test))


class _Answers(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted model of three and more classes for a scorer: what it says of X is known already."""

    def __init__(self, model: LogisticRegression, Z: Float64) -> None:
        self.classes_, self.Z, self.one_vs_rest = model.classes_, Z, model.one_vs_rest_

    def _scores(self) -> ClassScores:
        return ClassScores(self.Z.copy(), one_vs_rest=self.one_vs_rest)

    def decision_function(self, _X: Any) -> Float64:
        return self.Z

    def predict_proba(self, _X: Any) -> Float64:
        return self._scores().probabilities(logarithm=False)

    def predict_log_proba(self, _X: Any) -> Float64:
        return self._scores().probabilities(logarithm=True)

    def predict(self, _X: Any) -> NDArray[Any]:
        return self._scores().labels(np.asarray(self.classes_))

    def __sklearn_is_fitted__(self) -> bool:
        return True
