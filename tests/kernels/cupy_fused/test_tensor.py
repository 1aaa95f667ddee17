"""Hessians on the tensor cores, played on the host, against the Python loop and closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.cuda_host.host_device import Driver, HostDevice
from support.interface_problems import assert_same_curvature, problem

from accel_logreg.backends.cupy_fused.dense import upload_rows
from accel_logreg.backends.python_loop.dense import PythonRows
from accel_logreg.interface.answers import RowSample
from accel_logreg.kernels.cupy_fused.dense.plan import Limits
from accel_logreg.kernels.cupy_fused.matrices import plan as cupy_fused_rank_plan
from accel_logreg.kernels.cupy_fused.matrices.plan import plan_hessian

pytest_plugins = ["support.cuda_host.fixtures"]

SINGLE = 2e-6  # sums in float32, relative to √(Hⱼⱼ Hₖₖ)
DOUBLE = 1e-13
# Factors u (1 + δ) with |δ| ≤ 2⁻¹¹: Σ|uv| (2δ + δ²) ≤ (2δ + δ²) √(Hⱼⱼ Hₖₖ) by Cauchy and Schwarz.
TENSOR = 2.0**-10 + 2.0**-22 + SINGLE
TENSOR_CORES = Limits(1, 100 << 10, 100 << 10, tf32=True)


@pytest.mark.parametrize(
    "shape", [(1, 70, False, 0), (21, 99, True, 5), (17, 127, False, 0), (9, 200, True, 0)], ids=str
)
def test_tensor_cores(
    device: HostDevice, dtype: Any, rng: np.random.Generator, shape: tuple[int, int, bool, int]
) -> None:
    n, d, weighted, m = shape
    device.limits, device.misaligned = TENSOR_CORES, n % 2
    X, y, s = problem(rng, n, d, dtype, weighted)
    W, centre, scale = rng.normal(size=d + 1) / np.sqrt(d), rng.normal(size=d), 0.5 + rng.random(d)
    picked = RowSample(rng.integers(0, n, m), 0.1 + rng.random(m)) if m else None
    rows = upload_rows(device, X, y, s)
    found = rows.hessian(W, centre, scale, sample=picked)
    expected = PythonRows(X, y, s).hessian(W, centre, scale, sample=picked)
    assert_same_curvature(found, expected, TENSOR)
    assert np.abs(found - expected).max() > 1e-5 * np.diag(expected).max()  # it was rounded
    assert f"hessian_tensor_{np.dtype(dtype).name}" in device.launched
    precise = rows.hessian(W, centre, scale, sample=picked, precision="float64")
    assert_same_curvature(precise, expected, DOUBLE)


def test_tensor_cores_are_exact_on_small_integers(
    device: HostDevice, dtype: Any, rng: np.random.Generator
) -> None:
    """Each entry another number: a fragment in the wrong place would show."""
    device.limits = TENSOR_CORES
    X = rng.integers(-30, 31, (37, 140)).astype(dtype)
    H = upload_rows(device, X, np.ones(37), None).hessian(np.zeros(141), np.zeros(140), np.ones(140))
    ones = np.hstack([X, np.ones((37, 1))]).astype(np.float64)
    np.testing.assert_allclose(H, 0.25 * (ones.T @ ones) / 37, rtol=1e-15)


def test_tensor_cores_sum_in_spans(
    one_device: HostDevice, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ones after 2²⁵ would be rounded away in one float32 sum."""
    monkeypatch.setattr(cupy_fused_rank_plan, "LARGEST_TILES_BYTES", 0)
    one_device.limits = TENSOR_CORES
    X = np.repeat(np.r_[np.full(2048, 128.0), np.ones(70)].reshape(-1, 1), 66, axis=1).astype(dtype)
    H = upload_rows(one_device, X, np.ones(2118), None).hessian(np.zeros(67), np.zeros(66), np.ones(66))
    assert f"hessian_tensor_{np.dtype(dtype).name}" in one_device.launched
    np.testing.assert_allclose(H[:66, :66], 0.25 * (2**25 + 70) / 2118, rtol=1e-14)


def test_sums_of_tensor_cores_do_not_drift(one_device: HostDevice, rng: np.random.Generator) -> None:
    """All products positive and exact: what is off is the sums', which tensor cores cut off."""
    one_device.limits = TENSOR_CORES
    n = 2048
    assert plan_hessian(67, n, False, TENSOR_CORES).slices == 1
    X = 1.0 + rng.integers(0, 2**10, (n, 66)) / 2**10
    H = upload_rows(one_device, X, np.ones(n), None).hessian(np.zeros(67), np.zeros(66), np.ones(66))
    ones = np.hstack([X, np.ones((n, 1))])
    assert_same_curvature(H, 0.25 * (ones.T @ ones) / n, SINGLE)


def test_order_of_threads_changes_no_bit_on_tensor_cores(driver: Driver, rng: np.random.Generator) -> None:
    X, y, s = problem(rng, 61, 130, np.float32, weighted=True)
    W, centre, scale = rng.normal(size=131) / 11, rng.normal(size=130), 0.5 + rng.random(130)
    answers = set()
    for descending in (False, True):
        rows = upload_rows(HostDevice(driver, TENSOR_CORES, descending=descending), X, y, s)
        answers.add(rows.hessian(W, centre, scale).tobytes())
    assert len(answers) == 1
