"""Problems drawn from families: any shape, any penalty, any kind of column, dense and sparse, from a seed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse
from scipy.special import expit

from bench.problems.l1 import penalised
from bench.problems.problem import Float64, Matrix, Problem, is_sparse

Random = np.random.Generator
_MOST_ENTRIES = 3e7  # of a dense X: what every peer fits within seconds
_MOST_NONZEROS = 3e6
_MOST_ROWS, _MOST_COLUMNS = 200_000, 20_000  # with an L1 part
_FEWER = 3  # over K: the share of the rows that problems of K classes have


def drawn_l1(seed: int, count: int) -> Iterator[Problem]:
    """The same families with an L1 part, all of it or a share, of up to 20,000 columns and 200,000 rows."""
    for i in range(count):
        random = np.random.default_rng([seed, i, 2])
        found: tuple[Matrix, str] = (
            _sparse(random) if i % 3 == 2 else _dense(random, (5, _MOST_COLUMNS), _MOST_ROWS)
        )  # fmt: skip
        X, kind = found[0][:_MOST_ROWS, :_MOST_COLUMNS], found[1]
        y = _labels(random, X)
        share, l1_ratio = _between(random, 3e-3, 0.5), float(random.choice([1.0, 1.0, 0.9, 0.5]))
        X = X.astype("float32" if random.random() < 0.4 else "float64")
        name = f"{_name(i, kind, X)} α={share:.2g} α_max, l1_ratio={l1_ratio:g}"
        yield penalised(Problem(name, X, y), share, l1_ratio)


def drawn(seed: int, count: int, *, classes: bool = False) -> Iterator[Problem]:
    """``count`` problems, two dense and then a sparse one; the same for the same seed.

    With ``classes`` of three to a hundred classes, and as many rows fewer.
    """
    for i in range(count):
        random = np.random.default_rng([seed, i, classes] if classes else [seed, i])
        K = int(_between(random, 3, 100)) if classes else 2
        found: tuple[Matrix, str] = _sparse(random) if i % 3 == 2 else _dense(random)
        X, kind = found
        if classes:
            X = X[: max(10 * K, int(X.shape[0] * _FEWER / K))]
            K = min(K, X.shape[0] // 3)
            kind = f"{K} classes, {kind}"
        y = _labels(random, X) if K == 2 else _classes(random, X, K)
        C = 1.0 if random.random() < 0.4 else _between(random, 1e-4, 1e6)
        X = X.astype("float32" if random.random() < 0.4 else "float64")
        yield Problem(f"{_name(i, kind, X)} C={C:.2g}", X, y, C)


def _name(i: int, kind: str, X: Matrix) -> str:
    filled = f" {X.nnz / X.shape[0] / X.shape[1]:.1g} filled" if is_sparse(X) else ""
    return f"{i}: {kind} {X.shape[0]}x{X.shape[1]} {X.dtype}{filled}"


def _between(random: Random, low: float, high: float) -> float:
    """Uniform in the logarithm."""
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def _dense(
    random: Random, columns: tuple[float, float] = (1, 5_000), rows: float = 1e6
) -> tuple[Float64, str]:
    """Correlated, or of a low rank and some noise, or independent; then scales, means and tails.

    float32 keeps X where means are at most a thousand spreads away.
    """
    d = int(_between(random, *columns))
    n = int(_between(random, 50, min(rows, _MOST_ENTRIES / d)))
    X = random.standard_normal((n, d))
    kind = str(random.choice(["independent", "neighbours", "rank"]))
    if kind == "neighbours":
        near = random.uniform(0.3, 0.99)
        for j in range(1, d):
            X[:, j] = near * X[:, j - 1] + np.sqrt(1.0 - near**2) * X[:, j]
    elif kind == "rank":
        rank = int(random.integers(1, min(n, d, 200) + 1))
        X *= _between(random, 1e-2, 1.0)
        X += random.standard_normal((n, rank)) @ random.standard_normal((rank, d)) / np.sqrt(rank)
    if random.random() < 0.15:
        X, kind = np.exp(random.uniform(0.3, 1.2) * X), f"{kind}, tails"
    if random.random() < 0.3:
        X, kind = X + _between(random, 0.1, 30) * random.standard_normal(d), f"{kind}, offset"
    if random.random() < 0.3:
        X, kind = X * 10.0 ** random.uniform(-2, 2, d), f"{kind}, scales"
    return X, kind


def _sparse(random: Random) -> tuple[Matrix, str]:
    kind = str(random.choice(["uniform", "text", "one-hot"]))
    if kind == "one-hot":
        n = int(_between(random, 500, 300_000))
        groups = int(random.integers(2, 12))
        parts: list[Matrix] = []
        for _ in range(groups):
            k = int(_between(random, 2, 3_000))
            level = np.minimum((k * random.random(n) ** random.uniform(1, 4)).astype(np.int64), k - 1)
            parts.append(sparse.csr_matrix((np.ones(n), level, np.arange(n + 1)), shape=(n, k)))
        if random.random() < 0.5:
            parts.append(sparse.csr_matrix(random.standard_normal((n, 2))))
        return sparse.csr_matrix(sparse.hstack(parts)), kind
    density = _between(random, 1e-5, 0.3)
    n = int(_between(random, 300, 200_000))
    d = int(min(max(_between(random, 50, 300_000), 2.0 / density), _MOST_NONZEROS / (n * density)))
    d = max(d, 20)
    length = random.lognormal(0.0, 0.5, n) if kind == "text" else np.ones(n)
    words = random.poisson(length / length.mean() * max(1.0, density * d))
    rows = np.repeat(np.arange(n), words)
    if kind == "text":  # word k with a chance of 1/(k + 2.7), weighed as tf-idf
        cumulative = np.cumsum(1.0 / (np.arange(d) + 2.7))
        column = np.minimum(np.searchsorted(cumulative, random.random(rows.size) * cumulative[-1]), d - 1)
        X = sparse.csr_matrix((np.ones(rows.size), (rows, random.permutation(d)[column])), shape=(n, d))
        used = np.bincount(X.indices, minlength=d)
        X.data = (1.0 + np.log(X.data)) * np.log((1.0 + n) / (1.0 + used))[X.indices]
        norms = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
        X.data /= np.repeat(np.maximum(norms, 1e-300), np.diff(X.indptr))
    else:
        values = random.standard_normal(rows.size)
        X = sparse.csr_matrix((values, (rows, random.integers(0, d, rows.size))), shape=(n, d))
    return X, kind


def _labels(random: Random, X: Matrix) -> Float64:
    """From the model: some columns tell, logits spread by 0.5 to 5; one class may be rare."""
    n, d = X.shape
    w = random.standard_normal(d) / _spread(X) * (random.random(d) < max(0.05, 3.0 / d))
    z = np.asarray(X @ w).ravel()
    z = _between(random, 0.5, 5) * (z - z.mean()) / (z.std() or 1.0)
    if random.random() < 0.3:
        z += random.uniform(-4, 4)
    y: Float64 = (random.random(n) < expit(z)).astype(np.float64)
    y[:2] = 0.0, 1.0
    return y


def _classes(random: Random, X: Matrix, K: int) -> Float64:
    """From the model: logits of K classes, spread by 0.5 to 5; some of the classes may be rare."""
    n, d = X.shape
    w = random.standard_normal((d, K)) / _spread(X)[:, np.newaxis]
    w *= random.random((d, K)) < max(0.05, 3.0 / d)
    z = np.asarray(X @ w)
    z = _between(random, 0.5, 5) * (z - z.mean(axis=0)) / np.maximum(z.std(axis=0), 1e-12)
    if random.random() < 0.5:
        z += 2.0 * random.standard_normal(K)
    y: Float64 = (z + random.gumbel(size=(n, K))).argmax(axis=1).astype(np.float64)
    y[:K] = np.arange(K)
    return y


def _spread(X: Matrix) -> Float64:
    squares = X.multiply(X) if is_sparse(X) else X**2
    return np.asarray(np.sqrt(np.maximum(np.asarray(squares.mean(axis=0)).ravel(), 1e-300)))
