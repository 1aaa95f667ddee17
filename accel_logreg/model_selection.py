"""Choosing C: cross-validation and paths, all folds and all C in the same reads of X."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, _safe_indexing, column_or_1d, compute_class_weight
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _raise_for_params,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from accel_logreg.backends import resolve
from accel_logreg.estimator import LogisticRegression
from accel_logreg.fitting import Fit
from accel_logreg.fitting_columns import ColumnFits, ColumnFitter, leave_one_out
from accel_logreg.held_out_scores import Scores
from accel_logreg.inputs.parameters import check_parameters
from accel_logreg.inputs.training import TrainingData, check_training_data
from accel_logreg.interface.arrays import Csr, Float64, on_gpu, to_host
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.parts import Parts
from accel_logreg.solvers.problem import Report

_MOST_BYTES = 1 << 29  # of weights and logits at a time: more folds go one block after the other
_ENOUGH_TO_START = 0.05  # of p/n nats, by which folds differ: how near the fits to all rows need to be


@dataclass(frozen=True)
class LogisticPath:
    """What ``logistic_path`` returns, in the order of Cs.

    Cs : (n_Cs,) float64, as given
    coefs : (n_Cs, d) float64, or (n_Cs, K, d) for K ≥ 3 classes
    intercepts : (n_Cs,) float64, or (n_Cs, K)
    costs, gaps : (n_Cs,) float64; J in nats per unit weight, and relative suboptimalities
    gap_kinds : (n_Cs,) of str, "certified" or "estimated"
    n_iter : (n_Cs,) int64
    reads : float, of X, by all of them together
    classes : (K,)
    feature_names : (d,) of str, or None
    """

    Cs: Float64
    coefs: Float64
    intercepts: Float64
    costs: Float64
    gaps: Float64
    gap_kinds: NDArray[np.str_]
    n_iter: NDArray[np.int64]
    reads: float
    classes: NDArray[Any]
    feature_names: NDArray[Any] | None = None

    def plot(self, ax: Any = None) -> Any:
        """Coefficients by log C, on matplotlib axes, which are returned; needs the extra "lab"."""
        ax = _axes(ax)
        order = np.argsort(self.Cs)
        ax.plot(self.Cs[order], self.coefs[order].reshape(len(order), -1))
        ax.axhline(0.0, color="0.7", linewidth=0.8)
        ax.set(xscale="log", xlabel="C", ylabel="coefficient")
        if self.feature_names is not None and self.coefs.ndim == 2 and len(self.feature_names) <= 10:
            ax.legend(list(self.feature_names))
        return ax


def logistic_path(
    X: Any,
    y: Any,
    Cs: int | ArrayLike = 10,
    *,
    sample_weight: Any = None,
    fit_intercept: bool = True,
    class_weight: dict[Any, float] | Literal["balanced"] | None = None,
    tol: float = 1e-8,
    backend: str = "auto",
    random_state: int | np.random.RandomState | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    verbose: int = 0,
) -> LogisticPath:
    """``LogisticRegression`` for every C.

    Of two classes all of them in the same reads of X; of more one after the other, from the strongest penalty
    to the weakest, each from the last.

    Parameters
    ----------
    X, y, sample_weight : as ``LogisticRegression.fit`` takes them
    Cs : (n_Cs,), above 0, in any order; or how many from 1e-4 to 1e4
    others : as ``LogisticRegression`` takes them

    Raises
    ------
    ValueError, TypeError
        X, y, weights or a parameter are not allowed.
    """
    model = LogisticRegression(
        fit_intercept=fit_intercept, class_weight=class_weight, tol=tol, backend=backend,
        random_state=random_state, n_threads=n_threads, max_memory=max_memory, verbose=verbose,
    )  # fmt: skip
    check_parameters(vars(model))
    grid = _grid(Cs)
    engine = resolve(backend, X)
    try:
        data = check_training_data(model, engine, X, y, sample_weight, class_weight)
        if len(data.classes) > 2:
            return _path_of_classes(model, grid, X, y, sample_weight)
        with _named(data), engine.threads(n_threads):
            fitter = ColumnFitter(engine, data, vars(model), _report(verbose))
            fits = fitter.solve(grid, prove=True)
    finally:
        engine.after_fit()
    _warn_of(fits.trouble, [f"C={C:g}" for C in grid])
    return LogisticPath(
        grid, fits.W[:-1].T.copy(), fits.W[-1].copy(), fits.cost, fits.gap, fits.kind, fits.n_iter,
        fits.reads, data.classes, getattr(model, "feature_names_in_", None),
    )  # fmt: skip


def _path_of_classes(
    model: LogisticRegression, grid: Float64, X: Any, y: Any, sample_weight: Any
) -> LogisticPath:
    """Softmaxes, each from the one before it."""
    model.set_params(warm_start=True)
    found: dict[int, LogisticRegression] = {}
    for k in np.argsort(grid, kind="stable").tolist():
        found[k] = copy(model.set_params(C=float(grid[k])).fit(X, y, sample_weight))
    models = [found[k] for k in range(len(grid))]
    return LogisticPath(
        grid, np.stack([m.coef_ for m in models]), np.stack([m.intercept_ for m in models]),
        np.array([m.history_["cost"][-1] for m in models]), np.array([m.gap_ for m in models]),
        np.array([m.gap_kind_ for m in models]), np.concatenate([m.n_iter_ for m in models]),
        float(sum(m.history_["reads"][-1] for m in models)), model.classes_,
        getattr(model, "feature_names_in_", None),
    )  # fmt: skip


class LogisticRegressionCV(LogisticRegression):
    """Logistic regression that chooses C by cross-validation, as scikit-learn's class of this name.

    With two classes all folds and all C are columns of the same reads of X, the held-out scores come from one
    more, and nothing of X is copied. With more classes folds and C are fitted one after the other, each from
    the last.

    Parameters
    ----------
    Cs : int or (n_Cs,) floats, default 10
        The values to choose from, above 0; an int is so many from 1e-4 to 1e4.
    cv : int, splitter, iterable of (train, test), "loo" or None, default None
        None is 5 folds, an int so many: stratified, not shuffled. "loo" leaves every row out once, by an
        approximation at the price of one fit (Rad and Maleki 2020): one Newton step for each row. It is not
        to be trusted where single rows decide (n not far above d, C large, a rare category): check it with
        cv=LeaveOneOut() on such data. It needs two classes and a finite C.
    scoring : str, callable or None, default None
        None is accuracy. "accuracy" and "neg_log_loss" are quickest.
    choice : {"best", "one-standard-error"}, default "best"
        "one-standard-error" takes the smallest C whose mean score is within one standard error of the best
        one's (Breiman et al. 1984).
    refit : bool, default True
        Fit to all rows with the C that was chosen; False averages the folds' coefficients, each at its own
        best C.
    class_weight : None, "balanced" or dict
        "balanced" is by the shares of the classes in all rows, as in scikit-learn 1.9.
    tol, fit_intercept, max_iter, random_state, backend, max_memory, n_threads, verbose :
        As ``LogisticRegression`` has them. ``max_iter`` bounds the last fit.
    n_jobs : int or None
        Accepted, and not needed: the columns share the reads and the threads.
    l1_ratios : None or (0.0,)
        Only the pure L2 penalty is available.
    use_legacy_attributes : bool, default False
        True gives ``C_``, ``scores_``, ``coefs_paths_`` and ``n_iter_`` the shapes that scikit-learn had
        before 1.10: see there.

    Attributes
    ----------
    C_ : float
    Cs_ : (n_Cs,) float64
    scores_ : (n_folds, 1, n_Cs) float64
    mean_scores_, standard_errors_ : (n_Cs,) float64
        Over folds; over rows for "loo".
    coefs_paths_ : (n_folds, 1, n_Cs, 1 or n_classes, d + 1) float64
        The intercept last, if there is one.
    n_iter_ : (n_folds, 1, n_Cs) int64
    l1_ratio_, l1_ratios_ : 0.0, (1,)
    coef_, intercept_, classes_, n_features_in_, feature_names_in_, backend_ :
        As ``LogisticRegression`` has them.
    solver_, gap_, gap_kind_, history_ :
        Of the fit to all rows; only with ``refit``.
    gaps_ : (n_folds, 1, n_Cs) float64
        Relative suboptimality of the folds' fits.
    """

    def __init__(
        self,
        *,
        Cs: int | ArrayLike = 10,
        l1_ratios: ArrayLike | None = (0.0,),
        fit_intercept: bool = True,
        cv: Any = None,
        scoring: str | Callable[..., float] | None = None,
        choice: Literal["best", "one-standard-error"] = "best",
        tol: float = 1e-8,
        max_iter: int | None = None,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        refit: bool = True,
        random_state: int | np.random.RandomState | None = None,
        use_legacy_attributes: bool = False,
        backend: str = "auto",
        max_memory: int | str | None = None,
        n_threads: int | None = None,
    ) -> None:
        self.Cs = Cs
        self.l1_ratios = l1_ratios
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.scoring = scoring
        self.choice = choice
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.refit = refit
        self.random_state = random_state
        self.use_legacy_attributes = use_legacy_attributes
        self.backend = backend
        self.max_memory = max_memory
        self.n_threads = n_threads

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Choose C on X (n, d) and y (n,), and fit to all rows.

        sample_weight (n,) weighs the rows in every fit and in the scores. ``params`` go to the splitter and
        the scorer, where scikit-learn's metadata routing is enabled.
        """
        _raise_for_params(params, self, "fit")
        before = vars(self).copy()
        engine: Engine | None = None
        try:
            parameters = self._checked()
            engine = resolve(self.backend, X)
            _Search(self, engine, parameters, X, y, sample_weight, params).run()
        except BaseException:  # a fit that did not finish did not happen
            self.__dict__ = before
            raise
        finally:
            if engine is not None:
                engine.after_fit()
        return self

    def _checked(self) -> dict[str, Any]:
        """LogisticRegression's parameters, all of them looked at."""
        ratios = None if self.l1_ratios is None else np.asarray(self.l1_ratios, dtype=np.float64)
        if ratios is not None and (ratios.size == 0 or ratios.any()):
            raise ValueError(
                f"l1_ratios={self.l1_ratios!r} is not available: only (0.0,), the pure L2 penalty, is. For "
                "L1 or elastic net use sklearn.linear_model.LogisticRegressionCV(solver='saga')"
            )
        if self.choice not in ("best", "one-standard-error"):
            raise ValueError(f"choice={self.choice!r} is unknown; allowed: 'best', 'one-standard-error'")
        if isinstance(self.cv, str) and self.cv != "loo":
            raise ValueError(
                f"cv={self.cv!r} is unknown; allowed: None, a number of folds, a splitter, an iterable of "
                "(train, test), or 'loo'"
            )
        for name in ("refit", "use_legacy_attributes"):
            if not isinstance(getattr(self, name), (bool, np.bool_)):
                raise TypeError(f"{name}={getattr(self, name)!r} must be True or False")
        _grid(self.Cs)
        own = {
            name: getattr(self, name)
            for name in (
                "fit_intercept", "tol", "max_iter", "class_weight", "random_state", "backend", "max_memory",
                "n_threads", "verbose",
            )
        }  # fmt: skip
        parameters = {**LogisticRegression().get_params(), **own}
        check_parameters(parameters)
        return parameters

    def score(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> float:
        """The ``scoring`` of predictions for X (m, d) against y (m,); accuracy where it is None."""
        _raise_for_params(params, self, "score")
        if self.scoring is None and not _routing_enabled():
            return super().score(X, y, sample_weight)
        if sample_weight is not None:
            params["sample_weight"] = sample_weight
        if _routing_enabled():
            params = process_routing(self, "score", **params).scorer.score
        return float(self._scorer()(self, X, y, **params))

    def _scorer(self) -> Any:
        return get_scorer(self.scoring or "accuracy")

    def get_metadata_routing(self) -> MetadataRouter:
        """What is routed to the splitter and to the scorer, as scikit-learn's LogisticRegressionCV does."""
        scores = MethodMapping().add(caller="score", callee="score").add(caller="fit", callee="score")
        splitter = None if isinstance(self.cv, str) else self.cv
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(splitter=splitter, method_mapping=MethodMapping().add(caller="fit", callee="split"))
            .add(scorer=self._scorer(), method_mapping=scores)
        )

    def plot_path(self, ax: Any = None) -> Any:
        """Mean held-out score by log C with its standard error, and the C that was chosen, on matplotlib
        axes, which are returned; needs the extra "lab".
        """
        check_is_fitted(self)
        ax = _axes(ax)
        order = np.argsort(self.Cs_)
        ax.errorbar(self.Cs_[order], self.mean_scores_[order], self.standard_errors_[order], capsize=3)
        chosen = float(np.ravel(self.C_)[0])
        ax.axvline(chosen, color="0.5", linestyle="--", label=f"C = {chosen:.3g}")
        name = self.scoring or "accuracy"
        name = name if isinstance(name, str) else "score"
        ax.set(xscale="log", xlabel="C", ylabel=f"held-out {name}")
        ax.legend()
        return ax


