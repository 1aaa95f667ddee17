"""One search for C: folds as columns of one fit, their held-out scores, and the fit to all rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch
from sklearn.utils.metadata_routing import (
    _routing_enabled,
    process_routing,
)
from sklearn.utils.multiclass import type_of_target

from accel_logreg.fitting.columns import ColumnFits, ColumnFitter, leave_one_out
from accel_logreg.fitting.sparse import fit_of
from accel_logreg.inputs.liblinear import outward, with_constant
from accel_logreg.inputs.namespaces import to_numpy
from accel_logreg.inputs.training import TrainingData, check_training_data
from accel_logreg.interface.arrays import Csr, Float64, on_gpu
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.parted_matrix import PartedMatrix
from accel_logreg.interface.parts import Parts
from accel_logreg.model_selection.paths import (
    checked_grid,
    fitter_type,
    named_overflow,
    reporter,
    warn_of,
)
from accel_logreg.model_selection.scores import Scores

_MOST_BYTES = 1 << 29  # of weights and logits at a time: more folds go one block after the other
_ENOUGH_TO_START = 0.05  # of p/n nats, by which folds differ: how near the fits to all rows need to be


_Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True)
class _OfRatio:
    """What the folds of one l1_ratio found.

    W : (p, F n_Cs), without an intercept's row where there is none
    scores : (F, n_Cs); errors : (n_Cs,), standard errors of their means
    pooled : (p, n_Cs), of all rows, where the folds started there
    """

    W: Float64
    scores: Float64
    errors: Float64
    fits: ColumnFits
    pooled: Float64 | None


class Search:
    """One ``fit`` of a LogisticRegressionCV, ``model``, which gets what is found. Of two classes."""

    def __init__(
        self,
        model: Any,
        engine: Engine,
        parameters: dict[str, Any],
        ratios: Float64,
        X: Any,
        y: Any,
        sample_weight: Any,
        params: dict[str, Any],
    ) -> None:
        self.model, self.engine, self.parameters = model, engine, parameters
        self.X = X if on_gpu(X) or isinstance(X, PartedMatrix) else to_numpy(X)
        self.y = to_numpy(y)
        self.weights = None if sample_weight is None else np.asarray(to_numpy(sample_weight))
        self.Cs, self.ratios = checked_grid(model.Cs), ratios
        self.constant: float | None = None  # of liblinear's, where its intercept is penalised
        self.report = reporter(model.verbose)
        if _routing_enabled():
            self.routed = process_routing(model, "fit", sample_weight=self.weights, **params)
        else:
            score = {} if self.weights is None else {"sample_weight": self.weights}
            self.routed = Bunch(splitter=Bunch(split={}), scorer=Bunch(score=score))

    def run(self) -> None:
        model = self.model
        data = check_training_data(model, self.engine, self.X, self.y, self.weights, model.class_weight)
        self.y = data.classes[data.y]
        self.X = self._given(data)
        if self.parameters["solver"] == "liblinear":
            if model.fit_intercept:
                self.constant = float(model.intercept_scaling)
            data, self.parameters = with_constant(data, self.parameters)
        parameters = self.parameters
        self.scores = Scores(model.scoring, data.classes, self.routed.scorer.score, self.X, len(self.y))
        found = []
        with named_overflow(data), self.engine.threads(model.n_threads):
            folds = None if isinstance(model.cv, str) else self._checked_folds(data)
            for ratio in self.ratios.tolist():
                of_ratio = {**parameters, "l1_ratio": ratio}
                fitter = fitter_type(of_ratio)(self.engine, data, of_ratio, self.report)
                found.append(self._loo(data, fitter) if folds is None else self._folds(data, fitter, folds))
        scores = np.stack([one.scores for one in found], axis=1)
        n_folds, _, n_Cs = scores.shape
        shape = n_folds, n_Cs
        model.classes_ = data.classes
        self.finish(
            scores,
            np.stack([one.errors for one in found]),
            np.stack([one.W.T.reshape(*shape, 1, -1) for one in found], axis=1),
            np.stack([one.fits.n_iter.reshape(shape) for one in found], axis=1),
        )
        model.gaps_ = np.stack([one.fits.gap.reshape(shape) for one in found], axis=1)
        of = [f"C={C:g}, fold {f}" for f in range(n_folds) for C in self.Cs]
        for one in found:
            warn_of(one.fits.trouble, of)
        if model.refit:
            pooled = found[self.best_ratio].pooled
            self._refit(data, None if pooled is None else pooled[:, self.best])
        self.legacy()

    def _refit(self, data: TrainingData, start: Float64 | None) -> None:
        model, C = self.model, float(self.model.C_)
        parameters = {**self.parameters, "C": C, "l1_ratio": float(model.l1_ratio_)}
        fit = fit_of(2, parameters)(self.engine, data, parameters, start, self.report)
        solution, solver = fit.solve()
        W = (
            solution.W
            if self.constant is None
            else outward(solution.W, self.model.n_features_in_, self.constant)
        )
        model.coef_, model.intercept_ = W[np.newaxis, :-1].copy(), W[-1:].copy()
        model.gap_, model.gap_kind_ = solution.gap, str(solution.gap_kind)
        model.solver_, model.history_ = solver, solution.history.arrays()
        warn_of([solution.trouble], [f"C={C:g}, all rows"])

    def _given(self, data: TrainingData) -> Any:
        """X for splitters and scorers that look at it."""
        X: Any = self.X if on_gpu(self.X) else data.X
        if isinstance(X, Csr):
            from scipy.sparse import csr_matrix

            return csr_matrix((X.data, X.indices, X.indptr), X.shape)
        return X

    def splits(self) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Row numbers to train and to test on, fold by fold; booleans are allowed as masks."""
        n = len(self.y)
        splitter = check_cv(5 if self.model.cv is None else self.model.cv, self.y, classifier=True)
        outside = on_gpu(self.X) or isinstance(self.X, PartedMatrix)
        indices = np.zeros((n, 1)) if outside else self.X
        found: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
        for fold in splitter.split(indices, self.y, **self.routed.splitter.split):
            sides = []
            for name, rows in zip(("trains", "tests"), fold, strict=True):
                rows = np.asarray(rows)
                rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows.astype(np.intp)
                if len(rows) == 0:
                    raise ValueError(
                        f"cv={self.model.cv!r}: fold {len(found)} {name} on no row; it needs some"
                    )
                if rows.max() >= n or rows.min() < -n:
                    raise ValueError(
                        f"cv={self.model.cv!r}: fold {len(found)} {name} on row {rows.max()}, and X has rows "
                        f"0 to {n - 1}; pass folds that were made for this X"
                    )
                sides.append(rows % n)
            found.append((sides[0], sides[1]))
        if not found:
            raise ValueError(f"cv={self.model.cv!r} gives no folds; pass a number of folds or a splitter")
        return found

    def _checked_folds(self, data: TrainingData) -> list[_Fold]:
        folds = self.splits()
        for f, (train, _) in enumerate(folds):
            require_classes(self.y[train], data.classes, data.sample_weight, train, f)
        return folds

    def _folds(self, data: TrainingData, fitter: ColumnFitter, folds: list[_Fold]) -> _OfRatio:
        n, n_Cs, d = len(self.y), len(self.Cs), data.X.shape[1]
        near = max(fitter.tol, _ENOUGH_TO_START * (d + 1) / n)
        pooled = fitter.solve(self.Cs, tol=near).W if fitter.starts_help else None
        width = max(1, _MOST_BYTES // (32 * n * n_Cs))
        scores, found = np.empty((len(folds), n_Cs)), []
        for first in range(0, len(folds), width):
            some = folds[first : first + width]
            fits = fitter.solve(
                np.tile(self.Cs, len(some)),
                parts=_parts(n, [train for train, _ in some], n_Cs),
                start=None if pooled is None else np.tile(pooled, len(some)),
            )
            for f, (_, test) in enumerate(some):
                z = fitter.logits(fits.W[:, f * n_Cs : (f + 1) * n_Cs], test)
                scores[first + f] = self.scores.of(z, self.y[test], data.y[test], test)
            found.append(fits)
        fits = found[0] if len(found) == 1 else ColumnFits.joined(found)
        return _OfRatio(self._with_intercept(fits.W), scores, standard_errors(scores), fits, pooled)

    def _loo(self, data: TrainingData, fitter: ColumnFitter) -> _OfRatio:
        if not np.isfinite(self.Cs).all():
            raise ValueError("cv='loo' needs a penalty: Cs holds infinity. Use a finite C, or cv=5")
        fits = fitter.solve(self.Cs)
        Z = leave_one_out(self.engine, data, self.parameters, self.Cs, fits.W)
        rows = np.arange(len(self.y))
        scores = self.scores.of(Z, self.y, data.y, rows)[np.newaxis]
        errors = self.scores.errors_by_rows(Z, data.y)
        return _OfRatio(self._with_intercept(fits.W), scores, errors, fits, fits.W)

    def _with_intercept(self, W: Float64) -> Float64:
        if self.constant is not None:
            return outward(W.T, self.model.n_features_in_, self.constant).reshape(W.shape[1], -1).T
        return W if self.model.fit_intercept else W[:-1]

    def finish(self, scores: Float64, errors: Float64, paths: Float64, n_iter: NDArray[np.integer]) -> None:
        """Choose from scores (F, n_l1_ratios, n_Cs), and set what has been found but for the fit to all rows.

        errors : (n_l1_ratios, n_Cs), of the scores' means over folds
        paths : (F, n_l1_ratios, n_Cs, 1 or K, p)
        """
        model = self.model
        self.best_ratio, best = map(int, np.unravel_index(np.argmax(scores.mean(axis=0)), errors.shape))
        mean, errors = scores[:, self.best_ratio].mean(axis=0), errors[self.best_ratio]
        if model.choice == "one-standard-error":
            if not np.isfinite(errors[best]):
                raise ValueError(
                    "choice='one-standard-error' needs a standard error, which one fold does not give; use "
                    "more folds, or with cv='loo' scoring='accuracy' or 'neg_log_loss'"
                )
            enough = np.flatnonzero(mean >= mean[best] - errors[best])
            best = int(enough[np.argmin(self.Cs[enough])])
        self.best = best
        model.Cs_, model.C_ = self.Cs, float(self.Cs[best])
        model.mean_scores_, model.standard_errors_ = mean, errors
        model.scores_, model.coefs_paths_, model.n_iter_ = scores, paths, n_iter.astype(np.int32)
        model.l1_ratio_, model.l1_ratios_ = float(self.ratios[self.best_ratio]), self.ratios
        model.backend_ = self.engine.name
        if not model.refit:
            flat = np.argmax(scores.reshape(len(scores), -1), axis=1)
            ratios, each = np.unravel_index(flat, scores.shape[1:])
            W = np.mean([paths[f, r, k] for f, (r, k) in enumerate(zip(ratios, each, strict=True))], axis=0)
            d = W.shape[1] - bool(model.fit_intercept)
            model.coef_, model.C_ = W[:, :d].copy(), float(np.mean(self.Cs[each]))
            model.l1_ratio_ = float(np.mean(self.ratios[ratios]))
            model.intercept_ = W[:, d].copy() if model.fit_intercept else np.zeros(len(W))

    def legacy(self) -> None:
        """The shapes that scikit-learn had before 1.10, where they are asked for."""
        model = self.model
        if not model.use_legacy_attributes:
            return
        names = model.classes_ if len(model.classes_) > 2 else model.classes_[1:]
        scores = np.moveaxis(model.scores_, 1, 2)
        paths = np.moveaxis(model.coefs_paths_, (3, 0, 2, 1), (0, 1, 2, 3))
        n_iter = np.moveaxis(model.n_iter_, 1, 2)[np.newaxis]
        if model.l1_ratios is None:
            scores, paths, n_iter = scores[..., 0], paths[:, :, :, 0], n_iter[..., 0]
        model.scores_ = dict.fromkeys(names.tolist(), scores)
        model.coefs_paths_ = dict(zip(names.tolist(), paths, strict=True))
        model.n_iter_ = n_iter
        model.C_ = np.full(len(names), model.C_)
        model.l1_ratio_ = np.full(len(names), model.l1_ratio_)


def require_classes(
    y: NDArray[Any], classes: NDArray[Any], s: Float64 | None, train: NDArray[np.intp], fold: int
) -> None:
    """Raise ValueError where a class has no row with weight among those that a fold trains on, y."""
    if s is not None:
        y = y[s[train] > 0.0]
    if len(classes) == 2 and len(y) and (y[0] != y).any():  # the usual case, without a sort
        return
    missing = [label for label in classes.tolist() if not (y == label).any()]
    if missing:
        raise ValueError(
            f"fold {fold} trains on rows without class {missing[0]!r}; every class needs a row with weight "
            "in every training fold. Use fewer folds, or a stratified splitter such as cv=5"
        )


def _parts(n: int, trains: list[NDArray[np.intp]], n_Cs: int) -> Parts:
    """Rows that are in the same folds are a part; a fold has n_Cs columns."""
    counts = np.empty((n, len(trains)))
    for f, train in enumerate(trains):
        counts[:, f] = np.bincount(train, minlength=n)
    # A number for every pattern: as a number in the base of the largest count, where that is small.
    base = counts.max() + 1.0
    if base ** len(trains) < 2**20:
        code = (counts @ base ** np.arange(len(trains))).astype(np.intp)
        seen = np.flatnonzero(np.bincount(code))
        place = np.empty(seen[-1] + 1, dtype=np.intp)
        place[seen] = np.arange(len(seen))
        of_row = place[code]
        first = np.empty(len(seen), dtype=np.intp)
        first[of_row] = np.arange(n)
        patterns = counts[first]
    else:
        patterns, of_row = np.unique(counts, axis=0, return_inverse=True)
    return Parts(of_row.ravel(), np.repeat(patterns, n_Cs, axis=1))


def standard_errors(scores: Float64) -> Float64:
    """Of the mean over folds, (n_Cs,); NaN for one fold."""
    if len(scores) < 2:
        return np.full(scores.shape[1], math.nan)
    return np.asarray(scores.std(axis=0, ddof=1) / math.sqrt(len(scores)))


def more_than_two(y: Any) -> bool:
    """Whether y has three classes or more, of whatever kind; what is wrong with y is for others to say."""
    try:
        labels = np.asarray(y)
        others = labels[labels != labels[0]]
        return bool((others != others[0]).any()) and type_of_target(labels) == "multiclass"
    except Exception:
        return False
