"""Sparse problems with their dense twins, and what it means that sparse rows answer like dense ones."""

from __future__ import annotations

import pickle
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from support.interface_problems import (
    assert_same_answers,
    assert_same_curvature,
    assert_same_descent,
    precision_of,
)

from accel_logreg.backends.python_loop.dense import PythonRows
from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Csr, Float64, Matrix
from accel_logreg.interface.rows import Rows

# (n, d, share of nonzeros): n = 1, d = 1, all zero, full, and around the four entries of a loop's step.
SHAPES = [
    (1, 1, 1.0),
    (1, 9, 0.5),
    (7, 1, 0.6),
    (5, 4, 0.0),
    (6, 5, 1.0),
    (64, 13, 0.3),
    (65, 40, 0.1),
    (130, 7, 0.5),
    (33, 60, 0.05),
    (20, 300, 0.02),
]


def sparse(dense: Matrix, index: str = "int32") -> Csr:
    """The same matrix in compressed sparse rows."""
    X = csr_array(dense)
    X.sort_indices()
    return Csr(X.data, X.indices.astype(index), X.indptr.astype(index), dense.shape)


def problem(
    rng: np.random.Generator, n: int, d: int, share: float, dtype: Any, weighted: bool
) -> tuple[Matrix, Float64, Float64 | None]:
    """A dense X with this share of nonzeros, one column and one row empty where there are several."""
    X = rng.standard_normal((n, d)) * (rng.random((n, d)) < share)
    if n > 3:
        X[n // 2] = 0.0
    if d > 3:
        X[:, d // 2] = 0.0
    y = (rng.random(n) < 0.5).astype(np.float64)
    s = rng.integers(0, 3, n) + rng.random(n) if weighted else None
    return X.astype(dtype), y, s


class _Remembered:
    """Rows that answer what they were asked before without thinking again."""

    def __init__(self, rows: Rows) -> None:
        self._rows, self._known = rows, dict[bytes, Any]()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._rows, name)
        if not callable(found):
            return found

        def ask(*question: Any, **options: Any) -> Any:
            key = pickle.dumps((name, question, options))
            if key not in self._known:
                answer = found(*question, **options)
                self._known[key] = _Remembered(answer) if isinstance(answer, Rows) else answer
            return self._known[key]

        return ask


@cache
def _remembered(shape: tuple[int, int], dtype: str, X: bytes, y: bytes, s: bytes | None) -> Any:
    weights = None if s is None else np.frombuffer(s)
    return _Remembered(PythonRows(np.frombuffer(X, dtype).reshape(shape), np.frombuffer(y), weights))


def loop_over(X: Any, y: Any, s: Any) -> Any:
    """The Python loop's rows, whose answers are worked out once for all engines that are asked the same."""
    found = None if s is None else s.astype(np.float64).tobytes()
    return _remembered(X.shape, X.dtype.name, X.tobytes(), y.astype(np.float64).tobytes(), found)


def assert_same_rows(rows: Rows, loop: Rows, rng: np.random.Generator, rtol: float = 1e-12) -> None:
    """Every question of the interface, at a random place."""
    n, d = loop.n_rows, loop.n_features
    assert (rows.n_rows, rows.n_features, rows.dtype) == (n, d, loop.dtype)
    assert rows.weight_sum == pytest.approx(loop.weight_sum, rel=1e-14)
    assert rows.largest_entry() == loop.largest_entry()
    W, V = rng.standard_normal((2, d + 1))
    assert_same_answers(rows, loop, W, V, rtol)
    result, expected = (which.descend(W, 0.2, 0.05, 4, True) for which in (rows, loop))
    assert_same_descent(result, expected, 10 * rtol)
    centre, scale, a = np.zeros(d), 0.5 + rng.random(d), rng.standard_normal(n)
    # A GPU rounds the factors of wide Hessians to TF32, 10 bits after the first, and may truncate sums.
    rough = 2.0**-10 + 1e-4 if d > 60 and type(rows).__name__ == "CupyCsrRows" else 1e-5
    for precise in (False, True):
        for picked in (None, RowSample(rng.integers(0, n, n + 2), 0.5 + rng.random(n + 2))):
            assert_same_curvature(
                rows.hessian(W, centre, scale, sample=picked, precision=precision_of(precise)),
                loop.hessian(W, centre, scale, sample=picked),
                rtol if precise else rough,
            )
    np.testing.assert_allclose(rows.hessian_diagonal(W), loop.hessian_diagonal(W), rtol=rtol, atol=1e-300)
    assert_same_curvature(rows.gram(centre), loop.gram(centre), rtol)
    total, expected_total = rows.combination(a), loop.combination(a)
    assert total.shape == (d,)
    np.testing.assert_allclose(
        total, expected_total, rtol=rtol, atol=rtol * (np.abs(expected_total).max() + 1e-300)
    )
