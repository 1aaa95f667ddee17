"""scikit-learn's own conformance suite, every check, with every solver and on every engine; nothing excused.

The checks look at what an estimator does with its input: solvers and engines are combined elsewhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from accel_logreg import LogisticRegression

_SOLVERS: list[dict[str, Any]] = [
    *({"solver": name} for name in ("auto", "newton", "newton-cg", "newton-gram", "lbfgs")),
    {"solver": "gradient-descent", "max_iter": 200},
    {"solver": "liblinear"},
    {"solver": "liblinear", "multi_class": "ovr"},
    *({"l1_ratio": l1_ratio} for l1_ratio in (1.0, 0.5)),
]
_CPU = [
    *(LogisticRegression(backend="numba", **solver) for solver in _SOLVERS),
    LogisticRegression(backend="python"),
    LogisticRegression(backend="numpy", l1_ratio=1.0),
    LogisticRegression(backend="numba", solver="saga"),  # one of scikit-learn's names for what ours do
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
