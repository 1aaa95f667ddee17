"""Problems for the questions of the interface, and what it means that two engines agree."""

from __future__ import annotations

import numpy as np
import pytest

from accel_logreg.interface.answers import Descent
from accel_logreg.interface.arrays import Float64, Matrix
from accel_logreg.interface.rows import Precision, Rows

# n = 1, d = 1, one below, at and above the Numba blocks of 8 and 16 rows and vectors of 8 entries,
# and a row of 16 KB, where the blocks change size.
SHAPES = [
    (1, 1),
    (1, 5),
    (2, 1),
    (7, 3),
    (8, 8),
    (9, 7),
    (16, 9),
    (17, 28),
    (33, 31),
    (100, 2),
    (50, 65),
    (19, 2049),
]


def problem(
    rng: np.random.Generator, n: int, d: int, dtype: type[np.floating], weighted: bool
) -> tuple[Matrix, Float64, Float64 | None]:
    X = rng.standard_normal((n, d)).astype(dtype)
    y = (rng.random(n) < 0.5).astype(np.float64)
    s = rng.integers(0, 3, n) + rng.random(n) if weighted else None
    return X, y, s


def assert_same_answers(rows: Rows, loop: Rows, W: Float64, V: Float64, rtol: float = 1e-12) -> None:
    loss, gradient = rows.loss_grad(W)
    expected_loss, expected = loop.loss_grad(W)
    assert loss == pytest.approx(expected_loss, rel=rtol, abs=1e-300)
    assert gradient.dtype == np.float64
    assert gradient.shape == W.shape
    np.testing.assert_allclose(gradient, expected, rtol=rtol, atol=rtol * (np.abs(expected).max() + 1e-300))
    product, expected = rows.hessian_product(W, V), loop.hessian_product(W, V)
    assert product.dtype == np.float64
    np.testing.assert_allclose(product, expected, rtol=rtol, atol=rtol * (np.abs(expected).max() + 1e-300))


def assert_same_descent(found: Descent, expected: Descent, rtol: float = 1e-12) -> None:
    np.testing.assert_allclose(found.W, expected.W, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(found.costs, expected.costs, rtol=rtol)
    np.testing.assert_allclose(found.gradient_norms, expected.gradient_norms, rtol=rtol, atol=rtol)


def assert_same_curvature(H: Float64, expected: Float64, rtol: float) -> None:
    """Entry by entry, relative to √(Hⱼⱼ Hₖₖ), the most that rounding of the products can be seen in."""
    assert H.dtype == np.float64
    assert H.shape == expected.shape
    np.testing.assert_array_equal(H, H.T)
    size = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert (np.abs(H - expected) <= rtol * size + 1e-300).all(), np.max(np.abs(H - expected) / size)


def precision_of(precise: bool) -> Precision:
    """What a Hessian is asked with."""
    return "float64" if precise else "float32"
