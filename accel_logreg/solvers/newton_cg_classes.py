"""Newton-CG for the softmax of K classes: a sample first, then all rows in float32, then exact gradients.

The optimum over m random rows is within about K p/(2m) nats of the one over all rows, so a sample leads near
it at a fraction of a read (newton.py). Then a copy of all rows in float32, or of some where that would take
too much memory, is a model of J that gives the Hessian's products; what is exact is J and its gradient.
Products are conditioned by one matrix for all classes (parts/class_factor.py).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accel_logreg.interface.arrays import Float64
from accel_logreg.solvers.costs import ClassCosts
from accel_logreg.solvers.newton_cg import Approach, ScaledIdentity, conjugate_gradients, newton_cg
from accel_logreg.solvers.parts.class_factor import KroneckerInverse
from accel_logreg.solvers.parts.factor import Factor
from accel_logreg.solvers.parts.line_search import search
from accel_logreg.solvers.parts.memory import Memory
from accel_logreg.solvers.problem import Budget, ClassProblem, Inverse, Solution, relative_gap

_SAMPLE = 4  # rows an unknown of a class, at least
_LARGEST_SAMPLE = 64
_SHARE_OF_SAMPLE = 1.0 / 12.0  # of the rows, at most
_LARGEST_COPY = 1 << 31  # bytes
_ROWS_OF_FACTOR = 6  # an unknown, at least; as many more as take so many passes
_PASSES_A_FACTOR = 6.0
_MOST_FOR_A_FACTOR = 10.0  # times that, for the fewest rows and the factor
_FACTORS = 12  # that many classes share
_LITTLE = 1e-3  # seconds that are spent on it in any case
_SAMPLE_TOL, _MODEL_TOL = 0.02, 1e-3
_STEPS = 30
_LENGTHS = tuple(2.0**-k for k in range(7, -1, -1))  # of a discriminant, tried while J falls
_FAR = 0.05  # gap from which a step changes the curvature too much for what conditioned it
_PAIRS = 30
_RIDGE = 0.05  # on variances of about 1 within the classes
_MOST_SMOOTHED = 0.25
_PROVING = 0.1, 10.0  # of the reads before, and so many more, that a proof may take
_PROOF_PRODUCTS = 60  # in a solve that is to prove: where it proves nothing, it has seen what may be left


def newton_cg_classes(problem: ClassProblem, start: Float64 | None, budget: Budget) -> Solution:
    """Minimise until the relative suboptimality is at most ``budget.tol``; see ``newton_cg``."""
    if problem.sparse:
        return newton_cg(problem, start, budget)
    budget = replace(budget, proving=_PROVING, proof_products=_PROOF_PRODUCTS)
    return newton_cg(problem, start, budget, approach=lambda U: _approach(problem, U, start, budget))


def _approach(problem: ClassProblem, U: Float64, start: Float64 | None, budget: Budget) -> Approach:
    n, p, random = problem.n_rows, problem.size // problem.n_classes, budget.random
    kept = min(n, max(_SAMPLE * p, _LARGEST_COPY // (4 * p)))
    first = int(min(_SHARE_OF_SAMPLE * n, _LARGEST_SAMPLE * p))
    for rows in [first] * (start is None and first >= _SAMPLE * p) + [kept]:
        model = problem.model(None if rows >= n else problem.pick(rows, random)) or problem
        if rows < kept:
            model.smoothed(min(_MOST_SMOOTHED, p / rows))
        tol = max(budget.tol, _SAMPLE_TOL if rows < kept else _MODEL_TOL)
        U, preconditioner, memory = _minimise(model, U, tol, budget)
        budget.report(f"newton-cg: model of {model.n_rows} rows, {problem.reads:.2f} reads")
    return Approach(U, None if model is problem else model, preconditioner, memory)


def _minimise(model: ClassProblem, U: Float64, tol: float, budget: Budget) -> tuple[Float64, Inverse, Memory]:
    """The model's optimum, to about ``tol``, and what conditions products there.

    Far from it, where every step changes which rows are uncertain, that is made anew with each.
    """
    value, gradient = model.value_grad(U)
    at_zero = not U.reshape(model.n_classes, -1)[:, :-1].any()
    if at_zero and _rows_of_factor(model, budget) is not None:
        U, value, gradient = _discriminant(model, U, value, gradient)
        budget.report(f"newton-cg: linear discriminant analysis, cost {value:.6g}")
    preconditioner, memory = _preconditioner(model, U, budget), Memory(_PAIRS)
    for steps in range(_STEPS):
        solve = conjugate_gradients(model, U, gradient, memory, preconditioner, 0.5 * tol * value, value)
        gap = relative_gap(solve.decrement + solve.left, value)
        budget.report(
            f"newton-cg: model, iteration {steps}, cost {value:.6g}, gap {gap:.2g}, {solve.products} products"
        )
        found = search(model, U, value, gradient, solve.x) if gap > tol else None
        if found is None:
            break
        memory.append(found.U - U, found.gradient - gradient)
        U, value, gradient = found.U, found.value, found.gradient
        if gap > _FAR:
            preconditioner, memory = _preconditioner(model, U, budget), Memory(_PAIRS)
    return U, preconditioner, memory


def _discriminant(
    model: ClassProblem, U: Float64, value: float, gradient: Float64
) -> tuple[Float64, float, Float64]:
    """Linear discriminant analysis (Fisher 1936), or as much of it as lowers J from the trivial point U.

    For classes that are normal with one covariance it is the optimum, wherever the classes' means are;
    Newton's step from the trivial point, where it has seen no mean, is far from there for many classes. The
    means are in the gradient: class k's is −shareₖ (meanₖ − mean).
    """
    _, G, penalty = model.kronecker_factors(U)
    K, p = model.n_classes, len(G)
    shares = np.exp(U.reshape(K, p)[:, -1])
    shares /= shares.sum()
    trace = 1.0 - float(shares @ shares)
    means = -gradient.reshape(K, p)[:, :-1] / shares[:, np.newaxis]
    within = G[:-1, :-1] / trace
    intercept = penalty[-1] == 0.0
    if intercept:
        within -= (means.T * shares) @ means
    within.flat[::p] += penalty[:-1] + _RIDGE
    W = Factor(within).solve_each(means)
    best = U, value, gradient
    for length in _LENGTHS:
        there = U.reshape(K, p).copy()
        there[:, :-1] = length * W
        there[:, -1] -= 0.5 * length * intercept * np.einsum("kj,kj->k", means, W)
        there -= there.mean(axis=0)
        found = model.value_grad(there.ravel())
        if not found[0] < best[1]:
            break
        best = there.ravel(), *found
    return best


def _preconditioner(problem: ClassProblem, U: Float64, budget: Budget) -> Inverse:
    """Of as many of ``problem``'s rows as are worth it, at U."""
    rows = _rows_of_factor(problem, budget)
    if rows is None:
        return ScaledIdentity()
    picked = None if rows == problem.n_rows else problem.pick(rows, budget.random)
    return KroneckerInverse(*problem.kronecker_factors(U, sample=picked))


def _rows_of_factor(problem: ClassProblem, budget: Budget) -> int | None:
    """How many rows a matrix (p, p) is made of; None where its factor would cost too many passes."""
    costs = budget.costs
    assert isinstance(costs, ClassCosts)
    n, p = problem.n_rows, problem.size // problem.n_classes
    worth = _PASSES_A_FACTOR * costs.gradient(n)
    one = replace(costs, n_classes=1)
    rows = min(n, _ROWS_OF_FACTOR * p)
    price = one.hessian(rows) + min(problem.n_classes, _FACTORS) * one.factor()
    if price > max(_LITTLE, _MOST_FOR_A_FACTOR * worth):
        return None
    return max(rows, min(n, int(n * worth / one.hessian(n))))
