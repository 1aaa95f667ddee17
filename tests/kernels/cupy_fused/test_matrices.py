"""The Hessian, the Gram matrix, combinations and samples, on the host, against the loop and closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.cuda_host.host_device import NO_ROOM, ONE_MULTIPROCESSOR, Driver, HostDevice
from support.interface_problems import assert_same_answers, assert_same_curvature, precision_of, problem

from accel_logreg.backends.cupy_fused.dense import upload_rows
from accel_logreg.backends.python_loop.dense import PythonRows
from accel_logreg.interface.answers import RowSample
from accel_logreg.kernels.cupy_fused.dense.plan import Limits
from accel_logreg.kernels.cupy_fused.matrices import plan as cupy_fused_rank_plan
from accel_logreg.kernels.cupy_fused.matrices.plan import plan_gram, plan_hessian

pytest_plugins = ["support.cuda_host.fixtures"]

SINGLE = 2e-6  # sums of products rounded to float32, relative to √(Hⱼⱼ Hₖₖ)
DOUBLE = 1e-13
# Factors u (1 + δ) with |δ| ≤ 2⁻¹¹: Σ|uv| (2δ + δ²) ≤ (2δ + δ²) √(Hⱼⱼ Hₖₖ) by Cauchy and Schwarz.
TENSOR = 2.0**-10 + 2.0**-22 + SINGLE
WITHIN = {"narrow": SINGLE, "wide": SINGLE, "tensor": TENSOR}
TENSOR_CORES = Limits(1, 100 << 10, 100 << 10, tf32=True)
PRECISE = pytest.mark.parametrize("precise", [False, True], ids=["rounded", "precise"])
# n, d, whether the rows have weights, how many are picked, and the tiles of rounded and of precise products
SHAPES = [
    (ONE_MULTIPROCESSOR, (1, 1, True, 0), "narrow", "narrow"),
    (ONE_MULTIPROCESSOR, (1, 31, False, 0), "narrow", "narrow"),  # p = 32: one narrow tile, and 33: three
    (ONE_MULTIPROCESSOR, (67, 32, True, 0), "narrow", "wide"),
    (ONE_MULTIPROCESSOR, (150, 3, False, 200), "narrow", "narrow"),  # more picked than there are
    (ONE_MULTIPROCESSOR, (21, 99, True, 5), "wide", "wide"),
    (ONE_MULTIPROCESSOR, (17, 128, False, 0), "narrow", "wide"),  # p = 129: one more than a wide tile
    (ONE_MULTIPROCESSOR, (9, 200, True, 0), "wide", "wide"),  # off the diagonal too
    (TENSOR_CORES, (1, 70, False, 0), "tensor", "narrow"),
    (TENSOR_CORES, (21, 99, True, 5), "tensor", "wide"),
    (TENSOR_CORES, (17, 127, False, 0), "tensor", "wide"),
    (TENSOR_CORES, (9, 200, True, 0), "tensor", "wide"),
]


@pytest.mark.parametrize(("limits", "shape", "rounded", "precise"), SHAPES)
def test_hessian(
    device: HostDevice,
    dtype: Any,
    rng: np.random.Generator,
    limits: Limits,
    shape: tuple[int, int, bool, int],
    rounded: str,
    precise: str,
) -> None:
    n, d, weighted, m = shape
    device.limits, device.misaligned = limits, n % 2
    X, y, s = problem(rng, n, d, dtype, weighted)
    at = rng.normal(size=d + 1) / np.sqrt(d), rng.normal(size=d), 0.5 + rng.random(d)
    picked = RowSample(rng.integers(0, n, m), 0.1 + rng.random(m)) if m else None
    rows, name = upload_rows(device, X, y, s), np.dtype(dtype).name
    expected = PythonRows(X, y, s).hessian(*at, sample=picked)
    found = rows.hessian(*at, sample=picked)
    assert_same_curvature(found, expected, WITHIN[rounded])
    assert rows.reads == pytest.approx(2 * (m or n) / n)
    if rounded == "tensor":  # it was rounded
        assert np.abs(found - expected).max() > 1e-5 * np.diag(expected).max()
    assert_same_curvature(rows.hessian(*at, sample=picked, precision="float64"), expected, DOUBLE)
    assert {f"hessian_{rounded}_{name}", f"precise_hessian_{precise}_{name}"} <= set(device.launched)


@PRECISE
def test_long_slices_are_summed_in_spans(
    one_device: HostDevice,
    dtype: Any,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    precise: bool,
) -> None:
    """One slice of more than two spans of float32 sums, and no multiple of anything."""
    monkeypatch.setattr(cupy_fused_rank_plan, "LARGEST_TILES_BYTES", 0)
    n = 2 * 2048 + 37
    assert plan_hessian(4, n, precise, one_device.limits).slices == 1
    X, y, s = problem(rng, n, 3, dtype, weighted=True)
    W, centre, scale = rng.normal(size=4), rng.normal(size=3), np.ones(3)
    H = upload_rows(one_device, X, y, s).hessian(W, centre, scale, precision=precision_of(precise))
    assert "reduce_partials" not in one_device.launched
    assert_same_curvature(H, PythonRows(X, y, s).hessian(W, centre, scale), DOUBLE if precise else SINGLE)


@pytest.mark.parametrize(("limits", "d"), [(ONE_MULTIPROCESSOR, 1), (TENSOR_CORES, 66)])
def test_a_span_does_not_swallow_the_next(
    one_device: HostDevice, dtype: Any, limits: Limits, d: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2²⁵ from the first 2048 rows, and ones after it: in one float32 sum each would be rounded away."""
    monkeypatch.setattr(cupy_fused_rank_plan, "LARGEST_TILES_BYTES", 0)
    one_device.limits = limits
    X = np.repeat(np.r_[np.full(2048, 128.0), np.ones(700)].reshape(-1, 1), d, axis=1).astype(dtype)
    H = upload_rows(one_device, X, np.ones(2748), None).hessian(np.zeros(d + 1), np.zeros(d), np.ones(d))
    np.testing.assert_allclose(H[:d, :d], 0.25 * (2**25 + 700) / 2748, rtol=1e-14)


