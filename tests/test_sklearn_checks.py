"""scikit-learn's own conformance suite, every check of it, on every engine; nothing excused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from accel_logreg import LogisticRegression
from accel_logreg.backends import BackendUnavailableError, load_backend

_CPU = [
    LogisticRegression(backend=name, solver=solver)
    for name in ("python", "numpy", "numba")
    for solver in ("lbfgs", "gradient-descent")
]
_GPU = [LogisticRegression(backend="cupy", solver=solver) for solver in ("lbfgs", "gradient-descent")]


@pytest.mark.slow
@parametrize_with_checks(_CPU)
def test_scikit_learn_check(estimator: LogisticRegression, check: Any) -> None:
    check(estimator)


@pytest.mark.gpu
@parametrize_with_checks(_GPU)
def test_scikit_learn_check_on_gpu(
    estimator: LogisticRegression, check: Any, request: pytest.FixtureRequest
) -> None:
    try:
        load_backend("cupy")
    except BackendUnavailableError as error:
        if request.config.getoption("--require-gpu"):
            pytest.fail(f"--require-gpu: {error}", pytrace=False)
        pytest.skip(str(error))
    check(estimator)


def test_array_api_checks_run_too() -> None:
    """scikit-learn skips its array-API checks unless the environment turns SciPy's dispatch on."""
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-k",
            "array_api and not gpu and not run_too",
            __file__,
        ],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(_CPU)} passed" in result.stdout
    assert "skipped" not in result.stdout
