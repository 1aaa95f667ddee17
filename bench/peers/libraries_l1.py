"""Each library's fit with an L1 part: one function a library, as in libraries.py; a path where Cs are told.

All minimise mean loss + λ (ρ‖w‖₁ + (1 − ρ)/2 ‖w‖²), λ = 1/(C n), ρ = p["l1_ratio"], b free. A path is the
library's own where it has one, else a fit after the other, each from the last where the library can. Those
that penalise b do so through a column of value c, which costs λ |b|/c.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from bench.peers.libraries import ITERATIONS, Answer, Parameters, with_column
from bench.problems.problem import Float64, Matrix, is_sparse


def scikit_learn(X: Matrix, y: Float64, p: Parameters, _threads: int) -> Answer:
    """liblinear penalises the intercept as the weight of a column of ``column``; saga starts a path warm."""
    model = _module("sklearn.linear_model").LogisticRegression(
        l1_ratio=p["l1_ratio"],
        solver=p["solver"],
        tol=p["tol"],
        max_iter=ITERATIONS,
        random_state=0,
        intercept_scaling=p.get("column", 1.0),
        warm_start=p["solver"] == "saga",
    )

    def fit(C: float) -> Answer:
        model.set_params(C=C).fit(X, y)
        return Answer(model.coef_[0].copy(), float(model.intercept_[0]), int(np.max(model.n_iter_)))

    return _each(fit, p)


def glum(X: Matrix, y: Float64, p: Parameters, _threads: int) -> Answer:
    """alpha = λ; the mean deviance over two is the mean loss. Its own path."""
    alphas = [1.0 / (C * X.shape[0]) for C in p["Cs"] or (p["C"],)]
    strength = {"alpha_search": True, "alphas": alphas} if p["Cs"] else {"alpha": alphas[0]}
    model = _module("glum").GeneralizedLinearRegressor(
        family="binomial",
        l1_ratio=p["l1_ratio"],
        solver="irls-cd",
        gradient_tol=p["gradient_tol"],
        max_iter=ITERATIONS,
        **strength,
    )
    model.fit(X, y)
    if p["Cs"]:
        return Answer(np.asarray(model.coef_path_), np.asarray(model.intercept_path_))
    return Answer(model.coef_, float(model.intercept_), int(model.n_iter_))


def skglm(X: Matrix, y: Float64, p: Parameters, _threads: int) -> Answer:
    """alpha = λ on the mean loss; ProxNewton with working sets, from the last fit on a path."""
    model = _module("skglm").SparseLogisticRegression(
        l1_ratio=p["l1_ratio"], tol=p["tol"], max_iter=ITERATIONS, warm_start=True
    )

    def fit(C: float) -> Answer:
        model.set_params(alpha=1.0 / (C * X.shape[0])).fit(X, y)
        return Answer(np.ravel(model.coef_).copy(), float(np.ravel(model.intercept_)[0]), int(model.n_iter_))

    return _each(fit, p)


def celer(X: Matrix, y: Float64, p: Parameters, _threads: int) -> Answer:
    """Sum of losses + ‖w‖₁/C. It has no intercept, so it gets a column; tol is a gap. Its own path."""
    strengths = np.array([1.0 / C for C in p["Cs"] or (p["C"],)])
    _, coefs, _ = _module("celer").celer_path(
        X,
        np.where(y > 0.0, 1.0, -1.0),
        pb="logreg",
        alphas=strengths,
        tol=p["tol"],
        max_iter=1_000,
        use_PN=True,
    )
    W = coefs.T if p["Cs"] else coefs[:, 0]
    return Answer(W[..., :-1], p["column"] * W[..., -1])


def convert_celer(X: Matrix, _y: Float64, p: Parameters) -> Matrix:
    """float64 in columns, with the column for the intercept."""
    return in_columns(with_column(X, p["column"], np.dtype(np.float64)))


def snap_ml(X: Matrix, y: Float64, p: Parameters, threads: int) -> Answer:
    """Sum of losses + regularizer ‖w‖₁, so regularizer = 1/C. float32 inside; the intercept has a column."""

    def fit(C: float) -> Answer:
        model = _module("snapml").LogisticRegression(
            regularizer=1.0 / C,
            penalty="l1",
            dual=False,
            tol=p["tol"],
            max_iter=ITERATIONS,
            n_jobs=threads,
            fit_intercept=False,
            random_state=0,
        )
        model.fit(X, y)
        w = np.asarray(model.coef_, dtype=np.float64).ravel()
        return Answer(w[:-1], p["column"] * float(w[-1]))

    return _each(fit, p)


def liblinear_multicore(problem: Any, _y: Float64, p: Parameters, threads: int) -> Answer:
    """-s 6: coordinate descent in the primal; -B 1 -R: an intercept that is not penalised."""

    def fit(C: float) -> Answer:
        options = f"-s 6 -c {C!r} -B 1 -R -e {p['tol']!r} -m {threads} -q"
        model = _module("liblinear.liblinearutil").train(problem, options)
        w, b = model.get_decfun()
        sign = 1.0 if model.get_labels()[0] == 1 else -1.0
        return Answer(sign * np.array(w), sign * b)

    return _each(fit, p)


def adelie(X: Matrix, y: Float64, p: Parameters, threads: int) -> Answer:
    """The mean loss and lmda = λ; b free, nothing standardised, both tolerances alike. Its own path."""
    package, matrices = _module("adelie"), _module("adelie.matrix")
    place = matrices.sparse if is_sparse(X) else matrices.dense
    state = package.grpnet(
        X=place(X, method="naive", n_threads=threads),
        glm=package.glm.binomial(y, dtype=np.float64),
        alpha=p["l1_ratio"],
        lmda_path=np.array([1.0 / (C * X.shape[0]) for C in p["Cs"] or (p["C"],)]),
        early_exit=False,
        tol=p["tol"],
        irls_tol=p["tol"],
        n_threads=threads,
        progress_bar=False,
    )
    coefs = np.asarray(state.betas.todense())
    version = f"adelie {package.__version__}, NumPy {np.__version__}"
    if p["Cs"]:
        return Answer(coefs, np.asarray(state.intercepts), remark=version)
    return Answer(coefs[-1], float(state.intercepts[-1]), remark=version)


def in_columns(X: Matrix, _y: Float64 | None = None, _p: Parameters | None = None) -> Matrix:
    """float64 in columns."""
    if is_sparse(X):
        return sparse.csc_matrix(X, dtype=np.float64)
    return np.asfortranarray(X, dtype=np.float64)


def _each(fit: Callable[[float], Answer], p: Parameters) -> Answer:
    """One answer, or those of a path as one."""
    if not p["Cs"]:
        return fit(p["C"])
    found = [fit(C) for C in p["Cs"]]
    return Answer(np.array([answer.w for answer in found]), np.array([answer.b for answer in found]))


def _module(name: str) -> Any:
    return importlib.import_module(name)
