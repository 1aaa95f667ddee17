"""Fits with exact zeros: L1, elastic net, a factor a feature, weights that may not be negative."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from accel_logreg.fitting.binary import Fit
from accel_logreg.fitting.classes import SoftmaxFit
from accel_logreg.inputs.training import TrainingData
from accel_logreg.interface.arrays import Csr, Float64
from accel_logreg.interface.device_matrix import DeviceMatrix
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.rows import Rows
from accel_logreg.problem.composite import Composite
from accel_logreg.problem.coordinates import Coordinates, root_mean_squares
from accel_logreg.problem.penalty import ElasticNet
from accel_logreg.problem.separation import MOST_ENTRIES, separating_direction
from accel_logreg.solvers.problem import (
    Budget,
    GapKind,
    History,
    Report,
    Solution,
    answered,
    relative_gap,
    require_finite,
)
from accel_logreg.solvers.proximal import Reached
from accel_logreg.solvers.working_sets import WorkingSet, prox_newton, solving

NAME = "prox-newton"
SMALL_STEPS = 60  # of a fit inside the engine
_TIE = 1e-6  # of the classes' own curvature, along which a softmax has none
_FAR = 8.0  # of a logit: features without a penalty that make more may be on their way to infinity
_NULL = 1e3  # times the largest slope at the trivial point: a penalty under which all weights are 0
_JUDGED = 1e-12  # relative gap of the optimum that somebody's model is compared with


def fit_of(n_classes: int, parameters: Mapping[str, Any]) -> type[Fit]:
    """What fits so many classes with these parameters."""
    if has_kinks(parameters):
        return SparseFit if n_classes == 2 else SparseSoftmaxFit
    return Fit if n_classes == 2 else SoftmaxFit


def has_kinks(parameters: Mapping[str, Any]) -> bool:
    """Whether the penalty of these parameters is more than the same λ/2 ‖w‖²."""
    if parameters["positive"]:
        return True
    if math.isinf(parameters["C"]):
        return False
    return parameters["l1_ratio"] > 0.0 or parameters["penalty_factor"] is not None


def check_factor(parameters: Mapping[str, Any], d: int) -> None:
    """Raise ValueError where there is not one factor a feature."""
    factor = parameters["penalty_factor"]
    if factor is not None and len(factor) != d:
        raise ValueError(
            f"penalty_factor has {len(factor)} numbers and X {d} features; pass one a feature: 1 is what C "
            "says, 0 leaves a feature without a penalty"
        )


def elastic_net(
    parameters: Mapping[str, Any],
    strength: float,
    scale: Float64,
    used: NDArray[np.intp] | None = None,
    n_classes: int = 1,
) -> ElasticNet:
    """λ(ρ|w| + (1 − ρ)/2 w²) times each feature's factor, for u = w scale and an intercept, class by class.

    strength : λ
    scale : (d,)
    used : features that these are of, where some are left out
    """
    ratio, factor = float(parameters["l1_ratio"]), parameters["penalty_factor"]
    each = np.full(len(scale), strength)
    if factor is not None:
        factor = np.asarray(factor, dtype=np.float64)
        each *= factor if used is None else factor[used]
    weights = np.append(np.ones(len(scale), dtype=np.bool_), False)
    return ElasticNet(
        np.tile(np.append(ratio * each / scale, 0.0), n_classes),
        np.tile(np.append((1.0 - ratio) * each / scale / scale, 0.0), n_classes),
        np.tile(weights, n_classes) if parameters["positive"] else None,
    )


def largest_strength(problem_of: Callable[[float], Composite], trivial: Float64, budget: Budget) -> float:
    """The smallest λ under which all penalised weights are 0 at the optimum; 0 where they are in any case.

    problem_of : the problem under a λ
    """
    problem = problem_of(1.0)
    penalty = problem.penalty
    at = Reached(trivial, *problem.loss_grad(trivial))
    require_finite(at.loss, at.gradient)

    def largest(gradient: Float64) -> float:
        pull = penalty.excess(gradient)[penalty.l1 > 0.0]
        return float((pull / penalty.l1[penalty.l1 > 0.0]).max(initial=0.0))

    if penalty.free.sum() > problem.n_classes:  # features without a penalty have their say first
        problem = problem_of(_NULL * largest(at.gradient))
        asking = solving(problem, at, budget, History(), WorkingSet.none())
        at = answered(asking, problem.loss_grad)
    return largest(at.gradient)


def small_solution(
    engine: Engine,
    rows: Rows,
    net: ElasticNet,
    start: Float64,
    fit_intercept: bool,
    tol: float,
    max_iter: int | None,
) -> Solution | None:
    """A fit of two classes by ``Engine.small_sparse_fit``, under a penalty in the coordinates of X."""
    began = time.perf_counter()
    bounded = net.at_least_zero is not None
    if bounded:
        start = np.append(np.maximum(start[:-1], 0.0), start[-1])
    steps = SMALL_STEPS if max_iter is None else max_iter
    run = engine.small_sparse_fit(
        rows, start, net.l1[:-1], net.l2[:-1], fit_intercept, tol, steps, at_least_zero=bounded
    )
    if run is None:
        return None
    history = History.of_run(run.costs, run.gradient_norms, time.perf_counter() - began, rows.reads)
    gap = relative_gap(run.bound, float(run.costs[-1]))
    return Solution(run.W, len(run.costs) - 1, gap, GapKind.CERTIFIED, history)


class SparseFit(Fit):
    """One fit of two classes by proximal Newton steps."""

    strength = 0.0  # λ = 1/(C S)
    n_classes = 1  # columns of W

    def __init__(
        self,
        engine: Engine,
        data: TrainingData,
        parameters: Mapping[str, Any],
        start: Float64 | None,
        report: Report,
    ) -> None:
        check_factor(parameters, data.X.shape[1])
        super().__init__(engine, data, parameters, start, report)

    def _penalty(self, data: TrainingData, rows: Rows) -> dict[str, Any]:
        """The loss alone: what is penalised has kinks, and stands beside it."""
        found = super()._penalty(data, rows)
        self.strength = found["l2"]
        return {**found, "l2": 0.0}

    def composite(self) -> Composite:
        """Loss and penalty, in the coordinates in which they are minimised."""
        if self.rows.sparse and self.n_classes == 1:  # X keeps its origin, for who goes over its columns
            coordinates = Coordinates(self.objective, *root_mean_squares(self.objective))
        else:
            found = self._standardised()
            assert isinstance(found, Coordinates)
            coordinates = found
        shares = self.rows.targets.label_shares()
        return Composite(
            coordinates, self._elastic_net(coordinates.scales[1]), float(shares.min()), self.n_classes
        )

    def _elastic_net(self, scale: Float64) -> ElasticNet:
        used = None if self.columns is None else self.columns.used
        return elastic_net(self.parameters, self.strength, scale, used, self.n_classes)

    def solve(self) -> tuple[Solution, str]:
        """The solution and the name of the solver that found it."""
        rows, report = self.rows, self.report
        if self.parameters["verbose"]:
            shape = f"{rows.n_rows}x{rows.n_features} {rows.dtype}"
            report(f"backend={self.engine.name}, X {shape}, solver={NAME}: the penalty has kinks")
        solution = self._small() or self._by_working_sets()
        report(
            f"{NAME}: {solution.n_iter} iterations, relative gap {solution.gap:.2g} ({solution.gap_kind}), "
            f"{solution.history.reads[-1]:.2f} reads of X, {solution.history.seconds[-1]:.3g} s"
        )
        return self._as_given(self._unless_separated(solution)), NAME

    def _by_working_sets(self) -> Solution:
        budget = self._budget(NAME, self.parameters["max_iter"])
        with self.engine.threads(self.parameters["n_threads"]):
            problem = self.composite()
            smooth, bounded = problem.smooth, problem.penalty.at_least_zero
            start = smooth.trivial()[0] if self.start is None else smooth.coordinates(self.start)
            if bounded is not None:
                start[bounded & (start < 0.0)] = 0.0
            solution = prox_newton(problem, start, budget)
        return replace(solution, W=smooth.original(solution.W))

    def _unless_separated(self, solution: Solution) -> Solution:
        """Where features without a penalty may separate the classes, whether they do (a linear program)."""
        factor = self.parameters["penalty_factor"]
        if factor is None or self.n_classes > 1 or isinstance(self.X, DeviceMatrix):
            return solution
        free = np.asarray(factor) == 0.0
        used = None if self.columns is None else self.columns.used
        at = np.flatnonzero(free if used is None else free[used])
        X: Any = self.X
        if isinstance(X, Csr):
            X = csr_matrix((X.data, X.indices, X.indptr), X.shape)
        if not 0 < len(at) * X.shape[0] <= MOST_ENTRIES:
            return solution
        X = X[:, at]
        spread = float(abs(X).max()) * float(np.abs(solution.W[:-1][at]).sum())
        if not solution.trouble and spread < _FAR:
            return solution
        targets = self.rows.targets
        V = separating_direction(X, targets.y, targets.s, self.objective.fit_intercept)
        if V is None:
            return solution
        along = np.zeros(self.rows.n_features + 1)
        along[at], along[-1] = V[:-1], V[-1]
        coordinates = self._standardised()
        found = coordinates.separating(coordinates.coordinates(along))
        if found is None:
            return solution
        return replace(solution, separation=found, gap=math.inf)

    def _small(self) -> Solution | None:
        """The engine's own loop, where it has one for problems of this size."""
        if self.n_classes > 1:
            return None
        start = self.objective.trivial()[0] if self.start is None else self.start
        net = self._elastic_net(np.ones(self.rows.n_features))
        max_iter = self.parameters["max_iter"]
        return small_solution(
            self.engine, self.rows, net, start, bool(self.parameters["fit_intercept"]), self.tol, max_iter
        )

    def largest_strength(self) -> float:
        """The smallest λ under which all penalised weights are 0 at the optimum."""
        problem = self.composite()
        scale = problem.smooth.scales[1]
        used = None if self.columns is None else self.columns.used
        return largest_strength(
            lambda strength: problem.under(
                elastic_net(self.parameters, strength, scale, used, self.n_classes)
            ),
            problem.smooth.trivial()[0],
            self._budget(NAME, self.parameters["max_iter"]),
        )

    def cost(self, W: Float64) -> float:
        """Loss and penalty at W, for the columns as they were given, in nats; infinite below a bound of 0."""
        d = W.size // self.n_classes - 1
        if self.parameters["positive"] and (W.reshape(self.n_classes, -1)[:, :-1] < 0.0).any():
            return math.inf
        penalty = elastic_net(self.parameters, self.strength, np.ones(d), n_classes=self.n_classes)
        return self.objective.value_grad(self._inward(W))[0] + penalty.value(W)

    def gap_of(self, W: Float64) -> float:
        """As in ``Fit``: against the optimum, which is found from there."""
        self.start, self.tol = self._inward(W), _JUDGED
        value = self.cost(W)
        solution, _ = self.solve()
        lowest = solution.history.cost[-1] / (1.0 + solution.gap)
        return max(value - lowest, 0.0) / lowest if lowest > 0.0 else math.inf


class SparseSoftmaxFit(SparseFit, SoftmaxFit):
    """One fit of K ≥ 3 classes by proximal Newton steps."""

    def _penalty(self, data: TrainingData, rows: Rows) -> dict[str, Any]:
        self.n_classes = data.n_classes
        return {**super()._penalty(data, rows), "tie": _TIE}
