"""One fit: rows placed in an engine → objective → coordinates → the solver that is chosen."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from accel_logreg.inputs.memory_size import memory_bytes
from accel_logreg.inputs.training import TrainingData
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.rows import Rows
from accel_logreg.problem.coordinates import standardised
from accel_logreg.problem.objective import Objective
from accel_logreg.solvers.choose import choose, quicker_among_rows
from accel_logreg.solvers.costs import Costs
from accel_logreg.solvers.gradient_descent import gradient_descent
from accel_logreg.solvers.gram.descent import gram_descent
from accel_logreg.solvers.gram.newton import gram_newton
from accel_logreg.solvers.lbfgs import lbfgs
from accel_logreg.solvers.newton import newton
from accel_logreg.solvers.newton_cg import newton_cg
from accel_logreg.solvers.problem import Budget, GapKind, History, Report, Solution, relative_gap

_MAX_ITER = {"gradient-descent": 1_000, "lbfgs": 10_000}
_STANDARDISED = {"newton": newton, "newton-cg": newton_cg, "lbfgs": lbfgs}


class Fit:
    """One fit of ``data`` on ``engine`` with an estimator's parameters."""

    def __init__(
        self,
        engine: Engine,
        data: TrainingData,
        parameters: Mapping[str, Any],
        start: Float64 | None,
        report: Report,
    ) -> None:
        self.engine, self.parameters, self.start, self.report = engine, parameters, start, report
        bound = memory_bytes(parameters["max_memory"])
        self.rows = rows = engine.place(data.X, data.y, data.sample_weight, max_memory=bound)
        C = parameters["C"]
        self.objective = Objective(
            rows,
            l2=0.0 if math.isinf(C) else 1.0 / (C * rows.weight_sum),
            fit_intercept=bool(parameters["fit_intercept"]),
            smallest_weight=rows.targets.smallest_weight,
        )
        self.tol = float(parameters["tol"])
        self.costs = costs_of(rows)

    def solve(self) -> tuple[Solution, str]:
        """The solution and the name of the solver that found it."""
        rows, report, solver = self.rows, self.report, self.parameters["solver"]
        others: tuple[str, ...] = ()
        why = " as asked"
        if solver == "auto":
            penalised = self.objective.l2 > 0.0
            choice = choose(rows.n_rows, self.costs, sparse=rows.sparse, penalised=penalised, tol=self.tol)
            solver, others, why = choice.solver, choice.others, f": {choice.why}"
        if self.parameters["verbose"]:  # a dtype's name alone takes 3 us
            shape = f"{rows.n_rows}x{rows.n_features} {rows.dtype}"
            report(f"backend={self.engine.name}, X {shape}, solver={solver}{why}")
        limit = self.parameters["max_iter"]
        solution = None
        if solver == "newton" and self.start is None:
            solution = self._small_fit(_max_iter(solver, limit))
        if solution is None:
            with self.engine.threads(self.parameters["n_threads"]):
                solution = self._run(solver, limit)
                # "auto" means the user does not care how: where rounding stops one solver short of
                # tol, as it may on extreme data, another goes on from there.
                for other in others if limit is None else ():
                    if not solution.trouble or solution.separated:
                        break
                    report(f"{solution.trouble}; {other} goes on")
                    self.start = solution.W
                    further = self._run(other, limit)
                    if further.gap < solution.gap:
                        solution, solver = further, other
        report(
            f"{solver}: {solution.n_iter} iterations, relative gap {solution.gap:.2g} ({solution.gap_kind}), "
            f"{solution.history.reads[-1]:.2f} reads of X, {solution.history.elapsed():.3g} s"
        )
        return solution, solver

    def _budget(self, solver: str, limit: int | None) -> Budget:
        rate, seed = self.parameters["learning_rate"], self.parameters["random_state"]
        return Budget(
            tol=self.tol,
            max_iter=_max_iter(solver, limit),
            costs=self.costs,
            random_state=0 if seed is None else seed,
            learning_rate=None if rate == "auto" else float(rate),
            report=self.report,
        )

    def _run(self, solver: str, limit: int | None) -> Solution:
        budget, objective = self._budget(solver, limit), self.objective
        if solver in _STANDARDISED:
            problem = standardised(objective)
            start = None if self.start is None else problem.coordinates(self.start)
            solution = _STANDARDISED[solver](problem, start, budget)
            return replace(solution, W=problem.original(solution.W))
        if solver == "newton-gram":
            return gram_newton(objective, self.start, budget)
        if quicker_among_rows(self.rows.n_rows, self.costs, budget.max_iter):
            n = self.rows.n_rows
            self.report(f"gradient-descent among the {n} rows: the same steps, no feature touched")
            return gram_descent(objective, self.start, budget)
        return gradient_descent(objective, self.start, budget)

    def _small_fit(self, max_iter: int) -> Solution | None:
        """The engine's own loop, where it has one for problems of this size."""
        began = time.perf_counter()
        objective = self.objective
        run = self.engine.small_fit(self.rows, objective.l2, objective.fit_intercept, self.tol, max_iter)
        if run is None:
            return None
        value = float(run.costs[-1])
        gap, kind = relative_gap(run.bound, value), GapKind.CERTIFIED
        if gap > self.tol:
            gap, kind = relative_gap(run.decrement, value), GapKind.ESTIMATED
        if objective.separates(value) or gap > self.tol:
            return None
        history = History.of_run(run.costs, run.gradient_norms, time.perf_counter() - began, self.rows.reads)
        return Solution(run.W, len(run.costs) - 1, gap, kind, history)


def costs_of(rows: Rows) -> Costs:
    """What questions to these rows cost."""
    entries = rows.entries / rows.n_rows
    return Costs(rows.rates, rows.n_features + 1, entries, rows.nbytes / max(1.0, rows.n_rows * entries))


def _max_iter(solver: str, limit: int | None) -> int:
    return _MAX_ITER.get(solver, 200) if limit is None else limit
