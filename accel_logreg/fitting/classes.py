"""One fit of K classes by a softmax: what differs from a fit of two (binary.py)."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpstrf

from accel_logreg.fitting.binary import Fit, Solver, costs_of
from accel_logreg.inputs.training import TrainingData
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.classes import ClassRows
from accel_logreg.problem.multiclass import SoftmaxCoordinates, SoftmaxObjective, standardised_classes
from accel_logreg.solvers.choose import Choice, choose_for_classes
from accel_logreg.solvers.costs import ClassCosts
from accel_logreg.solvers.gradient_descent import gradient_descent
from accel_logreg.solvers.lbfgs import lbfgs
from accel_logreg.solvers.newton import newton
from accel_logreg.solvers.newton_cg_classes import newton_cg_classes
from accel_logreg.solvers.problem import Budget, GapKind, History, Solution, shortfall

_SMALL = 1 << 16  # entries of X, times classes
_OF_SMALL, _SMALL_TOL = 1e-7, 1e-15  # of tol, and at least
_OF_TOL = 0.2  # to which the problem among the rows is solved
_VECTORS = 80  # of all unknowns, that newton-cg keeps: pairs of its memory, and a dozen at work
_SOLVERS: dict[str, Solver] = {"newton": newton, "newton-cg": newton_cg_classes, "lbfgs": lbfgs}


class SoftmaxFit(Fit):
    """One fit of K classes; W is (K p,), class by class."""

    objective: SoftmaxObjective
    costs: ClassCosts
    estimates = ("newton", "newton-cg", "newton-gram")

    def _objective(self, data: TrainingData) -> SoftmaxObjective:
        self.data = data
        _require_memory(data)
        rows = self._place(data, data.n_classes)
        assert isinstance(rows, ClassRows)
        return SoftmaxObjective(rows, **self._penalty(data, rows))

    def _costs(self) -> ClassCosts:
        of_two = costs_of(self.rows)
        return ClassCosts(**{**asdict(of_two), "rates": of_two.rates}, n_classes=self.objective.n_classes)

    def _standardised(self) -> SoftmaxCoordinates:
        return standardised_classes(self.objective)

    def _budget(self, solver: str, limit: int | None, max_reads: float = math.inf) -> Budget:
        """Of a small problem one step more costs nothing: coefficients are then right to eight digits."""
        budget = super()._budget(solver, limit, max_reads)
        small = self.objective.penalised and self.rows.entries * self.objective.n_classes <= _SMALL
        small = small and solver.startswith("newton")
        return replace(budget, tol=max(_SMALL_TOL, _OF_SMALL * budget.tol)) if small else budget

    def _solvers(self) -> dict[str, Solver]:
        return _SOLVERS

    def _choice(self) -> Choice:
        rows = self.rows
        among = self.objective.penalised and not rows.sparse and rows.among_rows() is not None
        return choose_for_classes(rows.n_rows, self.costs, sparse=rows.sparse, tol=self.tol, among_rows=among)

    def _run(self, solver: str, limit: int | None, max_reads: float = math.inf) -> Solution:
        if solver == "newton-gram":
            return self._run_among_rows()
        solution = super()._run(solver, limit, max_reads)
        return replace(solution, trouble="") if solution.gap <= self.tol else solution

    def _run_among_rows(self) -> Solution:
        """The same problem with fewer columns than rows, of the rows' inner products.

        Every class's best w is a combination of the rows (Kimeldorf and Wahba 1971). With X less its columns'
        means μ, and its Gram matrix as Z Zᵀ by a pivoted Cholesky factor, X̄ w = Z β and ‖w‖ = ‖β‖ for
        w = X̄ᵀα, Zᵀα = β: Z (n, rank) takes the place of X. Rounding shows in J of the rows as they are, and
        is added to the gap.
        """
        objective, rows, data = self.objective, self.rows, self.data
        among = rows.among_rows()
        if not objective.penalised or among is None:
            what = "rows of this engine" if objective.penalised else "C=inf"
            raise ValueError(
                f"solver='newton-gram' needs a penalty, and inner products of rows: {what} has none. Use "
                "solver='auto'"
            )
        history = History()
        centre = np.zeros(rows.n_features)
        if objective.fit_intercept and not rows.sparse:
            centre = rows.column_moments(centred=True).means
        Z, pivots, L = _pivoted_cholesky(among.gram(centre))
        inner = _OfCombinations(
            self.engine,
            replace(data, X=Z, finite=True),
            {**self.parameters, "solver": "auto", "tol": _OF_TOL * self.tol},
            None,
            self.report,
        )
        found, _ = inner.solve()
        W = np.empty((objective.n_classes, rows.n_features + 1))
        for w, beta in zip(W, found.W.reshape(objective.n_classes, -1), strict=True):
            alpha = np.zeros(rows.n_rows)
            alpha[pivots] = solve_triangular(L, beta[:-1], trans=1, lower=True, check_finite=False)
            w[:-1] = among.combination(alpha) - alpha.sum() * centre
            w[-1] = beta[-1] - w[:-1] @ centre
        value, gradient = objective.value_grad(W.ravel())
        history.append(value, objective.gradient_norm(gradient), rows.reads)
        gap = found.gap + abs(value - found.history.cost[-1]) / value
        trouble = ""
        if gap > self.tol:
            limit = self.parameters["max_iter"] or 200
            trouble = shortfall("newton-gram", found.n_iter, gap, found.gap_kind, self.tol, limit)
        return Solution(W.ravel(), found.n_iter, gap, GapKind.ESTIMATED, history, trouble)

    def _separating_direction(self) -> Float64 | None:
        return None  # the directions that the solver's own steps take are looked at

    def _small_fit(self, max_iter: int) -> Solution | None:  # noqa: ARG002
        return None

    def _by_class(self, W: Float64, move: Any) -> Float64:
        return np.concatenate([move(w) for w in W.reshape(self.objective.n_classes, -1)])

    def _inward(self, W: Float64) -> Float64:
        return W if self.columns is None else self._by_class(W, self.columns.inward)

    def _outward(self, W: Float64) -> Float64:
        assert self.columns is not None
        return self._by_class(W, self.columns.outward)

    def _unused(self, W: Float64) -> Float64:
        assert self.columns is not None
        return self._by_class(W, self.columns.unused)

    def _rounding(self, W: Float64) -> float:
        assert self.columns is not None
        return max(self.columns.rounding(w) for w in W.reshape(self.objective.n_classes, -1))

    def _descent(self, budget: Budget) -> Solution:
        return gradient_descent(self.objective, self.start, budget)

    def gap_of(self, W: Float64) -> float:
        """As in ``Fit``. What all classes' weights have in common changes no probability: it costs its
        penalty alone, and is judged apart, for the bounds are of vectors that sum to 0 over the classes.
        """
        by_class = W.reshape(self.objective.n_classes, -1)
        mean = by_class.mean(axis=0)
        centred = (by_class - mean).ravel()
        gap = super().gap_of(centred)
        penalty = 0.5 * self.objective.l2 * len(by_class) * float(mean[:-1] @ mean[:-1])
        if penalty == 0.0 or not math.isfinite(gap):
            return gap
        return gap + penalty / self.objective.value_grad(self._inward(centred))[0] * (1.0 + gap)


class _OfCombinations(SoftmaxFit):
    """Of what ``SoftmaxFit._run_among_rows`` has put in X's place: it is not put among its rows once more."""

    def _choice(self) -> Choice:
        return choose_for_classes(self.rows.n_rows, self.costs, sparse=False, tol=self.tol, among_rows=False)


def _require_memory(data: TrainingData) -> None:
    """Raise MemoryError where a solver's vectors of all classes are more than the machine's memory."""
    (n, d), K = data.X.shape, data.n_classes
    need, memory = 8.0 * K * (_VECTORS * (d + 1) + n), _memory()
    if need > memory:
        raise MemoryError(
            f"a softmax of {K} classes and {d} features takes about {need / 1e9:.3g} GB for {n} rows, of "
            f"{memory / 1e9:.3g} GB that this machine has: merge rare classes, drop features, pass fewer "
            "rows, or use multi_class='ovr', which fits some classes at a time"
        )


def _memory() -> float:
    """Bytes of memory that this machine has; infinite where the system does not tell."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return math.inf


def _pivoted_cholesky(K: Float64) -> tuple[Float64, NDArray[np.intp], Float64]:
    """Z (n, r) with Z Zᵀ ≈ K, symmetric and not negative; the r rows that make it, and L = Z of these."""
    L, pivots, rank, _ = dpstrf(K, lower=1)
    order = pivots.astype(np.intp) - 1
    L = np.tril(L[:, :rank])
    Z = np.empty((len(K), rank))
    Z[order] = L
    return Z, order[:rank], np.ascontiguousarray(L[:rank])