class _Search:
    """One ``fit`` of LogisticRegressionCV."""

    def __init__(
        self,
        model: LogisticRegressionCV,
        engine: Engine,
        parameters: dict[str, Any],
        X: Any,
        y: Any,
        sample_weight: Any,
        params: dict[str, Any],
    ) -> None:
        self.model, self.engine, self.parameters = model, engine, parameters
        self.X, self.y = X, to_host(y)
        self.weights = None if sample_weight is None else np.asarray(to_host(sample_weight))
        self.Cs = _grid(model.Cs)
        self.report = _report(model.verbose)
        if _routing_enabled():
            self.routed = process_routing(model, "fit", sample_weight=self.weights, **params)
        else:
            score = {} if self.weights is None else {"sample_weight": self.weights}
            self.routed = Bunch(splitter=Bunch(split={}), scorer=Bunch(score=score))

    def run(self) -> None:
        if _more_than_two(self.y):
            _ManyClasses(self).run()
            return
        model, parameters = self.model, self.parameters
        data = check_training_data(model, self.engine, self.X, self.y, self.weights, model.class_weight)
        self.y = data.classes[data.y]
        self.X = self._given(data)
        self.scores = Scores(model.scoring, data.classes, self.routed.scorer.score, self.X, len(self.y))
        with _named(data), self.engine.threads(model.n_threads):
            fitter = ColumnFitter(self.engine, data, parameters, self.report)
            loo = model.cv == "loo" if isinstance(model.cv, str) else False
            W, scores, errors, fits, pooled = self._loo(data, fitter) if loo else self._folds(data, fitter)
        n_folds, n_Cs = scores.shape
        paths = W.T.reshape(n_folds, 1, n_Cs, 1, -1)
        model.classes_ = data.classes
        self.finish(scores, errors, paths, fits.n_iter.reshape(n_folds, 1, n_Cs))
        model.gaps_ = fits.gap.reshape(n_folds, 1, n_Cs)
        of = [f"C={C:g}, fold {f}" for f in range(n_folds) for C in self.Cs]
        _warn_of(fits.trouble, of)
        if model.refit:
            self._refit(data, None if pooled is None else pooled[:, self.best])
        self.legacy()

    def _refit(self, data: TrainingData, start: Float64 | None) -> None:
        model, C = self.model, float(self.model.C_)
        fit = Fit(self.engine, data, {**self.parameters, "C": C}, start, self.report)
        solution, solver = fit.solve()
        model.coef_, model.intercept_ = solution.W[np.newaxis, :-1].copy(), solution.W[-1:].copy()
        model.gap_, model.gap_kind_ = solution.gap, str(solution.gap_kind)
        model.solver_, model.history_ = solver, solution.history.arrays()
        _warn_of([solution.trouble], [f"C={C:g}, all rows"])

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
        indices = np.zeros((n, 1)) if on_gpu(self.X) else self.X
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

    def _folds(
        self, data: TrainingData, fitter: ColumnFitter
    ) -> tuple[Float64, Float64, Float64, ColumnFits, Float64 | None]:
        """Every fold's W for every C, (p, F n_Cs), scores (F, n_Cs) and their mean's standard errors, the
        folds' fits, and the W of all rows, (p, n_Cs), where the folds started there.
        """
        folds = self.splits()
        n, n_Cs, d = len(self.y), len(self.Cs), data.X.shape[1]
        for f, (train, _) in enumerate(folds):
            require_classes(self.y[train], data.classes, data.sample_weight, train, f)
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
        return self._with_intercept(fits.W), scores, _standard_errors(scores), fits, pooled

    def _loo(
        self, data: TrainingData, fitter: ColumnFitter
    ) -> tuple[Float64, Float64, Float64, ColumnFits, Float64]:
        if not np.isfinite(self.Cs).all():
            raise ValueError("cv='loo' needs a penalty: Cs holds infinity. Use a finite C, or cv=5")
        fits = fitter.solve(self.Cs)
        Z = leave_one_out(self.engine, data, self.parameters, self.Cs, fits.W)
        rows = np.arange(len(self.y))
        scores = self.scores.of(Z, self.y, data.y, rows)[np.newaxis]
        return self._with_intercept(fits.W), scores, self.scores.errors_by_rows(Z, data.y), fits, fits.W

    def _with_intercept(self, W: Float64) -> Float64:
        return W if self.model.fit_intercept else W[:-1]

    def finish(self, scores: Float64, errors: Float64, paths: Float64, n_iter: NDArray[np.int64]) -> None:
        """Choose C from scores (F, n_Cs), and set what has been found but for the fit to all rows."""
        model = self.model
        mean = scores.mean(axis=0)
        best = int(np.argmax(mean))
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
        model.scores_, model.coefs_paths_, model.n_iter_ = scores[:, np.newaxis], paths, n_iter
        model.l1_ratio_, model.l1_ratios_ = 0.0, np.zeros(1)
        model.backend_ = self.engine.name
        if not model.refit:
            each = np.argmax(scores, axis=1)
            W = np.mean([paths[f, 0, k] for f, k in enumerate(each)], axis=0)
            d = W.shape[1] - bool(model.fit_intercept)
            model.coef_, model.C_ = W[:, :d].copy(), float(np.mean(self.Cs[each]))
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
        model.C_, model.l1_ratio_ = np.full(len(names), model.C_), np.zeros(len(names))