def test_tensor_cores_are_exact_on_small_integers(
    device: HostDevice, dtype: Any, rng: np.random.Generator
) -> None:
    """Each entry another number: a fragment in the wrong place would show."""
    device.limits = TENSOR_CORES
    X = rng.integers(-30, 31, (37, 140)).astype(dtype)
    H = upload_rows(device, X, np.ones(37), None).hessian(np.zeros(141), np.zeros(140), np.ones(140))
    ones = np.hstack([X, np.ones((37, 1))]).astype(np.float64)
    np.testing.assert_allclose(H, 0.25 * (ones.T @ ones) / 37, rtol=1e-15)


def test_sums_of_tensor_cores_do_not_drift(one_device: HostDevice, rng: np.random.Generator) -> None:
    """All products positive and exact: what is off is the sums', which tensor cores cut off."""
    one_device.limits = TENSOR_CORES
    n = 2048
    assert plan_hessian(67, n, False, TENSOR_CORES).slices == 1
    X = 1.0 + rng.integers(0, 2**10, (n, 66)) / 2**10
    H = upload_rows(one_device, X, np.ones(n), None).hessian(np.zeros(67), np.zeros(66), np.ones(66))
    ones = np.hstack([X, np.ones((n, 1))])
    assert_same_curvature(H, 0.25 * (ones.T @ ones) / n, SINGLE)


@PRECISE
def test_several_slices(device: HostDevice, dtype: Any, rng: np.random.Generator, precise: bool) -> None:
    plan = plan_hessian(8, 1003, precise, device.limits)
    assert plan.slices > 3
    assert 1003 % plan.chunk_terms
    X, y, s = problem(rng, 1003, 7, dtype, weighted=True)
    W, centre, scale = rng.normal(size=8), rng.normal(size=7), 0.5 + rng.random(7)
    H = upload_rows(device, X, y, s).hessian(W, centre, scale, precision=precision_of(precise))
    assert_same_curvature(H, PythonRows(X, y, s).hessian(W, centre, scale), DOUBLE if precise else SINGLE)


