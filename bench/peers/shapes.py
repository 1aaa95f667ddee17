"""The shapes that are compared, each with its problem, the ratio we are after and its share of the time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.special import expit

from bench.problems import classes, l1
from bench.problems.dense import breast_cancer, correlated, pixels
from bench.problems.problem import SEED, Problem


@dataclass(frozen=True)
class Shape:
    """One row of the summary.

    name : str
    build : function
        Rows divided by a factor → the problem; 1 is the shape as it is named.
    target : float
        How many times faster than the best peer we mean to be.
    seconds : float
        Its share of the full run; a quick run has QUICK_SECONDS for each shape.
    strong : mapping, solver → parameters
        The peers that were fastest to 1e-6 in full runs, each with the loosest parameters that arrived.
        A quick run has only these and begins there, so that it finds the best peer in little time.
    against : str
        The library that the target is about, empty for all.
    """

    name: str
    build: Callable[[int], Problem]
    target: float
    seconds: float
    strong: Mapping[str, Mapping[str, Any]]
    against: str = ""


QUICK_SECONDS = 15.0


def sparse_text(n: int, d: int, nonzeros: int) -> Problem:
    """Rows like tf-idf vectors of documents: X (n, d) CSR float64, rows of length 1.

    Word k of d is drawn with probability ∝ 1/(k + 2.7) (Zipf and Mandelbrot), words in the order of a
    dictionary, documents of unequal length. A fiftieth of the words carries the label, with noise.
    """
    rng = np.random.default_rng(SEED)
    chances = 1.0 / (np.arange(d) + 2.7)
    cumulative = np.cumsum(chances / chances.sum())
    dictionary = rng.permutation(d)
    lengths = rng.lognormal(0.0, 0.5, n)

    def counts(draws: float) -> sparse.csr_matrix:
        words_in = rng.poisson(lengths * (draws / lengths.sum()))
        rows = np.repeat(np.arange(n), words_in)
        ranks = np.minimum(np.searchsorted(cumulative, rng.random(rows.size)), d - 1)
        cells = np.ones(rows.size), (rows, dictionary[ranks])
        return sparse.csr_matrix(cells, shape=(n, d))

    # A word that comes twice is one nonzero; a tenth of the draws tells how often that happens.
    tenth = max(1, n // 10)
    trial = counts(float(nonzeros))[:tenth]
    repeats = float(trial.sum()) / trial.nnz
    X = counts(nonzeros * repeats)
    used = np.bincount(X.indices, minlength=d)
    X.data = (1.0 + np.log(X.data)) * np.log((1.0 + n) / (1.0 + used))[X.indices]
    norms = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
    X.data /= np.repeat(np.maximum(norms, 1e-300), np.diff(X.indptr))
    telling = rng.choice(d, size=max(1, d // 50), replace=False, p=chances / chances.sum())
    w = np.zeros(d)
    w[dictionary[telling]] = rng.standard_normal(telling.size)
    z = X @ w
    z *= 3.0 / z.std()
    y = (rng.random(n) < expit(z - z.mean() - 0.5)).astype(np.float64)
    return Problem(f"text {n}x{d}", X, y)


def uneven(n: int, d: int, dtype: str) -> Problem:
    """Neighbouring columns correlate at 0.95 and scales run from 0.01 to 100, as raw measurements may."""
    rng = np.random.default_rng(SEED)
    X = rng.standard_normal((n, d))
    for j in range(1, d):
        X[:, j] = 0.95 * X[:, j - 1] + np.sqrt(1.0 - 0.95**2) * X[:, j]
    z = X @ rng.standard_normal(d) / np.sqrt(d) - 0.5
    X *= rng.permutation(np.logspace(-2.0, 2.0, d))
    y = (rng.random(n) < expit(z)).astype(np.float64)
    return Problem(f"uneven {n}x{d}", X.astype(dtype), y)


def _tall(n: int, d: int, dtype: str) -> Callable[[int], Problem]:
    return lambda divisor: correlated(max(n // divisor, 2 * d), d, dtype)


_TALL = {"sklearnex lbfgs": {"mean_tol": 1e-4}, "glum irls-ls": {"gradient_tol": 1e-3}}
_UNEVEN = {"glum irls-ls": {"gradient_tol": 1e-2}, "scikit-learn newton-cholesky": {"tol": 1e-2}}
_MIDDLE = {"glum lbfgs": {"gradient_tol": 1e-5}, "sklearnex lbfgs": {"mean_tol": 1e-5}}
_WIDE = {
    "snapml primal": {"column": 100.0, "tol": 1e-4},
    "scikit-learn newton-cg": {"tol": 1e-4},
    "liblinear-multicore": {"tol": 1e-4},
    "scikit-learn lbfgs": {"tol": 1e-6},
}
_SPARSE = {
    "glum lbfgs": {"gradient_tol": 1e-4},
    "snapml dual": {"column": 1.0, "tol": 1e-4},
    "liblinear-multicore": {"tol": 1e-4},
}
_CANCER = {
    "snapml primal": {"column": 10.0, "tol": 1e-4},
    "liblinear-multicore": {"tol": 1e-4},
    "scikit-learn newton-cholesky": {"tol": 1e-5},
}
_TINY = {
    "liblinear-multicore": {"tol": 1e-3},
    "snapml primal": {"column": 10.0, "tol": 1e-4},
    "scikit-learn newton-cholesky": {"tol": 1e-4},
}
_CLASSES = {"scikit-learn lbfgs": {"tol": 1e-4}, "sklearnex lbfgs": {"mean_tol": 1e-4}}
_L1 = {
    "adelie": {"tol": 1e-4},
    "skglm ProxNewton L1": {"tol": 1e-4},
    "snapml L1": {"column": 100.0, "tol": 1e-4},
}
_L1_WIDE = {
    "scikit-learn liblinear L1": {"column": 100.0, "tol": 1e-6},
    "liblinear-multicore L1": {"tol": 1e-6},
    "snapml L1": {"column": 100.0, "tol": 1e-5},
    "adelie": {"tol": 1e-10},
}
_L1_SPARSE = {
    "adelie": {"tol": 1e-4},
    "liblinear-multicore L1": {"tol": 1e-3},
    "scikit-learn liblinear L1": {"column": 100.0, "tol": 1e-3},
}
_L1_PATH = {"adelie": {"tol": 1e-3}, "snapml L1": {"column": 1000.0, "tol": 1e-4}}
_ALL = (
    Shape("1e6x28-float64", _tall(1_000_000, 28, "float64"), 30.0, 75.0, _TALL),
    Shape("1e6x28-float32", _tall(1_000_000, 28, "float32"), 30.0, 60.0, _TALL),
    Shape("1e6x28-uneven-float64", lambda k: uneven(1_000_000 // k, 28, "float64"), 30.0, 60.0, _UNEVEN),
    Shape("2e5x300-float64", _tall(200_000, 300, "float64"), 12.0, 90.0, _MIDDLE),
    Shape("2e5x300-float32", _tall(200_000, 300, "float32"), 12.0, 70.0, _MIDDLE),
    Shape("1e5x1000-float32", _tall(100_000, 1_000, "float32"), 8.0, 95.0, _MIDDLE),
    Shape("2e4x3072-float32", _tall(20_000, 3_072, "float32"), 6.0, 100.0, _MIDDLE),
    Shape("209x12288-float64", lambda _: pixels(209, "float64"), 15.0, 40.0, _WIDE),
    Shape(
        "sparse-2e5x5e4",
        lambda k: sparse_text(200_000 // k, 50_000 // k, 10_000_000 // k),
        2.5,
        60.0,
        _SPARSE,
    ),
    Shape("569x30-float64", lambda _: breast_cancer("float64"), 8.0, 40.0, _CANCER, "scikit-learn"),
    Shape("classes-table-5e5x54-7", lambda k: classes.table(500_000 // k), 12.0, 100.0, _CLASSES),
    Shape("classes-pictures-2e4x784-10", lambda k: classes.pictures(20_000 // k), 10.0, 100.0, _CLASSES),
    Shape(
        "classes-embeddings-3e4x768-100",
        lambda k: classes.embeddings(30_000 // k, 768, 100),
        10.0,
        240.0,
        _CLASSES,
    ),
    Shape(
        "classes-topics-2e5x5e4-20",
        lambda k: classes.topics(200_000 // k, 50_000 // k, 10_000_000 // k, 20),
        6.0,
        150.0,
        _CLASSES,
    ),
    Shape("classes-digits-1797x64-10", lambda _: classes.digits(), 8.0, 40.0, _CLASSES, "scikit-learn"),
    Shape("l1-1e5x100", lambda k: l1.penalised(l1.sparse_truth(100_000 // k, 100), 0.1), 5.0, 60.0, _L1),
    Shape("l1-2e4x1000", lambda k: l1.penalised(l1.sparse_truth(20_000 // k, 1_000), 0.05), 5.0, 80.0, _L1),
    Shape("l1-209x12288", lambda _: l1.penalised(pixels(209, "float64"), 0.1), 5.0, 60.0, _L1_WIDE),
    Shape(
        "l1-sparse-2e5x5e4",
        lambda k: l1.penalised(sparse_text(200_000 // k, 50_000 // k, 10_000_000 // k), 0.05),
        2.5,
        80.0,
        _L1_SPARSE,
    ),
    Shape(
        "l1-path-1e5x100",
        lambda k: l1.path(l1.sparse_truth(100_000 // k, 100), 50, 0.01),
        5.0,
        120.0,
        _L1_PATH,
    ),
    Shape("1000x20-float64", lambda _: correlated(1_000, 20, "float64"), 8.0, 80.0, _TINY, "scikit-learn"),
)
SHAPES: dict[str, Shape] = {shape.name: shape for shape in _ALL}


def named(names: list[str]) -> list[Shape]:
    """The shapes of these names, in the order of SHAPES; all of them for no names."""
    for name in names:
        if name not in SHAPES:
            raise ValueError(
                f"shape {name!r} is not known; choose from {', '.join(SHAPES)}, or leave --shape out"
            )
    return [shape for name, shape in SHAPES.items() if not names or name in names]