class _ManyClasses:
    """Three classes or more: a fit a fold and a C, from strong penalties to weak ones, each from the last."""

    def __init__(self, search: _Search) -> None:
        self.search, self.model = search, search.model

    def run(self) -> None:
        search, model = self.search, self.model
        if isinstance(model.cv, str):
            raise ValueError("cv='loo' is for two classes, and y has more; use cv=5, or LeaveOneOut()")
        if on_gpu(search.X):
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
        scores, n_iter = (
            np.empty((len(folds), len(search.Cs))),
            np.empty((len(folds), 1, len(search.Cs)), int),
        )
        paths: list[list[Float64]] = []
        gaps = np.empty(n_iter.shape)
        scorer = Scores(model.scoring, classes, search.routed.scorer.score, search.X, len(y))
        for f, (train, test) in enumerate(folds):
            require_classes(y[train], classes, None, train, f)
            one = LogisticRegression(**parameters)
            some = _safe_indexing(search.X, train)
            weights = None if search.weights is None else np.asarray(search.weights)[train]
            of_fold: list[Float64] = [np.empty(0)] * len(search.Cs)
            held_out = _safe_indexing(search.X, test)
            for k in np.argsort(search.Cs, kind="stable"):
                one.set_params(C=float(search.Cs[k])).fit(some, y[train], weights)
                scores[f, k] = scorer.of_estimator(one, held_out, y[test], test)
                of_fold[k] = np.column_stack([one.coef_] + [one.intercept_] * bool(model.fit_intercept))
                n_iter[f, 0, k], gaps[f, 0, k] = one.n_iter_.max(), one.gap_
            paths.append(of_fold)
        model.classes_ = classes
        search.finish(scores, _standard_errors(scores), np.array(paths)[:, np.newaxis], n_iter)
        model.gaps_ = gaps
        last = LogisticRegression(**{**parameters, "warm_start": False, "C": float(model.C_)})
        if model.refit:
            last.fit(search.X, y, search.weights)
            for name in ("coef_", "intercept_", "gap_", "gap_kind_", "solver_", "history_"):
                setattr(model, name, getattr(last, name))
        model.n_features_in_ = one.n_features_in_
        search.legacy()


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


