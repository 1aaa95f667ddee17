"""Choosing C by cross-validation: all folds and all C in the same reads of X."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, _safe_indexing, column_or_1d, compute_class_weight
from sklearn.utils._param_validation import InvalidParameterError
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
from accel_logreg.backends.first_use import Work, note
from accel_logreg.estimator import LogisticRegression
from accel_logreg.fitting.columns import ColumnFits, ColumnFitter, leave_one_out
from accel_logreg.fitting.sparse import fit_of, has_kinks
from accel_logreg.held_out_scores import Scores
from accel_logreg.inputs.callbacks import as_task, has_callbacks
from accel_logreg.inputs.liblinear import outward, with_constant
from accel_logreg.inputs.memory_size import memory_bytes
from accel_logreg.inputs.namespaces import to_numpy
from accel_logreg.inputs.parameters import check_parameters
from accel_logreg.inputs.scikit_names import CV_SOLVERS, ratios_of
from accel_logreg.inputs.training import TrainingData, check_training_data
from accel_logreg.interface.arrays import Csr, Float64, on_gpu
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.parted_matrix import PartedMatrix
from accel_logreg.interface.parts import Parts
from accel_logreg.paths import axes_or_new, checked_grid, fitter_type, named_overflow, reporter, warn_of
from accel_logreg.prediction import ClassScores
from accel_logreg.sources import Sourced, open_source

_FOLDS = 5  # about, where it is asked what a search will take
_MOST_BYTES = 1 << 29  # of weights and logits at a time: more folds go one block after the other
_ENOUGH_TO_START = 0.05  # of p/n nats, by which folds differ: how near the fits to all rows need to be


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
        cv=LeaveOneOut() on such data. It needs two classes, a finite C and the L2 penalty.
    scoring : str, callable or None, default None
        None is accuracy. "accuracy" and "neg_log_loss" are quickest.
    choice : {"best", "one-standard-error"}, default "best"
        "one-standard-error" takes the smallest C whose mean score is within one standard error of the best
        one's (Breiman et al. 1984), with the same l1_ratio.
    refit : bool, default True
        Fit to all rows with the C that was chosen; False averages the folds' coefficients, each at its own
        best C.
    class_weight : None, "balanced" or dict
        "balanced" is by the shares of the classes in all rows, as in scikit-learn 1.9.
    tol, fit_intercept, max_iter, random_state, backend, max_memory, n_threads, verbose :
        As ``LogisticRegression`` has them. ``max_iter`` bounds the last fit.
    n_jobs : int or None
        Above 0 a bound on the threads, as ``n_threads``; the columns share the reads.
    solver : {"auto", "lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga"}, default "auto"
        scikit-learn's names, for the penalties that they have there. They change nothing, but for
        "liblinear", which penalises the intercept: see ``LogisticRegression``.
    penalty, dual, intercept_scaling : as ``LogisticRegression`` has them
    l1_ratios : (n_l1_ratios,) or None, default (0.0,)
        From 0, the L2 penalty, to 1, the L1 penalty, to choose from as well; None is (0.0,).
    penalty_factor, positive : as ``LogisticRegression`` has them
    use_legacy_attributes : bool, default False
        True gives ``C_``, ``scores_``, ``coefs_paths_`` and ``n_iter_`` the shapes that scikit-learn had
        before 1.10: see there.

    Attributes
    ----------
    C_, l1_ratio_ : float
    Cs_, l1_ratios_ : (n_Cs,) and (n_l1_ratios,) float64
    scores_ : (n_folds, n_l1_ratios, n_Cs) float64
    mean_scores_, standard_errors_ : (n_Cs,) float64
        Over folds, of the l1_ratio that was chosen; over rows for "loo".
    coefs_paths_ : (n_folds, n_l1_ratios, n_Cs, 1 or n_classes, d + 1) float64
        The intercept last, if there is one.
    n_iter_ : (n_folds, n_l1_ratios, n_Cs) int32
    coef_, intercept_, classes_, n_features_in_, feature_names_in_, backend_ :
        As ``LogisticRegression`` has them.
    solver_, gap_, gap_kind_, history_ :
        Of the fit to all rows; only with ``refit``.
    gaps_ : (n_folds, n_l1_ratios, n_Cs) float64
        Relative suboptimality of the folds' fits.
    """

    def __init__(
        self,
        *,
        Cs: int | ArrayLike = 10,
        l1_ratios: ArrayLike | None = (0.0,),
        fit_intercept: bool = True,
        cv: Any = None,
        dual: bool = False,
        penalty: str | None = "deprecated",
        scoring: str | Callable[..., float] | None = None,
        solver: str = "auto",
        tol: float = 1e-8,
        max_iter: int | None = None,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        refit: bool = True,
        intercept_scaling: float = 1.0,
        random_state: int | np.random.RandomState | None = None,
        use_legacy_attributes: bool = False,
        choice: Literal["best", "one-standard-error"] = "best",
        penalty_factor: ArrayLike | None = None,
        positive: bool = False,
        backend: str = "auto",
        max_memory: int | str | None = None,
        n_threads: int | None = None,
    ) -> None:
        self.Cs = Cs
        self.l1_ratios = l1_ratios
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.dual = dual
        self.penalty = penalty
        self.scoring = scoring
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.refit = refit
        self.intercept_scaling = intercept_scaling
        self.random_state = random_state
        self.use_legacy_attributes = use_legacy_attributes
        self.choice = choice
        self.penalty_factor = penalty_factor
        self.positive = positive
        self.backend = backend
        self.max_memory = max_memory
        self.n_threads = n_threads

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, **params: Any) -> Self:
        """Choose C on X (n, d) and y (n,), and fit to all rows.

        sample_weight (n,) weighs the rows in every fit and in the scores. ``params`` go to the splitter and
        the scorer, where scikit-learn's metadata routing is enabled.
        """
        _raise_for_params(params, self, "fit")
        if has_callbacks(self):
            as_task(self, lambda: self._search(X, y, sample_weight, params), X, y, sample_weight)
        else:
            self._search(X, y, sample_weight, params)
        return self

    def _search(self, X: Any, y: Any, sample_weight: Any, params: dict[str, Any]) -> None:
        before = vars(self).copy()
        engine: Engine | None = None
        sourced: Sourced | None = None
        try:
            parameters, ratios = self._checked()
            sourced = open_source(X, y, sample_weight, max_memory=memory_bytes(self.max_memory))
            if sourced is not None:
                X, y, sample_weight = sourced.X, sourced.y, sourced.sample_weight
                sourced.X.begin_fit()
            Cs = self.Cs if isinstance(self.Cs, int) else np.size(self.Cs)
            columns = max(2, len(ratios) * int(Cs) * _FOLDS)
            work = Work.of(X, y, kinks=has_kinks(parameters), columns=columns)
            engine = resolve(self.backend, X, work)
            _Search(self, engine, parameters, ratios, X, y, sample_weight, params).run()
            if work is not None and engine.name == "numba":
                note(work.kind)
        except BaseException:  # a fit that did not finish did not happen
            self.__dict__ = before
            raise
        finally:
            if engine is not None:
                engine.after_fit()
            if sourced is not None:
                sourced.X.end_fit()

    def _checked(self) -> tuple[dict[str, Any], Float64]:
        """LogisticRegression's parameters, all of them looked at, and the l1_ratios."""
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
        checked_grid(self.Cs)
        own = {
            name: getattr(self, name)
            for name in (
                "fit_intercept", "tol", "max_iter", "class_weight", "random_state", "backend", "max_memory",
                "n_threads", "verbose", "penalty_factor", "positive", "dual", "solver", "intercept_scaling",
                "n_jobs",
            )
        }  # fmt: skip
        if self.solver not in CV_SOLVERS:
            raise InvalidParameterError(
                f"solver={self.solver!r} is unknown; allowed: {', '.join(map(repr, CV_SOLVERS))}, "
                "which all find the same optimum"
            )
        ratios = _ratios(ratios_of(self.penalty, self.l1_ratios))
        for ratio in ratios:
            own["l1_ratio"] = float(ratio)
            parameters = check_parameters({**LogisticRegression().get_params(), **own})
        parameters["solver"] = "liblinear" if self.solver == "liblinear" else "auto"
        if isinstance(self.cv, str) and has_kinks(parameters):
            raise ValueError(
                "cv='loo' is for the L2 penalty alone, alike for all features; use cv=5, or LeaveOneOut()"
            )
        return parameters, ratios

    def score(self, X: Any, y: Any = None, sample_weight: Any = None, **params: Any) -> float:
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
        ax = axes_or_new(ax)
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
        if _more_than_two(self.y):
            _ManyClasses(self).run()
            return
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
        return _OfRatio(self._with_intercept(fits.W), scores, _standard_errors(scores), fits, pooled)

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


class _ManyClasses:
    """Three classes or more: a fit a fold and a C, from strong penalties to weak ones, each from the last."""

    def __init__(self, search: _Search) -> None:
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
        errors = np.stack([_standard_errors(scores[:, r]) for r in range(shape[1])])
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


def _ratios(l1_ratios: Any) -> Float64:
    """l1_ratios as numbers: (n_l1_ratios,) float64; their range is checked as that of any l1_ratio."""
    try:
        found = np.zeros(1) if l1_ratios is None else np.array(l1_ratios, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.ndim != 1 or len(found) == 0:
        raise ValueError(
            f"l1_ratios={l1_ratios!r} must be None or a list of numbers from 0, the L2 penalty, to 1, the L1 "
            "penalty"
        )
    return found


def _more_than_two(y: Any) -> bool:
    """Whether y has three classes or more, of whatever kind; what is wrong with y is for others to say."""
    try:
        labels = np.asarray(y)
        others = labels[labels != labels[0]]
        return bool((others != others[0]).any()) and type_of_target(labels) == "multiclass"
    except Exception:
        return False
