"""scikit-learn's own conformance suite for LogisticRegressionCV, every check of it; nothing excused."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from accel_logreg import LogisticRegressionCV

# Three folds, as scikit-learn has them for its own class: some checks have few rows. The loop, which takes
# microseconds where the others take nanoseconds, chooses between three C.
_CPU = [
    LogisticRegressionCV(backend="python", cv=3, Cs=3),
    *(LogisticRegressionCV(backend=name, cv=3) for name in ("numpy", "numba")),
]


@parametrize_with_checks(_CPU)
def test_scikit_learn_check(estimator: LogisticRegressionCV, check: Any) -> None:
    check(estimator)


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
@parametrize_with_checks([LogisticRegressionCV(backend="cupy", cv=3)])
def test_scikit_learn_check_on_gpu(estimator: LogisticRegressionCV, check: Any) -> None:
    check(estimator)
