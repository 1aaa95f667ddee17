"""One fit: rows placed in an engine → objective → coordinates → the solver that is chosen."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from accel_logreg.inputs.memory_size import memory_bytes
from accel_logreg.inputs.training import TrainingData
from accel_logreg.interface.arrays import Csr, Float64
from accel_logreg.interface.device_matrix import DeviceMatrix
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.parted_matrix import PartedMatrix
from accel_logreg.interface.rows import Rows
from accel_logreg.problem.coordinates import standardised
from accel_logreg.problem.csr_columns import CsrColumns
from accel_logreg.problem.objective import Objective
from accel_logreg.problem.separation import MOST_ENTRIES, separating_direction
from accel_logreg.solvers.choose import Choice, choose, quicker_among_rows
from accel_logreg.solvers.costs import Costs
from accel_logreg.solvers.gradient_descent import gradient_descent
from accel_logreg.solvers.gram.descent import gram_descent
from accel_logreg.solvers.gram.newton import gram_newton
from accel_logreg.solvers.lbfgs import lbfgs
from accel_logreg.solvers.newton import newton
from accel_logreg.solvers.newton_cg import newton_cg
from accel_logreg.solvers.parts.proof import affordable, prove
from accel_logreg.solvers.problem import (
    Budget,
    GapKind,
    History,
    NewtonProblem,
    Report,
    Solution,
    relative_gap,
    shortfall,
)

_MAX_ITER = {"gradient-descent": 1_000, "lbfgs": 10_000}
_REFERENCE = 1e-9  # relative suboptimality to which the optimum is found that others are measured by
_REFERENCE_TIMES, _REFERENCE_READS = 3.0, 300  # times the reads of the fit, and so many: what it may take
_UNPENALISED = 8  # log10 of a C that is as good as none
_ROUNDING = float(np.finfo(np.float64).eps)
_LARGEST_L2 = 1e300  # beyond which w is 0 in float64 anyway
Solver = Callable[[Any, Float64 | None, Budget], Solution]
_STANDARDISED: dict[str, Solver] = {"newton": newton, "newton-cg": newton_cg, "lbfgs": lbfgs}


class Fit:
    """One fit of ``data`` on ``engine`` with an estimator's parameters."""

    estimates: tuple[str, ...] = ("newton", "newton-cg")  # solvers whose own estimate of the gap is one

    def __init__(
        self,
        engine: Engine,
        data: TrainingData,
        parameters: Mapping[str, Any],
        start: Float64 | None,
        report: Report,
    ) -> None:
        self.engine, self.parameters, self.report = engine, parameters, report
        self.columns: CsrColumns | None = None
        self.X = data.X
        if isinstance(data.X, Csr):
            columns = CsrColumns.of(data.X, fit_intercept=bool(parameters["fit_intercept"]))
            if columns.X is not data.X:
                report(str(columns))
                self.X, self.columns = columns.X, columns
        self.objective = self._objective(data)
        self.rows = self.objective.rows
        self.start = None if start is None else self._inward(start)
        self.tol = float(parameters["tol"])
        self.costs = self._costs()

    def _objective(self, data: TrainingData) -> Objective:
        """J over X as it is held."""
        rows = self._place(data)
        return Objective(rows, **self._penalty(data, rows))

    def _place(self, data: TrainingData, n_classes: int | None = None) -> Rows:
        bound = memory_bytes(self.parameters["max_memory"])
        return self.engine.place(self.X, data.y, data.sample_weight, n_classes=n_classes, max_memory=bound)

    def _penalty(self, data: TrainingData, rows: Rows) -> dict[str, Any]:
        """What an objective is told beside its rows."""
        return {
            "l2": l2_of(float(self.parameters["C"]), data.weight_unit, rows.weight_sum),
            "fit_intercept": bool(self.parameters["fit_intercept"]),
            "smallest_weight": rows.targets.smallest_weight,
        }

    def _costs(self) -> Costs:
        return costs_of(self.rows)

    def _standardised(self) -> NewtonProblem:
        """J in the coordinates in which it is minimised."""
        return standardised(self.objective)

    def _solvers(self) -> dict[str, Solver]:
        """Those that work in these coordinates."""
        return _STANDARDISED

    def _choice(self) -> Choice:
        penalised, rows = self.objective.penalised, self.rows
        magnitude = round(-math.log10(self.objective.l2 * rows.n_rows)) if penalised else _UNPENALISED
        kind = {"sparse": rows.sparse, "penalised": penalised, "magnitude": magnitude}
        kind["among_rows"] = rows.held is None  # what is read in parts has none
        return choose(rows.n_rows, self.costs, tol=self.tol, **kind)

    def _separating_direction(self) -> Float64 | None:
        """A direction that separates, (p,), by a linear program where that is small."""
        targets = self.rows.targets
        if self.rows.entries > MOST_ENTRIES or isinstance(self.X, DeviceMatrix):
            return None
        X = self.X.whole() if isinstance(self.X, PartedMatrix) else self.X
        return separating_direction(X, targets.y, targets.s, self.objective.fit_intercept)

    def _inward(self, W: Float64) -> Float64:
        """W for the columns as they are held."""
        return W if self.columns is None else self.columns.inward(W)

    def _outward(self, W: Float64) -> Float64:
        """And for those that were given, where some are held otherwise."""
        assert self.columns is not None
        return self.columns.outward(W)

    def _unused(self, W: Float64) -> Float64:
        """The weights of columns that are not held."""
        assert self.columns is not None
        return self.columns.unused(W)

    def _rounding(self, W: Float64) -> float:
        """What rounding of the intercept may do to a logit, for columns as they were given."""
        assert self.columns is not None
        return self.columns.rounding(W)

    def solve(self) -> tuple[Solution, str]:
        """The solution and the name of the solver that found it."""
        rows, report, solver = self.rows, self.report, self.parameters["solver"]
        others: tuple[str, ...] = ()
        why, most_reads = " as asked", math.inf
        if solver == "auto":
            choice = self._choice()
            solver, others, why = choice.solver, choice.others, f": {choice.why}"
            most_reads = choice.most_reads
        if self.parameters["verbose"]:  # a dtype's name alone takes 3 us
            shape = f"{rows.n_rows}x{rows.n_features} {rows.dtype}"
            report(f"backend={self.engine.name}, X {shape}, solver={solver}{why}")
        limit = self.parameters["max_iter"]
        solution = None
        if solver == ("newton-cg" if rows.sparse else "newton") and self.start is None:
            solution = self._small_fit(_max_iter(solver, limit))
        if solution is None:
            with self.engine.threads(self.parameters["n_threads"]):
                # A solver that takes far more than was predicted hands over, where there is another.
                others = others if limit is None else ()
                solution = self._run(solver, limit, most_reads if others else math.inf)
                if not (solution.trouble and others):
                    solution = self._judged(solution, solver)
                # "auto" means the user does not care how: where rounding stops one solver short of
                # tol, as it may on extreme data, another goes on from there.
                for other in others:
                    if not solution.trouble or solution.separation is not None:
                        break
                    report(f"{solution.trouble}; {other} goes on")
                    self.start = solution.W
                    further = self._judged(self._run(other, limit), other)
                    if further.gap < solution.gap or further.separation is not None:
                        solution, solver = further, other
        report(
            f"{solver}: {solution.n_iter} iterations, relative gap {solution.gap:.2g} ({solution.gap_kind}), "
            f"{solution.history.reads[-1]:.2f} reads of X, {solution.history.seconds[-1]:.3g} s"
        )
        return self._as_given(solution), solver

    def _as_given(self, solution: Solution) -> Solution:
        """For the columns as they were given: what rounding of b may then do is added to the gap."""
        if self.columns is None:
            return solution
        W = self._outward(solution.W)
        separation = solution.separation
        if separation is not None and self.columns.used is not None:
            along, named = self._outward(separation.W), self.columns.used[separation.columns]
            separation = replace(separation, W=along, columns=named)
        solution = replace(solution, W=W, separation=separation)
        rounding = self._rounding(W)
        if rounding == 0.0 or not math.isfinite(solution.gap):
            return solution
        value = self.objective.value_grad(self._inward(W))[0]
        gap = (math.sqrt(solution.gap) + rounding * math.sqrt(min(0.25, value) / value)) ** 2
        trouble = solution.trouble
        if solution.gap <= self.tol < gap:
            trouble = (
                f"columns of X lie so far from zero that rounding of the intercept costs a relative "
                f"suboptimality of {gap:.2g}, above tol={self.tol:g}: subtract their means first"
            )
        return replace(solution, gap=gap, trouble=trouble)

    def gap_of(self, W: Float64) -> float:
        """An upper bound on (J − J*)/J* at anybody's W (p,), for the columns as they were given."""
        inward = self._inward(W)
        given = Solution(inward, 0, math.inf, GapKind.ESTIMATED, History())
        gap = self._as_given(self._judged(given, "the given model")).gap
        if self.columns is None:
            return gap
        # Weights of columns that store nothing cost their penalty, on top of what was judged.
        unused = self._unused(W)
        penalty = 0.5 * self.objective.l2 * float(unused @ unused)
        return gap + penalty / self.objective.value_grad(inward)[0] * (1.0 + gap)

    def _judged(self, solution: Solution, solver: str) -> Solution:
        """With a gap that is proven, where the solver had none and a proof can be afforded.

        Far from the optimum no formula says how far: the optimum itself does, found from there on.
        """
        objective, tol = self.objective, self.tol
        if solution.separation is not None or solution.gap_kind is GapKind.CERTIFIED:
            return solution
        problem = self._standardised()
        if not objective.penalised:
            # Without a proof that an optimum exists: whether it does is asked of a linear program.
            V = self._separating_direction()
            found = None if V is None else problem.separating(problem.coordinates(V))
            if found is not None:
                return replace(solution, separation=found, gap=math.inf, gap_kind=GapKind.CERTIFIED)
        U = problem.coordinates(solution.W)
        value, gradient = problem.value_grad(U)
        if not gradient.any():
            return replace(solution, gap=0.0, gap_kind=GapKind.CERTIFIED)
        proof = prove(problem, U, value, gradient, tol, self.costs) if solver != "newton" else None
        # A bound by strong convexity alone, above tol, says less than an estimate below it.
        tells = proof is not None and (
            proof.certificate is not None or proof.gap(value) <= max(tol, solution.gap)
        )
        if proof is not None and tells and proof.gap(value) < math.inf:
            solution = replace(solution, gap=proof.gap(value), gap_kind=GapKind.CERTIFIED)
        elif solution.gap > tol or solver not in self.estimates:
            began = objective.reads
            budget = self._budget("newton", None, _REFERENCE_TIMES * began + _REFERENCE_READS)
            budget = replace(budget, tol=max(tol, _REFERENCE))
            self.report(f"{solver}: the optimum, to say how far it is")
            by = self._solvers()["newton" if affordable(problem, self.costs) else "newton-cg"]
            best = by(problem, U, budget)
            if best.separation is not None:
                return replace(solution, separation=best.separation, gap=math.inf, gap_kind=GapKind.CERTIFIED)
            lowest = best.history.cost[-1] / (1.0 + best.gap)
            # Two costs are compared; rounding moves each by the mean of residuals times their logits' errors.
            of_logits = problem.rounding(U, value)[0] / math.sqrt(min(0.25, value) * problem.n_rows)
            rounding = 0.5 * of_logits + 4.0 * _ROUNDING
            gap = (value - lowest) / lowest + rounding if lowest > 0.0 else math.inf
            solution = replace(solution, gap=max(gap, 0.0), gap_kind=best.gap_kind)
            reads = objective.reads - began
            self.report(f"{solver}: {solution.gap:.3g} above it, after {reads:.1f} reads more")
        if solution.gap <= tol:
            return replace(solution, trouble="")
        limit = _max_iter(solver, self.parameters["max_iter"])
        trouble = shortfall(solver, solution.n_iter, solution.gap, solution.gap_kind, tol, limit)
        return replace(solution, trouble=trouble)

    def _budget(self, solver: str, limit: int | None, max_reads: float = math.inf) -> Budget:
        rate, seed = self.parameters["learning_rate"], self.parameters["random_state"]
        return Budget(
            tol=self.tol,
            max_iter=_max_iter(solver, limit),
            costs=self.costs,
            random_state=0 if seed is None else seed,
            learning_rate=None if rate == "auto" else float(rate),
            max_reads=max_reads,
            report=self.report,
        )

    def _run(self, solver: str, limit: int | None, max_reads: float = math.inf) -> Solution:
        budget, objective = self._budget(solver, limit, max_reads), self.objective
        if solver in self._solvers():
            problem = self._standardised()
            start = None if self.start is None else problem.coordinates(self.start)
            solution = self._solvers()[solver](problem, start, budget)
            return replace(solution, W=problem.original(solution.W))
        if solver == "newton-gram":
            return gram_newton(objective, self.start, budget)
        return self._descent(budget)

    def _descent(self, budget: Budget) -> Solution:
        """Gradient descent, where it is quickest."""
        objective = self.objective
        if self.rows.held is None and quicker_among_rows(self.rows.n_rows, self.costs, budget.max_iter):
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
        if objective.separates(value):
            return None
        gap = relative_gap(run.bound, value)
        history = History.of_run(run.costs, run.gradient_norms, time.perf_counter() - began, self.rows.reads)
        return Solution(run.W, len(run.costs) - 1, gap, GapKind.CERTIFIED, history)


def l2_of(C: float, weight_unit: float, weight_sum: float) -> float:
    """λ = 1/(C S), within what float64 holds; 0 for C = inf alone."""
    if math.isinf(C):
        return 0.0
    with np.errstate(over="ignore", under="ignore"):
        l2 = float(np.float64(1.0) / C / weight_unit / weight_sum)
    return min(max(l2, 1.0 / _LARGEST_L2), _LARGEST_L2)


def costs_of(rows: Rows) -> Costs:
    """What questions to these rows cost."""
    entries = rows.entries / rows.n_rows
    entry_bytes = rows.nbytes / max(1.0, rows.n_rows * entries)
    in_memory = math.inf if rows.held is None else float(rows.held.n_rows)
    return Costs(rows.rates, rows.n_features + 1, entries, entry_bytes, rows.pairs / rows.n_rows, in_memory)


def _max_iter(solver: str, limit: int | None) -> int:
    return _MAX_ITER.get(solver, 200) if limit is None else limit