def _standard_errors(scores: Float64) -> Float64:
    """Of the mean over folds, (n_Cs,); NaN for one fold."""
    if len(scores) < 2:
        return np.full(scores.shape[1], math.nan)
    return np.asarray(scores.std(axis=0, ddof=1) / math.sqrt(len(scores)))


def _grid(Cs: Any) -> Float64:
    """Cs as numbers: (n_Cs,) float64, checked."""
    if isinstance(Cs, (int, np.integer)) and not isinstance(Cs, bool):
        if Cs < 1:
            raise ValueError(f"Cs={Cs!r} must be at least 1, or a list of numbers above 0")
        return np.logspace(-4.0, 4.0, int(Cs))
    allowed = "it must be a list of numbers above 0, or how many to take from 1e-4 to 1e4"
    if isinstance(Cs, (Real, str, bool)) or Cs is None:
        raise TypeError(f"Cs={Cs!r}: {allowed}")
    try:
        grid = np.array(Cs, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"Cs={Cs!r}: {allowed}") from None
    if grid.ndim != 1 or len(grid) == 0 or not (grid > 0.0).all():
        raise ValueError(f"Cs={Cs!r}: {allowed}")
    return grid


def _more_than_two(y: Any) -> bool:
    """Whether y has three classes or more, of whatever kind; what is wrong with y is for others to say."""
    try:
        labels = np.asarray(y)
        others = labels[labels != labels[0]]
        return bool((others != others[0]).any()) and type_of_target(labels) == "multiclass"
    except Exception:
        return False


@contextmanager
def _named(data: TrainingData) -> Iterator[None]:
    """NaN, infinity and overflow in an X that nobody has looked at are found by the first read, and named."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except FloatingPointError:
        data.check_finite()
        raise ValueError(
            "the values of X are too large: sums over its rows overflow float64. Scale X down"
        ) from None


def _report(verbose: int) -> Report:
    return print if verbose else (lambda _line: None)


def _warn_of(troubles: list[str], of: list[str]) -> None:
    """One warning for all fits that stopped short."""
    short = [(name, trouble) for name, trouble in zip(of, troubles, strict=True) if trouble]
    if short:
        more = f" (and {len(short) - 1} fits more)" if len(short) > 1 else ""
        warnings.warn(f"{short[0][0]}: {short[0][1]}{more}", ConvergenceWarning, stacklevel=4)


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError("a plot needs matplotlib: pip install 'accel_logreg[lab]'") from None
    return plt.subplots()[1]