@PRECISE
def test_large_means_are_taken_off_before_rounding(
    one_device: HostDevice, dtype: Any, rng: np.random.Generator, precise: bool
) -> None:
    """Columns of mean 1e4 and deviation 1: their squares in float32 would lose every digit."""
    X = (rng.normal(size=(80, 5)) + 1e4).astype(dtype)
    y = np.ones(80)
    W = rng.normal(size=6) / 4
    W[-1] -= 1e4 * W[:-1].sum()
    centre, scale = X.mean(axis=0, dtype=np.float64), np.full(5, 1.25)
    H = upload_rows(one_device, X, y, None).hessian(W, centre, scale, precision=precision_of(precise))
    expected = PythonRows(X, y, None).hessian(W, centre, scale)
    # z is a difference of numbers near 1e4 and known to about 1e-11.
    assert_same_curvature(H, expected, 1e-10 if precise else SINGLE)


@PRECISE
@pytest.mark.parametrize("z", [30.0, 300.0, 700.0, 800.0])
def test_curvatures_far_below_float32(one_device: HostDevice, dtype: Any, z: float, precise: bool) -> None:
    X = np.array([[z], [-z], [z], [-z], [-z]], dtype)
    W, centre, scale = np.array([1.0, 0.0]), np.array([1.0]), np.array([10.0])
    H = upload_rows(one_device, X, np.ones(5), None).hessian(
        W, centre, scale, precision=precision_of(precise)
    )
    expected = PythonRows(X, np.ones(5), None).hessian(W, centre, scale)
    np.testing.assert_allclose(H, expected, rtol=DOUBLE if precise else SINGLE, atol=1e-318)
    assert (expected[1, 1] > 0.0) == (z < 800.0)  # e^-800 is no float64


@pytest.mark.parametrize("size", [1e-60, 1e60])
def test_weights_far_from_float32(
    one_device: HostDevice, dtype: Any, rng: np.random.Generator, size: float
) -> None:
    X, y, s = problem(rng, 20, 3, dtype, weighted=True)
    assert s is not None
    W, centre, scale = rng.normal(size=4), np.zeros(3), np.ones(3)
    H = upload_rows(one_device, X, y, s * size).hessian(W, centre, scale)
    assert_same_curvature(H, PythonRows(X, y, s).hessian(W, centre, scale), SINGLE)


def test_nan_weights_are_not_hidden(one_device: HostDevice, dtype: Any) -> None:
    rows = upload_rows(one_device, np.ones((20, 3), dtype), np.ones(20), None)
    W = np.array([np.nan, 0.0, 0.0, 0.0])
    assert np.isnan(rows.hessian(W, np.zeros(3), np.ones(3))).all()
    assert np.isnan(rows.hessian_diagonal(W)).all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 205), (65, 17), (129, 9)], ids=str)
def test_gram(device: HostDevice, dtype: Any, rng: np.random.Generator, shape: tuple[int, int]) -> None:
    n, d = shape
    device.misaligned = n % 2
    X, y, _ = problem(rng, n, d, dtype, weighted=False)
    centre = rng.normal(size=d) + 1e4 * (d == 17)
    rows = upload_rows(device, X, y, None)
    assert_same_curvature(rows.gram(centre), PythonRows(X, y, None).gram(centre), DOUBLE)
    assert rows.reads == 1
    plan = plan_gram(n, d, device.limits)
    assert (plan.tiles, plan.slices > 1) == ({1: 1, 3: 1, 65: 3, 129: 6}[n], n == 3)


