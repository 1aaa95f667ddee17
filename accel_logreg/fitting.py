"""One fit: the objective, the coordinates and the start that each solver works with."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from accel_logreg.inputs.memory_size import memory_bytes
from accel_logreg.inputs.training import TrainingData
from accel_logreg.interface.arrays import Csr, Float64
from accel_logreg.interface.device_matrix import DeviceMatrix
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.rows import Rows
from accel_logreg.problem.coordinates import Standardised, column_scales, curvature_scales
from accel_logreg.problem.objective import Objective
from accel_logreg.problem.sampling import Sampler
from accel_logreg.solvers.choose import choose, quicker_among_rows
from accel_logreg.solvers.costs import Costs
from accel_logreg.solvers.gradient_descent import gradient_descent
from accel_logreg.solvers.gram.descent import gram_descent
from accel_logreg.solvers.gram.newton import gram_newton
from accel_logreg.solvers.lbfgs import lbfgs
from accel_logreg.solvers.newton import newton
from accel_logreg.solvers.newton_cg import newton_cg
from accel_logreg.solvers.parts.factor import factorise, rough_factor
from accel_logreg.solvers.parts.memory import Inverse
from accel_logreg.solvers.problem import History, Report, Solution, relative_gap

_ROWS_AN_UNKNOWN = 8  # in the Hessian that preconditions conjugate gradients
_PASSES_A_FACTOR = 10  # at most, that it may cost
_MAX_ITER = {"gradient-descent": 1_000, "lbfgs": 10_000}


class Fit:
    """One fit of ``data`` on ``backend`` with an estimator's parameters."""

    def __init__(
        self,
        backend: Engine,
        data: TrainingData,
        parameters: Mapping[str, Any],
        start: Float64 | None,
        report: Report,
    ) -> None:
        backend = backend.bounded(memory_bytes(parameters["max_memory"]))
        self.backend, self.data, self.parameters = backend, data, parameters
        self.start, self.report = start, report
        self.rows = self._rows()
        C = parameters["C"]
        self.objective = Objective(
            self.rows,
            l2=0.0 if math.isinf(C) else 1.0 / (C * self.rows.weight_sum),
            fit_intercept=bool(parameters["fit_intercept"]),
            smallest_weight=data.smallest_weight,
        )
        seed = parameters["random_state"]
        self.random_state = 0 if seed is None else seed
        self.tol = float(parameters["tol"])
        n, d = data.X.shape
        entries = len(data.X.data) / n if isinstance(data.X, Csr) else float(d)
        self.costs = Costs(
            self.rows.rates(backend.rates), d + 1, entries, data.X.nbytes / max(1.0, n * entries)
        )

    def _rows(self) -> Rows:
        X, y, s = self.data.X, self.data.y, self.data.sample_weight
        return X.rows(y, s) if isinstance(X, DeviceMatrix) else self.backend.rows(X, y, s)

    def solve(self) -> tuple[Solution, str]:
        """The solution and the name of the solver that found it."""
        solver = self.parameters["solver"]
        others: tuple[str, ...] = ()
        data = self.data
        n, d = data.X.shape
        why = " as asked"
        if solver == "auto":
            choice = choose(
                n, self.costs, sparse=isinstance(data.X, Csr), penalised=self.objective.l2 > 0.0, tol=self.tol
            )
            solver, others, why = choice.solver, choice.others, f": {choice.why}"
        if self.parameters["verbose"]:  # a dtype's name alone takes 3 us
            self.report(f"backend={self.backend.name}, X {n}x{d} {data.X.dtype}, solver={solver}{why}")
        limit = self.parameters["max_iter"]
        max_iter = _MAX_ITER.get(solver, 200) if limit is None else limit
        solution = self._newton_inside(max_iter) if solver == "newton" and self.start is None else None
        if solution is None:
            with self.backend.threads(self.parameters["n_threads"]):
                solution = self._run(solver, max_iter)
                # "auto" means the user does not care how: where rounding stops one solver short of
                # tol, as it may on extreme data, another goes on from there.
                for other in others if limit is None else ():
                    if not solution.trouble or solution.trouble == self.objective.separation:
                        break
                    self.report(f"{solution.trouble}; {other} goes on")
                    self.start = solution.W
                    further = self._run(other, _MAX_ITER.get(other, 200))
                    if further.gap < solution.gap:
                        solution, solver = further, other
        self.report(
            f"{solver}: {solution.n_iter} iterations, relative gap {solution.gap:.2g} ({solution.gap_kind}), "
            f"{solution.history.reads[-1]:.2f} reads of X, {solution.history.elapsed():.3g} s"
        )
        return solution, solver

    def _run(self, solver: str, max_iter: int) -> Solution:
        run: dict[str, Callable[[int], Solution]] = {
            "newton": self._newton,
            "newton-cg": self._newton_cg,
            "newton-gram": self._newton_gram,
            "lbfgs": self._lbfgs,
            "gradient-descent": self._gradient_descent,
        }
        return run[solver](max_iter)

    def _standardised(self) -> Standardised:
        """J in coordinates of about equal curvature."""
        X, objective = self.data.X, self.objective
        if isinstance(X, Csr):
            scales = curvature_scales(objective, self._trivial()[0])
        else:
            weights, centred = self.data.sample_weight, objective.fit_intercept
            scales = column_scales(X, weights, l2=objective.l2, centred=centred)
        return Standardised(objective, *scales)

    def _trivial(self) -> tuple[Float64, float]:
        """W = 0 but for the intercept, the log-odds of the labels; and J there, without a read of X."""
        W = np.zeros(self.objective.size)
        if not self.objective.fit_intercept:
            return W, math.log(2.0)
        y, s = self.data.y, self.data.sample_weight
        a = float(np.count_nonzero(y) / len(y) if s is None else s @ y / s.sum())
        W[-1] = math.log(a / (1.0 - a))
        return W, -(a * math.log(a) + (1.0 - a) * math.log1p(-a))

    def _newton_inside(self, max_iter: int) -> Solution | None:
        """The engine's own loop, where it has one for problems of this size."""
        began = time.perf_counter()
        objective = self.objective
        run = self.rows.newton(objective.l2, objective.fit_intercept, self.tol, max_iter)
        if run is None:
            return None
        value = float(run.costs[-1])
        gap, kind = relative_gap(run.bound, value), "certified"
        if gap > self.tol:
            gap, kind = relative_gap(run.decrement, value), "estimated"
        if objective.separates(value) or gap > self.tol:
            return None
        history = History.of_run(run.costs, run.gradient_norms, time.perf_counter() - began, self.rows.reads)
        return Solution(run.W, len(run.costs) - 1, gap, kind, history)

    def _newton(self, max_iter: int) -> Solution:
        problem = self._standardised()
        trivial, cost = self._trivial()
        solution = newton(
            problem,
            problem.coordinates(trivial),
            warm=None if self.start is None else problem.coordinates(self.start),
            sampler=self._sampler(),
            costs=self.costs,
            ceiling=cost,
            tol=self.tol,
            max_iter=max_iter,
            report=self.report,
        )
        return replace(solution, W=problem.original(solution.W))

    def _newton_cg(self, max_iter: int) -> Solution:
        problem = self._standardised()
        start = self._trivial()[0] if self.start is None else self.start
        solution = newton_cg(
            problem,
            problem.coordinates(start),
            preconditioner=self._preconditioner(problem, start),
            factor=self._factor_of_all(problem),
            model=problem.rough(),
            tol=self.tol,
            max_iter=max_iter,
            report=self.report,
        )
        return replace(solution, W=problem.original(solution.W))

    def _preconditioner(self, problem: Standardised, start: Float64) -> Inverse:
        """A factor of a Hessian of some rows where that costs a few passes, else the diagonal alone."""
        n, costs = len(self.data.y), self.costs
        rows = min(n, _ROWS_AN_UNKNOWN * costs.p)
        sparse = isinstance(self.data.X, Csr)
        if costs.hessian(rows) + costs.factor() > _PASSES_A_FACTOR * costs.gradient(n) or sparse:
            return _Quarter()
        picked = None if rows == n else self._sampler().pick(rows)
        U = problem.coordinates(start)
        return rough_factor(problem.rough_hessian(U, picked=picked)) or factorise(
            lambda precise: problem.hessian(U, picked=picked, precise=precise)
        )

    def _factor_of_all(self, problem: Standardised) -> Callable[[Float64], Inverse] | None:
        """What makes the factor of a Hessian of all rows, where that costs a few passes."""
        n, costs = len(self.data.y), self.costs
        if isinstance(self.data.X, Csr):
            return None
        if costs.hessian(n) + costs.factor() > _PASSES_A_FACTOR * costs.gradient(n):
            return None
        return lambda U: factorise(lambda precise: problem.hessian(U, precise=precise))

    def _sampler(self) -> Sampler:
        data = self.data
        random = check_random_state(self.random_state)
        row_bytes = data.X.shape[1] * data.X.dtype.itemsize
        return Sampler(data.y, data.sample_weight, row_bytes, random)

    def _newton_gram(self, max_iter: int) -> Solution:
        data, objective = self.data, self.objective
        centre = np.zeros(objective.size - 1)
        if objective.fit_intercept and not isinstance(data.X, Csr):
            centre = objective.combination(self._shares())  # the mean row
        return gram_newton(
            objective,
            centre,
            data.y,
            data.sample_weight,
            W=self.start,
            logits=self._logits,
            tol=self.tol,
            max_iter=max_iter,
            report=self.report,
        )

    def _shares(self) -> Float64:
        """Each row's share of the weight, (n,)."""
        n, s = len(self.data.y), self.data.sample_weight
        return np.full(n, 1.0 / n) if s is None else s / s.sum()

    def _logits(self, W: Float64) -> Float64:
        X = self.data.X
        return X.logits(W) if isinstance(X, DeviceMatrix) else self.backend.logits(X, W)

    def _lbfgs(self, max_iter: int) -> Solution:
        problem = self._standardised()
        start = np.zeros(self.objective.size) if self.start is None else self.start
        solution = lbfgs(
            problem, problem.coordinates(start), tol=self.tol, max_iter=max_iter, report=self.report
        )
        return replace(solution, W=problem.original(solution.W))

    def _gradient_descent(self, max_iter: int) -> Solution:
        rate = self.parameters["learning_rate"]
        learning_rate = None if rate == "auto" else float(rate)
        start = np.zeros(self.objective.size) if self.start is None else self.start
        seed, report, data = self.random_state, self.report, self.data
        if quicker_among_rows(len(data.y), self.costs, max_iter):
            report(f"gradient-descent among the {len(data.y)} rows: the same steps, no feature touched")
            return gram_descent(
                self.objective,
                data.y,
                data.sample_weight,
                start,
                logits=self._logits,
                learning_rate=learning_rate,
                max_iter=max_iter,
                random_state=seed,
                report=report,
            )
        return gradient_descent(
            self.objective,
            start,
            learning_rate=learning_rate,
            max_iter=max_iter,
            random_state=seed,
            report=report,
        )


class _Quarter:
    """The inverse Hessian that standardised coordinates aim at: a quarter along every axis."""

    def solve(self, g: Float64) -> Float64:
        return 4.0 * g
