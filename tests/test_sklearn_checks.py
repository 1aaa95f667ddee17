"""scikit-learn's own conformance suite, every check of it; nothing excused.

On every engine with the solver that it chooses, and with every other solver on one engine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from accel_logreg import LogisticRegression

_CPU = [
    *(LogisticRegression(backend=name) for name in ("python", "numpy", "numba")),
    LogisticRegression(backend="numpy", solver="newton-cg"),
    LogisticRegression(backend="numpy", solver="lbfgs"),
    LogisticRegression(backend="numpy", solver="gradient-descent"),
    *(
        LogisticRegression(backend=name, l1_ratio=l1_ratio)
        for name in ("numpy", "numba")
        for l1_ratio in (1.0, 0.5)
    ),
]
_GPU = [
    *(LogisticRegression(backend="cupy", solver=name) for name in ("auto", "lbfgs", "gradient-descent")),
    LogisticRegression(backend="cupy", l1_ratio=0.5),
]


# Gradient descent makes its steps and says how far they led.
_FAR = pytest.mark.filterwarnings("ignore:gradient-descent stopped:sklearn.exceptions.ConvergenceWarning")


@_FAR
@parametrize_with_checks(_CPU)
def test_scikit_learn_check(estimator: LogisticRegression, check: Any) -> None:
    check(estimator)


@_FAR
@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
@parametrize_with_checks(_GPU)
def test_scikit_learn_check_on_gpu(estimator: LogisticRegression, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
def test_array_api_checks_run_too() -> None:
    """scikit-learn skips its array-API checks unless the environment turns SciPy's dispatch on."""
    chosen = ("-k", "array_api and not gpu and not run_too", __file__)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(_CPU)} passed" in result.stdout
    assert "skipped" not in result.stdout
