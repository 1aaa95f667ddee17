"""Sparse rows of the CuPy engine around their kernels: their limits, and the GPU's own tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from support.cuda_host.host_device import NO_DRIVER, HostDevice
from support.interface_problems import precision_of

from accel_logreg import LogisticRegression
from accel_logreg.backends import load_backend
from accel_logreg.backends.cupy_fused.csr import csr_logits, upload_csr_rows
from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Csr
from accel_logreg.interface.engine import Engine
from accel_logreg.kernels.cupy_fused.dense.plan import Limits

LIMITS = Limits(2, 100 << 10, 100 << 10)


def test_more_columns_than_32_bits_number_are_refused() -> None:
    device = HostDevice(NO_DRIVER, LIMITS)
    X = Csr(np.ones(1), np.array([2**31], np.int64), np.array([0, 1], np.int64), (1, 2**31 + 1))
    with pytest.raises(
        ValueError, match=r"\(1, 2147483649\).*at most 2147483647 of each. Use backend='numba'"
    ):
        upload_csr_rows(device, X, np.ones(1), None)
    with pytest.raises(ValueError, match="at most 2147483647"):
        csr_logits(device, X, np.zeros(1))


# ---- on the device itself ------------------------------------------------------------------------------


def zipf(rng: np.random.Generator, n: int, d: int, draws: int, dtype: Any) -> Csr:
    """Columns as unequal as words in text, the first in every row; one row has every column."""
    rows = np.r_[rng.integers(0, n, draws), np.arange(n), np.full(d, n // 2)]
    columns = np.r_[np.minimum(rng.zipf(1.3, draws), d) - 1, np.zeros(n, int), np.arange(d)]
    X = csr_array((rng.standard_normal(len(rows)), (rows, columns)), shape=(n, d))
    X.sum_duplicates()
    return Csr(X.data.astype(dtype), X.indices, X.indptr, (n, d))


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(200_003, 50_021, 2_000_000), (57, 200_011, 1_000_000)], ids=str)
def test_uneven_problems_on_the_device(
    gpu: Engine, dtype: Any, rng: np.random.Generator, shape: tuple[int, int, int]
) -> None:
    X = zipf(rng, *shape, dtype)
    n, d = X.shape
    y, s = (rng.random(n) < 0.5).astype(np.float64), rng.random(n) + 0.5
    W, V = rng.standard_normal((2, d + 1)) / 10
    rows, reference = gpu.place(X, y, s), load_backend("numpy").place(X, y, s)
    loss, gradient = rows.loss_grad(W)
    true_loss, true_gradient = reference.loss_grad(W)
    np.testing.assert_allclose(loss, true_loss, rtol=1e-12)
    np.testing.assert_allclose(gradient, true_gradient, rtol=1e-8, atol=1e-13)
    product = rows.hessian_product(W, V)
    np.testing.assert_allclose(product, reference.hessian_product(W, V), rtol=1e-8, atol=1e-13)
    diagonal = rows.hessian_diagonal(W)
    np.testing.assert_allclose(diagonal, reference.hessian_diagonal(W), rtol=1e-9, atol=1e-16)
    np.testing.assert_allclose(gpu.logits(X, W), load_backend("numpy").logits(X, W), rtol=1e-9, atol=1e-10)
    assert rows.largest_entry() == reference.largest_entry()
    again = gpu.place(X, y, s)
    for _ in range(2):
        assert again.loss_grad(W)[0] == loss
        np.testing.assert_array_equal(again.loss_grad(W)[1], gradient)
        np.testing.assert_array_equal(again.hessian_product(W, V), product)


@pytest.mark.gpu
def test_matrices_of_sparse_rows_on_the_device(gpu: Engine, dtype: Any, rng: np.random.Generator) -> None:
    X = zipf(rng, 30_011, 701, 200_000, dtype)
    y, W, scale = (rng.random(30_011) < 0.5).astype(np.float64), rng.standard_normal(702), np.ones(701)
    rows, reference = gpu.place(X, y, None), load_backend("numpy").place(X, y, None)
    picked = RowSample(rng.integers(0, 30_011, 4000), rng.random(4000))
    for which in (None, picked):
        for precise in (False, True):
            H = rows.hessian(W, np.zeros(701), scale, sample=which, precision=precision_of(precise))
            expected = reference.hessian(W, np.zeros(701), scale, sample=which, precision="float64")
            largest = np.diag(expected).max()
            np.testing.assert_allclose(H, expected, rtol=0, atol=(1e-11 if precise else 3e-6) * largest)
    sample, expected_sample = rows.sample(picked), reference.sample(picked)
    np.testing.assert_allclose(sample.loss_grad(W)[1], expected_sample.loss_grad(W)[1], rtol=1e-8, atol=1e-13)
    some = RowSample(np.arange(0, 30_011, 40), np.ones(751))
    K = rows.sample(some).gram(np.zeros(701))
    np.testing.assert_allclose(K, reference.sample(some).gram(np.zeros(701)), rtol=0, atol=1e-9)


@pytest.mark.gpu
@pytest.mark.parametrize("solver", ["auto", "newton-cg"])
def test_sparse_fits_on_the_device(gpu: Engine, solver: str, rng: np.random.Generator) -> None:
    X = zipf(rng, 20_011, 5003, 200_000, np.float64)
    matrix = csr_array((X.data, X.indices, X.indptr), shape=X.shape)
    y = rng.random(20_011) < 0.5
    found = LogisticRegression(backend=gpu.name, solver=solver).fit(matrix, y)
    expected = LogisticRegression(backend="numba", solver="newton-cg", tol=1e-10).fit(matrix, y)
    assert found.gap_ <= 1e-8
    best = expected.history_["cost"][-1]
    assert found.history_["cost"][-1] == pytest.approx(best, rel=2e-8)
    # J is λ-strongly convex in the coefficients: gap ≥ λ/2 ‖w − w*‖², with λ = 1/n.
    assert np.linalg.norm(found.coef_ - expected.coef_) <= 2.0 * np.sqrt(2.0 * 20_011 * 1e-8 * best)
