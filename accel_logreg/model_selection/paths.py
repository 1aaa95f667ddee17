"""Paths: a fit for every C, each from the one before it or all in the same reads, and their picture."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from accel_logreg.backends import resolve
from accel_logreg.estimator import LogisticRegression
from accel_logreg.fitting.columns import ColumnFitter
from accel_logreg.fitting.sparse import SparseSoftmaxFit, has_kinks
from accel_logreg.fitting.sparse_columns import SparseColumnFitter
from accel_logreg.inputs.parameters import check_parameters
from accel_logreg.inputs.training import TrainingData, check_training_data
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.engine import Engine
from accel_logreg.solvers.problem import Report

_NAMED = 10  # coefficients in a picture


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

    @property
    def n_nonzero(self) -> NDArray[np.int64]:
        """(n_Cs,): features with a coefficient that is not 0, of any class."""
        used = self.coefs != 0.0
        return np.asarray((used if used.ndim == 2 else used.any(axis=1)).sum(axis=1), dtype=np.int64)

    def plot(self, ax: Any = None, *, names: ArrayLike | None = None, chosen: float | None = None) -> Any:
        """Coefficients by log C, on matplotlib axes, which are returned; needs the extra "lab".

        The ten largest are named, by ``names`` (d,) or the column names of X. ``chosen`` is a C to mark, such
        as ``C_`` of LogisticRegressionCV.
        """
        names = self.feature_names if names is None else np.asarray(names)
        ax = axes_or_new(ax)
        order = np.argsort(self.Cs)
        coefs = self.coefs[order].reshape(len(order), -1)
        lines = ax.plot(self.Cs[order], coefs)
        ax.axhline(0.0, color="0.7", linewidth=0.8)
        ax.set(xscale="log", xlabel="C", ylabel="coefficient")
        handles: list[Any] = []
        labels: list[str] = []
        if names is not None and self.coefs.ndim == 2:
            order = np.argsort(-np.abs(coefs).max(axis=0), kind="stable")
            handles, labels = [lines[j] for j in order[:_NAMED]], [str(names[j]) for j in order[:_NAMED]]
            for at, j in enumerate(order):  # each name its own colour
                lines[j].set(color=f"C{at}" if at < _NAMED else "0.8", zorder=2 if at < _NAMED else 1)
        if chosen is not None:
            handles.append(ax.axvline(chosen, color="0.5", linestyle="--"))
            labels.append(f"C = {chosen:.3g}")
        if handles:
            ax.legend(handles, labels, fontsize="small")
        return ax


def logistic_path(
    X: Any,
    y: Any,
    Cs: int | ArrayLike | None = None,
    *,
    l1_ratio: float = 0.0,
    penalty_factor: ArrayLike | None = None,
    positive: bool = False,
    eps: float = 1e-2,
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

    With the L2 penalty and two classes all of them in the same reads of X; else one after the other, from the
    strongest penalty to the weakest, each from the last: with exact zeros about one read of X for each.
    Parameters that are not named below are those of ``LogisticRegression``.

    Parameters
    ----------
    X, y, sample_weight : as ``LogisticRegression.fit`` takes them
    Cs : (n_Cs,), above 0, in any order; or how many; None is 10, or 100 where ``l1_ratio`` is above 0
        A number of them is spread from 1e-4 to 1e4; where ``l1_ratio`` is above 0 from the largest C under
        which all penalised coefficients are 0 to ``1/eps`` times that: from α_max down to eps α_max, as lasso
        paths have it, with α = 1/(C Σs).
    eps : float, default 1e-2
        Between 0 and 1: see Cs.

    Raises
    ------
    ValueError, TypeError
        X, y, weights or a parameter are not allowed.
    """
    model = LogisticRegression(
        l1_ratio=l1_ratio, penalty_factor=penalty_factor, positive=positive, fit_intercept=fit_intercept,
        class_weight=class_weight, tol=tol, backend=backend, random_state=random_state, n_threads=n_threads,
        max_memory=max_memory, verbose=verbose,
    )  # fmt: skip
    check_parameters(vars(model))
    if not 0.0 < eps < 1.0:
        raise ValueError(f"eps={eps!r} must be between 0 and 1: the weakest penalty as a share of α_max")
    if Cs is None:
        Cs = 100 if l1_ratio > 0.0 else 10
    grid = checked_grid(Cs)
    from_largest = l1_ratio > 0.0 and isinstance(Cs, (int, np.integer))
    engine = resolve(backend, X)
    try:
        data = check_training_data(model, engine, X, y, sample_weight, class_weight)
        if len(data.classes) > 2:
            if from_largest:
                grid = _from_largest(_largest_of_classes(model, engine, data), data, len(grid), eps)
            return _path_of_classes(model, grid, X, y, sample_weight)
        with named_overflow(data), engine.threads(n_threads):
            fitter = fitter_type(vars(model))(engine, data, vars(model), reporter(verbose))
            if from_largest:
                assert isinstance(fitter, SparseColumnFitter)
                grid = _from_largest(fitter.largest_strength(), data, len(grid), eps)
            fits = fitter.solve(grid, prove=True)
    finally:
        engine.after_fit()
    warn_of(fits.trouble, [f"C={C:g}" for C in grid])
    return LogisticPath(
        grid, fits.W[:-1].T.copy(), fits.W[-1].copy(), fits.cost, fits.gap, fits.kind, fits.n_iter,
        fits.reads, data.classes, getattr(model, "feature_names_in_", None),
    )  # fmt: skip


def fitter_type(parameters: Mapping[str, Any]) -> type[ColumnFitter]:
    return SparseColumnFitter if has_kinks(parameters) else ColumnFitter


def _largest_of_classes(model: LogisticRegression, engine: Engine, data: TrainingData) -> float:
    """As ``SparseColumnFitter.largest_strength``, of a softmax."""
    with named_overflow(data), engine.threads(model.n_threads):
        fit = SparseSoftmaxFit(engine, data, vars(model), None, reporter(0))
        return fit.largest_strength()


def _from_largest(strength: float, data: TrainingData, n_Cs: int, eps: float) -> Float64:
    """Cs from the largest under which all coefficients are 0, for λ = ``strength`` there."""
    if not strength > 0.0:
        raise ValueError("no feature has anything to do with y, so that no C is the largest: pass Cs")
    S = len(data.y) if data.sample_weight is None else float(data.sample_weight.sum())
    return np.asarray(np.geomspace(1.0, 1.0 / eps, n_Cs) / (strength * S * data.weight_unit))


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


def checked_grid(Cs: Any) -> Float64:
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


@contextmanager
def named_overflow(data: TrainingData) -> Iterator[None]:
    """NaN, infinity and overflow in an X that nobody has looked at are found by the first read, and named."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except FloatingPointError:
        data.check_finite()
        raise ValueError(
            "the values of X are too large: sums over its rows overflow float64. Scale X down"
        ) from None


def reporter(verbose: int) -> Report:
    return print if verbose else (lambda _line: None)


def warn_of(troubles: list[str], of: list[str]) -> None:
    """One warning for all fits that stopped short."""
    short = [(name, trouble) for name, trouble in zip(of, troubles, strict=True) if trouble]
    if short:
        more = f" (and {len(short) - 1} fits more)" if len(short) > 1 else ""
        warnings.warn(f"{short[0][0]}: {short[0][1]}{more}", ConvergenceWarning, stacklevel=4)


def axes_or_new(ax: Any) -> Any:
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError("a plot needs matplotlib: pip install 'accel_logreg[lab]'") from None
    return plt.subplots()[1]
