"""Choosing C by cross-validation: all folds and all C in the same reads of X."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import get_scorer
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _raise_for_params,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.validation import check_is_fitted

from accel_logreg.backends import resolve
from accel_logreg.backends.first_use import Work, note
from accel_logreg.estimator import LogisticRegression
from accel_logreg.fitting.sparse import has_kinks
from accel_logreg.inputs.callbacks import as_task, has_callbacks
from accel_logreg.inputs.memory_size import memory_bytes
from accel_logreg.inputs.parameters import check_parameters
from accel_logreg.inputs.scikit_names import CV_SOLVERS, ratios_of
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.engine import Engine
from accel_logreg.model_selection.classes import ManyClasses
from accel_logreg.model_selection.paths import (
    axes_or_new,
    checked_grid,
)
from accel_logreg.model_selection.search import Search, more_than_two
from accel_logreg.sources import Sourced, open_source

_FOLDS = 5  # about, where it is asked what a search will take


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
            search = Search(self, engine, parameters, ratios, X, y, sample_weight, params)
            (ManyClasses(search) if more_than_two(search.y) else search).run()
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
