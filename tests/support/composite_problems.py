"""A loss with an elastic net as the solvers see it, and problems of every kind that has one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse
from support.l1_reference import SparseProblem

from accel_logreg.fitting.sparse import elastic_net
from accel_logreg.interface.arrays import Csr
from accel_logreg.interface.classes import ClassRows
from accel_logreg.interface.engine import Engine
from accel_logreg.problem.composite import Composite
from accel_logreg.problem.coordinates import Coordinates, standardised
from accel_logreg.problem.multiclass import SoftmaxObjective, standardised_classes
from accel_logreg.problem.objective import Objective


def composite(problem: SparseProblem, engine: Engine) -> Composite:
    """The problem in coordinates of about equal curvature, over the engine's rows."""
    X, K = problem.X, 1 + int(problem.y.max())
    if sparse.issparse(X):
        X = Csr(X.data, X.indices, X.indptr, X.shape)
    s = None if problem.s is None else np.asarray(problem.s, dtype=np.float64)
    rows = engine.place(X, problem.y.astype(np.int64), s, n_classes=K if K > 2 else None)
    smooth: Any
    if isinstance(rows, ClassRows):
        classes = SoftmaxObjective(rows, fit_intercept=problem.fit_intercept, tie=1e-6)
        smooth = standardised_classes(classes)
    else:
        smooth = standardised(Objective(rows, fit_intercept=problem.fit_intercept))
        assert isinstance(smooth, Coordinates)
    factor = None if problem.factor is None else np.asarray(problem.factor, dtype=np.float64)
    settings = {**problem.settings, "penalty_factor": factor}
    strength = 1.0 / (problem.C * (X.shape[0] if s is None else s.sum()))
    penalty = elastic_net(settings, strength, smooth.scales[1], n_classes=problem.rows)
    return Composite(smooth, penalty, float(rows.targets.label_shares().min()), problem.rows)


def largest_C(problem: SparseProblem) -> float:
    """Of those under which all penalised weights are 0, where nothing but the intercept is free."""
    S = len(problem.y) if problem.s is None else float(np.sum(problem.s))
    d = problem.X.shape[1]
    any_C = replace(problem, C=1.0 / S)  # λ = 1
    W = any_C.balanced(any_C.joined(np.zeros((any_C.rows, d)), 0.0))
    g = any_C.gradient(W)[:, :-1].astype(float)
    pull = np.maximum(-g, 0.0) if problem.positive else np.abs(g)
    held = any_C.l1[:-1].astype(float)
    largest = float((pull[:, held > 0] / held[held > 0]).max(initial=0.0))
    return 1.0 / (largest * S) if largest > 1e-10 else 1.0 / S  # constant columns have none but rounding's


def drawn(seed: int) -> SparseProblem:
    """A small problem of any kind: layouts, floats, weights, factors, bounds, degenerate columns, up to 4
    classes. Columns without a penalty do not separate the classes, so that there is an optimum.
    """
    random = np.random.default_rng(seed)
    n, d = int(10 ** random.uniform(1.0, 2.2)), int(10 ** random.uniform(0.0, 1.8))
    K = int(random.choice([2, 2, 3, 4]))
    X = random.standard_normal((n, d))
    if random.random() < 0.4:
        X = X @ (random.standard_normal((d, d)) * (random.random((d, d)) < 0.2) + np.eye(d))
    if random.random() < 0.3:
        X *= 10.0 ** random.uniform(-3.0, 3.0, d)
    if random.random() < 0.3:
        X += 10.0 ** random.uniform(-1.0, 1.5) * random.standard_normal(d)
    if random.random() < 0.3:
        X[:, random.integers(d)] = X[:, 0]
    if random.random() < 0.3:
        X[:, random.integers(d)] = 1.5
    if random.random() < 0.3:
        X *= random.random((n, d)) < 0.2
    y = random.integers(0, K, n)
    y[:K] = np.arange(K)
    s = random.choice([1.0, 2.0, 0.3, 0.0], n) if random.random() < 0.4 else None
    if s is not None:
        s[:K] = 1.0
    factor = random.choice([0.5, 1.0, 2.0, 4.0], d) if random.random() < 0.3 else None
    positive = bool(random.random() < 0.2)
    if factor is not None and not positive and random.random() < 0.5:
        factor[random.integers(d)] = 0.0
        X, y = np.r_[X, np.repeat(X[:4], K, axis=0)], np.r_[y, np.tile(np.arange(K), 4)]
        s = None if s is None else np.r_[s, np.ones(len(y) - n)]
    X = X.astype(random.choice(["float32", "float64"]))
    problem = SparseProblem(
        sparse.csr_matrix(X) if random.random() < 0.4 else X, y, s,
        l1_ratio=float(random.choice([1.0, 1.0, 0.9, 0.5, 0.01])),
        fit_intercept=bool(random.random() < 0.8), factor=factor, positive=positive,
    )  # fmt: skip
    # Of three and more classes the bound is one of the first order: under a weak penalty it is rounding's.
    weakest = 3.5 if K == 2 else 2.5
    return replace(problem, C=largest_C(problem) * 10.0 ** random.uniform(-0.1, weakest))
