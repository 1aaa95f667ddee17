"""Problems from families: shape, rank, scale, offset, weights over decades, rare labels, C, sparsity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import datasets
from sklearn.preprocessing import scale

from bench.gap_study.evaluator import Problem

Random = np.random.Generator
_MOST = 400_000  # entries of X: what the evaluator takes a second for


def _log_uniform(random: Random, low: float, high: float) -> float:
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def _shape(random: Random, most_columns: float = 300) -> tuple[int, int]:
    d = int(_log_uniform(random, 1, most_columns))
    n = int(_log_uniform(random, 12, min(20_000, _MOST / d)))
    return n, d


def gaussian(random: Random) -> Any:
    return random.standard_normal(_shape(random))


def correlated(random: Random) -> Any:
    n, d = _shape(random)
    rank = int(random.integers(1, d + 1))
    noise = _log_uniform(random, 1e-7, 1.0)
    X = random.standard_normal((n, rank)) @ random.standard_normal((rank, d))
    return X + noise * random.standard_normal((n, d))


def scaled(random: Random) -> Any:
    X = random.standard_normal(_shape(random, 60))
    return X * 10.0 ** random.uniform(-6, 6, X.shape[1])


def far_from_zero(random: Random) -> Any:
    X = random.standard_normal(_shape(random, 60))
    return X + _log_uniform(random, 1, 1e6) * random.standard_normal(X.shape[1])


def wide(random: Random) -> Any:
    n = int(_log_uniform(random, 10, 300))
    d = int(_log_uniform(random, n, min(1500, _MOST / n)))
    rank = int(random.integers(1, n + 1))
    X = random.standard_normal((n, rank)) @ random.standard_normal((rank, d))
    return X + _log_uniform(random, 1e-3, 1.0) * random.standard_normal((n, d))


def redundant(random: Random) -> Any:
    n, d = _shape(random, 30)
    X = random.standard_normal((n, d))
    kinds = [np.ones(n), np.zeros(n), X[:, 0], X.sum(axis=1), np.full(n, 7.3), 2.0 - X[:, 0]]
    extra = [kinds[i] for i in random.integers(0, len(kinds), random.integers(1, 4))]
    return np.c_[X, np.array(extra).T]


def dummies(random: Random) -> Any:
    n = int(_log_uniform(random, 30, 5000))
    groups = [
        np.eye(k)[np.minimum((k * random.random(n) ** 2).astype(int), k - 1)]
        for k in random.integers(2, 9, 2)
    ]
    return np.c_[tuple(groups)] if random.random() < 0.5 else np.c_[(*groups, random.standard_normal(n))]


def heavy_tails(random: Random) -> Any:
    X = random.standard_normal(_shape(random, 60))
    if random.random() < 0.5:
        return np.exp(random.uniform(0.5, 2.5) * X)
    X.flat[random.integers(0, X.size, 8)] = _log_uniform(random, 1e2, 1e5)
    return X


def one_hot(random: Random) -> Any:
    n = int(_log_uniform(random, 500, 8000))
    parts: list[Any] = []
    for k in (int(_log_uniform(random, 30, 900)), int(_log_uniform(random, 10, 300)), 20):
        level = np.minimum((3 * random.pareto(1, n)).astype(int), k - 1)
        parts.append(sparse.csr_matrix((np.ones(n), (np.arange(n), level)), shape=(n, k)))
    if random.random() < 0.5:
        numbers = _log_uniform(random, 1e-2, 1e4) * random.standard_normal((n, 2)) + random.uniform(-5, 5, 2)
        parts.append(sparse.csr_matrix(numbers))
    return sparse.csr_matrix(sparse.hstack(parts))


def counts(random: Random) -> Any:
    n, d = int(_log_uniform(random, 100, 3000)), int(_log_uniform(random, 20, 1500))
    X = sparse.random(
        n, d, density=min(0.3, 20 / d), random_state=np.random.RandomState(random.integers(1 << 31))
    )
    counted: Any = sparse.csr_matrix(X)
    counted.data = np.ceil(random.pareto(1.2, counted.data.size) + 0.01)
    return counted


def dates(random: Random) -> Any:
    n, d = int(_log_uniform(random, 100, 3000)), int(_log_uniform(random, 5, 1000))
    far: Any = 10.0 ** random.uniform(2, 9, 2) + random.uniform(0.1, 100) * random.standard_normal((n, 2))
    rest = sparse.random(
        n, d, density=min(0.3, 5 / d), random_state=np.random.RandomState(random.integers(1 << 31))
    )
    return sparse.csr_matrix(sparse.hstack([far, rest]))


FAMILIES: tuple[Callable[[Random], Any], ...] = (
    gaussian, correlated, scaled, far_from_zero, wide, redundant, dummies, heavy_tails, one_hot, counts,
    dates,
)  # fmt: skip


def drawn(seed: int, count: int) -> Iterator[tuple[str, Problem]]:
    """``count`` problems, each by the name of its family, the same for the same seed."""
    for i in range(count):
        random = np.random.default_rng([seed, i])
        family = FAMILIES[i % len(FAMILIES)]
        X = family(random)
        yield f"{family.__name__} {i}", _with_labels(random, X)


def _with_labels(random: Random, X: Any) -> Problem:
    n, d = X.shape
    spread = np.asarray(np.sqrt(np.maximum(sparse.csr_matrix(X).power(2).mean(axis=0), 1e-300))).ravel()
    direction = random.standard_normal(d) / spread / np.sqrt(min(d, 20)) * (random.random(d) < 20 / d)
    z = np.asarray(X @ direction).ravel()
    z = _log_uniform(random, 0.3, 10) * (z - z.mean()) / (z.std() or 1.0) + random.uniform(-3, 3) * (
        random.random() < 0.4
    )
    y = (random.random(n) < 1 / (1 + np.exp(-np.clip(z, -500, 500)))).astype(np.int64)
    y[:2] = 0, 1
    s = None
    if random.random() < 0.2:
        s = 10.0 ** random.uniform(-random.integers(1, 5), 2, n)
    elif random.random() < 0.1:
        s = random.integers(0, 3, n).astype(float)
        s[:2] = 1
    C = np.inf if random.random() < 0.2 else 10.0 ** random.uniform(-8, 8) if random.random() < 0.7 else 1.0
    return Problem(X, y, s, float(C), bool(random.random() < 0.85))


def real() -> Iterator[tuple[str, Problem]]:
    """Data sets that scikit-learn ships, raw and scaled, with squares and products, at several C."""
    iris, wine, digits = datasets.load_iris(), datasets.load_wine(), datasets.load_digits()
    diabetes, cancer = datasets.load_diabetes(scaled=False), datasets.load_breast_cancer()
    sets = {
        "iris": (iris.data[50:], iris.target[50:] == 2),
        "iris, separable": (iris.data, iris.target == 0),
        "wine": (wine.data, wine.target == 1),
        "digits": (digits.data, digits.target % 2),
        "digits, eights": (digits.data, digits.target == 8),
        "diabetes": (diabetes.data, diabetes.target > 140),
        "breast cancer": (cancer.data, cancer.target),
    }
    for name, (X, y) in sets.items():
        few = X[:, X.std(axis=0) > 0][:, :10]
        products = np.einsum("ij,ik->ijk", few, few)[:, *np.triu_indices(few.shape[1])]
        sparse_X = sparse.csr_matrix(X)
        for kind, Z in {
            "raw": X,
            "scaled": scale(X),
            "products": np.c_[few, products],
            "CSR": sparse_X,
        }.items():
            for C in (1e-4, 1.0, 1e4, np.inf):
                yield f"{name}, {kind}, C={C:g}", Problem(Z, y.astype(np.int64), None, C)
