"""Each library's fit of the same objective: one function a library, so that its fairness can be read.

Every function takes (X, y, parameters, threads): X as it was given (or as ``convert_*`` made it, which is
timed apart), y of 0.0 and 1.0, and the entry of solvers.py being tried. All minimise

    mean(log(1 + e^z) − y z) + λ/2 ‖w‖²,  z = X w + b,  λ = 1/(C n),  b free,

with C = p["C"]; libraries_l1.py has those with an L1 part.
Two libraries penalise b through a constant column: of value c, that costs λ/2 (b/c)², which c = 10 makes a
hundred times less than nothing was done about it. Imports are inside: a process loads one library only.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from bench.problems.problem import Float64, Matrix, is_sparse

Parameters = Mapping[str, Any]
ITERATIONS = 100_000  # never what stops a fit here: tolerances and time limits do


@dataclass(frozen=True)
class Answer:
    """w (d,) and b as the library gives them, or w (K, d) and b (K,) of three and more classes or of a path;
    what it says of its work, and a remark for the table.
    """

    w: Any
    b: Any
    iterations: int | None = None
    reads: int | None = None
    remark: str = ""


def ours(X: Matrix, y: Float64, p: Parameters, _threads: int) -> Answer:
    """The default estimator; only tol is ever set, and of the problem C and l1_ratio."""
    if p["Cs"]:
        return _our_path(X, y, p)
    ratio = {"l1_ratio": p["l1_ratio"]} if p["l1_ratio"] else {}
    model = _module("accel_logreg").LogisticRegression(C=p["C"], tol=p["tol"], **ratio).fit(X, y)
    remark = f"{model.backend_}, {model.solver_}; says gap {model.gap_:.1e}, {model.gap_kind_}"
    return Answer(
        model.coef_,
        model.intercept_,
        int(model.n_iter_[0]),
        int(model.history_["reads"][-1]),
        remark,
    )


def _our_path(X: Matrix, y: Float64, p: Parameters) -> Answer:
    found = _module("accel_logreg").logistic_path(X, y, list(p["Cs"]), l1_ratio=p["l1_ratio"], tol=p["tol"])
    remark = f"says gaps up to {found.gaps.max():.1e}, {', '.join(np.unique(found.gap_kinds))}"
    return Answer(found.coefs, found.intercepts, int(found.n_iter.sum()), round(found.reads), remark)


def scikit_learn(X: Matrix, y: Float64, p: Parameters, _threads: int) -> Answer:
    """tol bounds the largest entry of the mean gradient (lbfgs, newton-*). n_jobs has no effect since 1.8.

    liblinear penalises the intercept as the weight of a column of ``column``.
    """
    model = _module("sklearn.linear_model").LogisticRegression(
        C=p["C"],
        solver=p["solver"],
        tol=p["tol"],
        max_iter=ITERATIONS,
        random_state=0,
        intercept_scaling=p.get("column", 1.0),
    )
    return _of_estimator(model.fit(X, y))


def scikit_learn_intelex(X: Matrix, y: Float64, p: Parameters, threads: int) -> Answer:
    """Its CPU path compares tol with the gradient of the sum over rows, so it gets n times the usual tol.

    It falls back to scikit-learn without a word unless its logger is asked; then nothing is timed. n_jobs is
    passed because oneDAL would else take BLAS's number of threads for its own.
    """
    heard: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("sklearnex")
    logger.setLevel(logging.INFO)
    logger.handlers, logger.propagate = [handler], False
    model = _module("sklearnex.linear_model").LogisticRegression(
        C=p["C"], solver=p["solver"], tol=p["mean_tol"] * X.shape[0], max_iter=ITERATIONS, n_jobs=threads
    )
    model.fit(X, y)
    if not heard or any("accelerated" not in message for message in heard):
        raise RuntimeError(f"fell back to scikit-learn: {'; '.join(heard) or 'it said nothing'}")
    return _of_estimator(model)


def glum(X: Matrix, y: Float64, p: Parameters, _threads: int) -> Answer:
    """alpha = λ; the mean deviance over two is the mean loss. All threads are its default (OpenMP)."""
    model = (
        _module("glum")
        .GeneralizedLinearRegressor(
            family="binomial",
            l1_ratio=0.0,
            alpha=1.0 / (p["C"] * X.shape[0]),
            solver=p["solver"],
            gradient_tol=p["gradient_tol"],
            max_iter=ITERATIONS,
            fit_intercept=True,
        )
        .fit(X, y)
    )
    return Answer(model.coef_, float(model.intercept_), int(model.n_iter_))


def snap_ml(X: Matrix, y: Float64, p: Parameters, threads: int) -> Answer:
    """Sum of losses + regularizer/2 ‖w‖², so regularizer = 1/C. float32 inside.

    Its own intercept is the weight of a column of ``column``, and penalised; with dual=False it stays zero
    whatever fit_intercept says, so there ``convert_snap_ml`` adds the column.
    """
    dual = bool(p["dual"])
    model = _module("snapml").LogisticRegression(
        regularizer=1.0 / p["C"],
        dual=dual,
        tol=p["tol"],
        max_iter=ITERATIONS,
        n_jobs=threads,
        fit_intercept=dual,
        intercept_scaling=p["column"],
        random_state=0,
    )
    model.fit(X, y)
    w = np.asarray(model.coef_, dtype=np.float64).ravel()
    if dual:
        return Answer(w, p["column"] * float(np.ravel(model.intercept_)[0]))
    return Answer(w[:-1], p["column"] * float(w[-1]))


def convert_snap_ml(X: Matrix, _y: Float64, p: Parameters) -> Matrix:
    """The column for the intercept, for dual=False; float32, as it computes."""
    return with_column(X, p["column"], np.dtype(np.float32))


def liblinear_multicore(problem: Any, _y: Float64, p: Parameters, threads: int) -> Answer:
    """-s 0: primal Newton; -B 1 -R: an intercept that is not penalised; -c: C on the summed loss."""
    options = f"-s 0 -c {p['C']!r} -B 1 -R -e {p['tol']!r} -m {threads} -q"
    model = _module("liblinear.liblinearutil").train(problem, options)
    w, b = model.get_decfun()
    sign = 1.0 if model.get_labels()[0] == 1 else -1.0
    return Answer(sign * np.array(w), sign * b)


def convert_liblinear(X: Matrix, y: Float64, _p: Parameters) -> Any:
    """Its own format: 16 bytes a nonzero. From CSR, which its binding converts by compiled code."""
    return _module("liblinear.liblinearutil").problem(y, sparse.csr_matrix(X, dtype=np.float64), 1.0)


def skglm(X: Matrix, y: Float64, p: Parameters, _threads: int) -> Answer:
    """Mean loss + alpha/2 ‖w‖² with alpha = λ. float64 inside, on one thread but for BLAS.

    ProxNewton asks a penalty for its prox, which L2 lacks and an elastic net without its L1 part has. LBFGS
    has no intercept, so it gets a column of ``column``; the estimator cannot run it: it is called directly.
    """
    logistic = _module("skglm.datafits").Logistic()
    penalties, solvers = _module("skglm.penalties"), _module("skglm.solvers")
    if p["solver"] == "LBFGS":
        solver = solvers.LBFGS(max_iter=ITERATIONS, tol=p["tol"])
        w, costs, _ = solver.solve(
            X, np.where(y > 0.0, 1.0, -1.0), logistic, penalties.L2(1.0 / (p["C"] * X.shape[0]))
        )
        return Answer(w[:-1], p["column"] * float(w[-1]), len(costs))
    solver = solvers.ProxNewton(max_iter=ITERATIONS, tol=p["tol"], fit_intercept=True, p0=X.shape[1])
    penalty = penalties.L1_plus_L2(1.0 / (p["C"] * X.shape[0]), 0.0)
    model = _module("skglm").GeneralizedLinearEstimator(logistic, penalty, solver).fit(X, y)
    return Answer(model.coef_[0], float(model.intercept_), int(model.n_iter_))


def convert_skglm(X: Matrix, _y: Float64, p: Parameters) -> Matrix:
    """float64 in columns, as it wants them."""
    X = with_column(X, p["column"], np.dtype(np.float64)) if p["solver"] == "LBFGS" else X
    if is_sparse(X):
        return sparse.csc_matrix(X, dtype=np.float64)
    return np.asfortranarray(X, dtype=np.float64)


def with_column(X: Matrix, value: float, dtype: np.dtype[Any]) -> Matrix:
    parts: list[Any] = [X, np.full((X.shape[0], 1), value, dtype)]
    if is_sparse(X):
        return sparse.csr_matrix(sparse.hstack(parts, dtype=dtype))
    return np.hstack(parts, dtype=dtype)


def _of_estimator(model: Any) -> Answer:
    return Answer(model.coef_, model.intercept_, int(np.max(model.n_iter_)))


def _module(name: str) -> Any:
    return importlib.import_module(name)
