"""The kernels of predict/predict.cu, compiled for the host, against NumPy and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit, log_expit
from support.cuda_host.host_device import HostDevice

from accel_logreg.kernels.cupy_fused.predict import launch as predict

pytest_plugins = ["support.cuda_host.fixtures"]

SIZES = [1, 255, 2049]
LABELS = [
    np.array([False, True]),
    np.array([0, 255], np.uint8),
    np.array([-128, 127], np.int8),
    np.array([-3, 2], np.int16),
    np.array([-(2**31), 7], np.int32),
    np.array([-(2**63), 2**63 - 1], np.int64),
    np.array([1, 2**64 - 1], np.uint64),
    np.array([-0.5, 2.0], np.float16),
    np.array([-1e-30, 3.0], np.float32),
    np.array([-1.0, 1e300], np.float64),
]


def logits(rng: np.random.Generator, m: int) -> Any:
    z = 30.0 * rng.normal(size=m)
    z[: min(m, 5)] = [0.0, 800.0, -800.0, -1e-20, 40.0][: min(m, 5)]
    return z


@pytest.mark.parametrize("m", SIZES)
def test_probabilities(device: HostDevice, rng: np.random.Generator, m: int) -> None:
    z = logits(rng, m)
    a = predict.probabilities(device, z, logarithm=False)
    np.testing.assert_allclose(a, np.column_stack([expit(-z), expit(z)]), rtol=1e-14)
    np.testing.assert_allclose(a.sum(axis=1), 1.0, rtol=1e-15)
    log_a = predict.probabilities(device, z, logarithm=True)
    np.testing.assert_allclose(log_a, np.column_stack([log_expit(-z), log_expit(z)]), rtol=1e-14)


def test_probabilities_of_what_is_not_finite(device: HostDevice) -> None:
    z = np.array([np.inf, -np.inf, np.nan])
    a = predict.probabilities(device, z, logarithm=False)
    np.testing.assert_array_equal(a, [[0.0, 1.0], [1.0, 0.0], [np.nan, np.nan]])
    log_a = predict.probabilities(device, z, logarithm=True)
    np.testing.assert_array_equal(log_a, [[-np.inf, 0.0], [0.0, -np.inf], [np.nan, np.nan]])


@pytest.mark.parametrize("classes", LABELS, ids=lambda classes: classes.dtype.name)
def test_labels(device: HostDevice, rng: np.random.Generator, classes: Any) -> None:
    for m in SIZES:
        z = logits(rng, m)
        labels = predict.labels(device, z, classes)
        assert labels.dtype == classes.dtype
        np.testing.assert_array_equal(labels, classes[(z > 0).astype(int)])


@pytest.mark.parametrize("m", SIZES)
def test_all_finite(device: HostDevice, rng: np.random.Generator, m: int) -> None:
    z = logits(rng, m)
    z[0] = 1.7e308
    assert predict.all_finite(device, z)
    for value in (np.nan, np.inf, -np.inf):
        for k in {0, m // 2, m - 1}:
            bad = z.copy()
            bad[k] = value
            assert not predict.all_finite(device, bad)


def test_take_rows(device: HostDevice, dtype: Any, rng: np.random.Generator) -> None:
    for shape in [(1, 1), (7, 300), (300, 3)]:
        X = rng.normal(size=shape).astype(dtype)
        rows = rng.integers(0, shape[0], 50)
        np.testing.assert_array_equal(predict.take_rows(device, X, rows), X[rows])


def test_logits_on_the_host_and_on_the_device(
    device: HostDevice, dtype: Any, rng: np.random.Generator
) -> None:
    X, W = rng.normal(size=(101, 28)).astype(dtype), rng.normal(size=29)
    z = predict.logits(device, device.upload(X), W)
    np.testing.assert_allclose(z, X.astype(np.float64) @ W[:-1] + W[-1], rtol=1e-12)
    np.testing.assert_array_equal(predict.logits_on_host(device, device.upload(X), W), z)