@pytest.mark.parametrize("limits", [ONE_MULTIPROCESSOR, NO_ROOM], ids=["one read", "two reads"])
@pytest.mark.parametrize("shape", [(1, 1), (101, 28), (40, 257)], ids=str)
def test_diagonal_and_combination(
    device: HostDevice, dtype: Any, rng: np.random.Generator, limits: Limits, shape: tuple[int, int]
) -> None:
    device.limits = limits
    n, d = shape
    X, y, s = problem(rng, n, d, dtype, weighted=d == 28)
    W, a = rng.normal(size=d + 1) / np.sqrt(d), rng.normal(size=n)
    rows, loop = upload_rows(device, X, y, s), PythonRows(X, y, s)
    np.testing.assert_allclose(rows.hessian_diagonal(W), loop.hessian_diagonal(W), rtol=1e-12)
    assert rows.reads == (1 if limits is ONE_MULTIPROCESSOR else 2)
    # The workspace is the gradient's, whose answer must be the same after it.
    assert rows.loss_grad(W)[0] == pytest.approx(loop.loss_grad(W)[0], rel=1e-13)
    expected = loop.combination(a)
    found = rows.combination(a)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize("z", [-800.0, -700.0, 30.0, 800.0])
def test_diagonal_at_extreme_logits(one_device: HostDevice, dtype: Any, z: float) -> None:
    X, W = np.full((5, 1), z, dtype), np.array([1.0, 0.0])
    found = upload_rows(one_device, X, np.ones(5), None).hessian_diagonal(W)
    expected = PythonRows(X, np.ones(5), None).hessian_diagonal(W)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-318)


@pytest.mark.parametrize("shape", [(1, 1, 3), (40, 7, 33), (9, 301, 20)], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_sample(
    device: HostDevice, dtype: Any, rng: np.random.Generator, shape: tuple[int, int, int], weighted: bool
) -> None:
    n, d, m = shape
    device.misaligned = n % 2
    X, y, s = problem(rng, n, d, dtype, weighted)
    picked = RowSample(rng.integers(0, n, m), 0.5 + rng.random(m))
    rows = upload_rows(device, X, y, s)
    sample = rows.sample(picked)
    assert sample.n_rows == m
    assert sample.dtype == np.dtype(dtype)
    assert sample.reads == rows.reads == pytest.approx(m / n)
    assert sample.weight_sum == pytest.approx(
        (picked.factors if s is None else picked.factors * s[picked.rows]).sum()
    )
    np.testing.assert_array_equal(sample.data.X.reshape(m, d), X[picked.rows])
    np.testing.assert_array_equal(sample.data.y, y[picked.rows])
    W = rng.normal(size=d + 1) / np.sqrt(d)
    loop = PythonRows(X, y, s).sample(picked)
    assert_same_answers(sample, loop, W, W[::-1], 1e-13)
    last_and_first = RowSample(np.array([m - 1, 0]), np.ones(2))
    H, expected = (
        which.hessian(W, np.zeros(d), np.ones(d), sample=last_and_first) for which in (sample, loop)
    )
    assert_same_curvature(H, expected, SINGLE)


def test_a_sample_takes_weights_only_where_it_needs_them(
    one_device: HostDevice, rng: np.random.Generator
) -> None:
    rows = upload_rows(one_device, *problem(rng, 10, 2, np.float64, weighted=False))
    plain = rows.sample(RowSample(np.array([3, 3, 9]), np.ones(3)))
    assert plain.data.s is None
    assert plain.weight_sum == 3.0
    again = plain.sample(RowSample(np.array([2]), np.array([0.5])))
    np.testing.assert_array_equal(again.data.s, [0.5])
    np.testing.assert_array_equal(again.data.X, rows.data.X[9])
    assert rows.reads == again.reads == pytest.approx(0.4)


@pytest.mark.parametrize("limits", [ONE_MULTIPROCESSOR, TENSOR_CORES], ids=["", "tensor cores"])
def test_order_of_threads_changes_no_bit(driver: Driver, rng: np.random.Generator, limits: Limits) -> None:
    X, y, s = problem(rng, 61, 130, np.float32, weighted=True)
    W, centre, scale = rng.normal(size=131) / 11, rng.normal(size=130), 0.5 + rng.random(130)
    answers = set()
    for descending in (False, True):
        rows = upload_rows(HostDevice(driver, limits, descending=descending), X, y, s)
        matrices = (rows.hessian(W, centre, scale, precision=precision_of(p)) for p in (False, True))
        vectors = rows.hessian_diagonal(W), rows.combination(y)
        answers.add(b"".join(array.tobytes() for array in (*matrices, *vectors)))
    assert len(answers) == 1
